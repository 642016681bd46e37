import { and, eq, sql } from 'drizzle-orm';
import type { ExecutorConfig, TemporalConfig } from '../domain/agent.ts';
import type { Waiting } from '../domain/approval.ts';
import { whoLapsed } from '../domain/approver.ts';
import { eventTypes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { approvalsNeeded, type Policy } from '../domain/policy.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { checkDispatch, type Executor, type ExecutorBinding, type TaskState } from '../domain/task.ts';
import { approvalFacts } from './approvals.ts';
import { change, recordedResult } from './change.ts';
import type { Db } from './client.ts';
import type { DecisionRequestRow } from './decision-requests.ts';
import { settleRequest } from './decisions.ts';
import { readDispatch } from './dispatch-facts.ts';
import {
  approvalId,
  approvalRequested,
  type ApprovalSeed,
  approvalSummary,
  askedFor,
  openApproval,
  taskDigest,
  waitingFor,
} from './task-create.ts';
import { tasks } from './schema/index.ts';
import type { TaskRow } from './tasks.ts';

export type ClaimedRun = Waiting & {
  state: TaskState;
  approvalId: string;
  dispatchMode: TaskRow['dispatchMode'];
  title: string;
};

/** The run reports itself on its task and learns where it stands; a run that is not the task's current one is refused. */
export async function claimRun(
  db: Db,
  input: { taskId: string; run: number; runId: string },
): Promise<ClaimedRun | Refusal> {
  const [row] = await db
    .update(tasks)
    .set({ runId: input.runId })
    .where(and(eq(tasks.id, input.taskId), eq(tasks.run, input.run)))
    .returning();
  if (row === undefined)
    return refuse('NOT_FOUND', `There is no task ${input.taskId} whose current run is ${input.run}.`);
  const { state, dispatchMode, title } = row;
  return { state, approvalId: row.approvalId, ...(await waitLeft(db, row.approvalId)), dispatchMode, title };
}

/** What is left of the wait for an approval that may have waited before, by the database's clock. */
async function waitLeft(db: Db, id: string): Promise<Waiting> {
  const [row] = await db.execute<{
    expires: number;
    remind: number | null;
    escalate: number | null;
    every: number | null;
  }>(sql`
    select (extract(epoch from expires_at - clock_timestamp()) * 1000)::float8 as expires,
           (rule ->> 'remindEveryMs')::float8 as every,
           (extract(epoch from coalesce(reminded_at, created_at) - clock_timestamp()) * 1000)::float8 + (rule ->> 'remindEveryMs')::float8 as remind,
           case when escalated_at is null
                then (extract(epoch from created_at - clock_timestamp()) * 1000)::float8 + (rule ->> 'escalateAfterMs')::float8 end as escalate
    from approvals where id = ${id}`);
  const left = (ms: number | null = null): number | null =>
    ms === null ? null : Math.max(1, Math.ceil(Number(ms)));
  return {
    expiresInMs: left(row?.expires) ?? 1,
    remindEveryMs: left(row?.every),
    remindAfterMs: left(row?.remind),
    escalateAfterMs: left(row?.escalate),
  };
}

/** What a workflow needs to hand the work to an executor; the executor's configuration stays in the record. */
export type Dispatch = {
  dispatched: true;
  key: string;
  attempt: number;
  agentId: string;
  agentName: string;
  executor: Executor;
  taskQueue: string | null;
  pickupTimeoutMs: number;
  heartbeatTimeoutMs: number | null;
  timeoutMs: number;
  task: { id: string; type: string; target: string; payload: JsonObject };
};
/** The content moved since the approval: it is void, and a new one is open. */
export type Voided = Waiting & {
  dispatched: false;
  voided: true;
  approvalId: string;
  because: string;
};
export type DispatchRefused = { dispatched: false; voided: false } & Refusal;
export type DispatchOutcome = Dispatch | Voided | DispatchRefused;

const defaultPickupTimeoutMs = 10 * 60_000;

/** The executor as far as it is part of what a person approves. */
export function bindingOf(
  agent: { id: string; executor: Executor; configVersion: number } | null,
): ExecutorBinding {
  return agent === null
    ? null
    : { agentId: agent.id, executor: agent.executor, configVersion: agent.configVersion };
}

/**
 * The last check before a side effect: recomputes what would run, compares it with what was approved, and writes the
 * intent to act (`<task>:<attempt>`) in the statement that moves the task to running.
 */
export async function beginAttempt(
  db: Db,
  input: { taskId: string; opKey: string; request: DecisionRequestRow | null; actor: string },
): Promise<DispatchOutcome> {
  const read = await readDispatch(db, input.taskId);
  if (read === null)
    return { dispatched: false, voided: false, ...refuse('NOT_FOUND', `No task ${input.taskId}.`) };
  const { task, approval, agent, policy, voters } = read;
  const usable = agent === null || agent.state === 'disabled' ? null : agent;
  const binding = bindingOf(usable);
  const repeated = await repetition(db, input.opKey, task, agent);
  if (repeated !== null) return repeated;
  const currentDigest = taskDigest({ ...task, binding, policyVersion: policy.version });
  const refusal = checkDispatch({
    state: task.state,
    approvalState: approval?.state ?? null,
    approvedDigest: approval?.digest ?? null,
    currentDigest,
    binding,
    attempt: task.attempt,
    role: task.targetRole,
  });
  if (refusal?.refused === 'STALE')
    return voidApproval(db, task, { binding, policy, digest: currentDigest, because: null }, input.opKey);
  const lapsed = refusal === null && approval !== null ? whoLapsed(approvalFacts(approval), voters) : null;
  if (lapsed !== null) {
    const because = `${lapsed} may no longer approve`;
    return voidApproval(db, task, { binding, policy, digest: currentDigest, because }, input.opKey);
  }
  if (refusal !== null || usable === null)
    return {
      dispatched: false,
      voided: false,
      ...(refusal ?? refuse('CONFLICT', 'No agent takes this task.')),
    };
  const attempt = task.attempt + 1;
  const key = `${task.id}:${attempt}`;
  const outcome = await change<{ attempt: number }>(db, {
    opKey: input.opKey,
    write: db
      .update(tasks)
      .set({
        state: 'running',
        attempt,
        outcomeUnknown: false,
        progress: null,
        result: null,
        error: null,
        updatedAt: sql`now()`,
      })
      .where(
        and(
          eq(tasks.id, task.id),
          eq(tasks.state, 'pending'),
          eq(tasks.attempt, task.attempt),
          eq(tasks.digest, currentDigest),
          sql`exists (select from approvals a where a.id = ${tasks.approvalId} and a.state = 'approved' and a.digest = ${currentDigest})`,
          ...[...voters.values()].map(
            ({ principal }) =>
              sql`exists (select from principals p where p.id = ${principal.id} and p.status = 'active' and p.role = ${principal.role})`,
          ),
          sql`exists (select from agents g where g.id = ${usable.id} and g.config_version = ${usable.configVersion}::int and g.state <> 'disabled')`,
        ),
      )
      .returning()
      .getSQL(),
    also: [
      sql`
        insert into task_attempts (key, task_id, attempt, agent_id, executor, state, dispatched_by, digest)
        select ${key}, changed.id, changed.attempt, ${usable.id}, ${usable.executor}, 'intent', ${input.actor}, changed.digest
        from changed`,
      ...(input.request === null ? [] : [settleRequest(input.request.id)]),
    ],
    events: [
      {
        type: eventTypes.taskDispatched,
        source: { type: 'squad', id: task.id },
        payload: { taskId: task.id, attempt, agentId: usable.id, digest: currentDigest },
        correlationId: task.id,
      },
    ],
    audit: {
      actor: input.actor,
      action: 'task.dispatch',
      subjectKind: 'task',
      subjectId: task.id,
      detail: { attempt, agentId: usable.id, approvalId: task.approvalId, digest: currentDigest },
    },
    result: sql`jsonb_build_object('attempt', changed.attempt)`,
  });
  if (outcome.status === 'unchanged')
    return {
      dispatched: false,
      voided: false,
      ...refuse(
        'CONFLICT',
        'The task or its agent changed just before dispatch; look at it and dispatch again.',
      ),
    };
  return toDispatch(task, usable, outcome.result.attempt);
}

/** What this operation answered before its acknowledgement was lost, whatever became of the agent since. */
async function repetition(
  db: Db,
  opKey: string,
  task: TaskRow,
  agent: AgentOfTask | null,
): Promise<Dispatch | Voided | null> {
  if (task.state === 'pending-approval') {
    const voided = await recordedResult<VoidResult>(db, voidKey(opKey));
    return voided === null ? null : { dispatched: false, voided: true, ...voided };
  }
  if (task.state !== 'running') return null;
  const begun = await recordedResult<{ attempt: number }>(db, opKey);
  return begun === null || agent === null ? null : toDispatch(task, agent, begun.attempt);
}

type VoidResult = Omit<Voided, 'dispatched' | 'voided'>;

function voidKey(opKey: string): string {
  return `${opKey}:void`;
}

type AgentOfTask = { id: string; name: string; executor: Executor; config: ExecutorConfig };

function toDispatch(task: TaskRow, agent: AgentOfTask, attempt: number): Dispatch {
  const temporal = agent.executor === 'temporal' ? (agent.config as TemporalConfig) : null;
  return {
    dispatched: true,
    key: `${task.id}:${attempt}`,
    attempt,
    agentId: agent.id,
    agentName: agent.name,
    executor: agent.executor,
    taskQueue: temporal?.taskQueue ?? null,
    pickupTimeoutMs: temporal?.pickupTimeoutMs ?? defaultPickupTimeoutMs,
    heartbeatTimeoutMs: temporal?.heartbeatTimeoutMs ?? null,
    timeoutMs: task.timeoutMs,
    task: { id: task.id, type: task.type, target: task.target, payload: task.payload },
  };
}

function whatMoved(task: TaskRow, binding: ExecutorBinding, policy: Policy): string {
  if (binding === null) return 'the agent that was approved is gone';
  if (policy.version !== task.policyVersion)
    return `the policy is now ${policy.name}, version ${policy.version}`;
  return `the configuration of agent ${binding.agentId} is now version ${binding.configVersion}`;
}

async function voidApproval(
  db: Db,
  task: TaskRow,
  now: { binding: ExecutorBinding; policy: Policy; digest: string; because: string | null },
  opKey: string,
): Promise<DispatchOutcome> {
  const { binding, policy, digest: currentDigest } = now;
  const ordinal = task.approvals + 1;
  const newApproval = approvalId(task.id, ordinal);
  const because = now.because ?? whatMoved(task, binding, policy);
  const seed: ApprovalSeed = {
    id: newApproval,
    kind: 'task',
    title: task.title,
    summary: { ...approvalSummary(task, binding), moved: because, replaces: task.approvalId },
    risk: task.risk,
    digest: currentDigest,
    target: task.target,
    type: task.type,
    policy,
    ...askedFor(task),
    workflowId: task.workflowId,
  };
  const outcome = await change<VoidResult>(db, {
    opKey: voidKey(opKey),
    write: db
      .update(tasks)
      .set({
        state: 'pending-approval',
        digest: currentDigest,
        policyVersion: policy.version,
        approvalId: newApproval,
        approvals: ordinal,
        updatedAt: sql`now()`,
      })
      .where(and(eq(tasks.id, task.id), eq(tasks.state, 'pending'), eq(tasks.approvalId, task.approvalId)))
      .returning()
      .getSQL(),
    also: [
      sql`update approvals set state = 'void', closed_because = ${because} from changed where approvals.id = ${task.approvalId}`,
      openApproval(seed),
    ],
    events: [
      {
        type: eventTypes.approvalVoided,
        severity: 'warning',
        source: { type: 'squad', id: task.id },
        payload: { taskId: task.id, approvalId: task.approvalId, newApprovalId: newApproval, because },
        correlationId: task.id,
      },
      approvalRequested(seed, task.id),
    ],
    audit: {
      actor: 'system',
      action: 'approval.void',
      subjectKind: 'approval',
      subjectId: task.approvalId,
      detail: {
        ...{ task: task.id, because, newApprovalId: newApproval, digest: currentDigest },
        ...{ requestedBy: seed.requestedBy, required: approvalsNeeded(policy.rule) },
      },
    },
    result: sql`jsonb_build_object('approvalId', changed.approval_id, 'because', ${because}::text)
                || ${JSON.stringify(waitingFor(policy))}::text::jsonb`,
  });
  if (outcome.status === 'unchanged')
    return { dispatched: false, voided: false, ...refuse('CONFLICT', 'The task changed; look at it again.') };
  return { dispatched: false, voided: true, ...outcome.result };
}
