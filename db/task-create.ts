import { sql, type SQL } from 'drizzle-orm';
import type { AgentChoice } from '../domain/agent.ts';
import type { ApprovalKind, Waiting } from '../domain/approval.ts';
import { approvedContent, type TaskContent } from '../domain/approved-content.ts';
import { describeApprovers } from '../domain/approver.ts';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { IssueSeverity } from '../domain/analyzers/issue.ts';
import { canonical, type JsonObject } from '../domain/json.ts';
import { taskWorkflowId } from '../domain/names.ts';
import { anyone, approvalsNeeded, type Policy } from '../domain/policy.ts';
import type { Refusal } from '../domain/refusal.ts';
import type {
  DispatchMode,
  ExecutorBinding,
  Risk,
  TaskOrigin,
  TaskPriority,
  TaskRole,
} from '../domain/task.ts';
import { change, type ChangeOutcome, fromNow, recordedResult } from './change.ts';
import type { Db } from './client.ts';
import { derivedId, digest } from './ids.ts';
import { holdOn } from './kill-switch.ts';
import { policyFor } from './policies.ts';
import { tasks } from './schema/index.ts';
import type { TaskRow } from './tasks.ts';

export type NewTask = {
  id: string;
  type: string;
  title: string;
  payload: JsonObject;
  target: string;
  targetRole: TaskRole;
  severity: IssueSeverity;
  risk: Risk;
  reversible: boolean;
  /** How many other entities it reaches, as far as that is known. */
  blastRadius?: number;
  origin: TaskOrigin;
  originId: string | null;
  fingerprint: string | null;
  evidence: string[];
  requestedBy: string;
  dispatchMode: DispatchMode;
  timeoutMs: number;
  /** Empty: as long as the policy gives. */
  expiresInMs: number | null;
  binding: ExecutorBinding;
  /** Why the agent of the binding. */
  agentChoice?: AgentChoice | null;
  priority?: TaskPriority;
  squad?: string | null;
  dependsOn?: string[];
  parentId?: string | null;
  notBefore?: Date | null;
  dueAt?: Date | null;
};

export type CreatedTask = { id: string; workflowId: string; run: number; state: TaskRow['state'] };

/** The digest a person's approval of this content is bound to. */
export function taskDigest(content: TaskContent): string {
  return digest(canonical(approvedContent({ ...content, kind: 'task' })));
}

export function approvalId(taskId: string, ordinal: number): string {
  return derivedId('apr', `${taskId}#${ordinal}`);
}

export type ApprovalSeed = {
  id: string;
  kind: ApprovalKind;
  title: string;
  summary: JsonObject;
  target: string;
  type: string;
  risk: Risk;
  digest: string;
  policy: Policy;
  /** Who wrote the content. */
  requestedBy: string;
  /** Who asked first and when, where this is not the first approval of the work. */
  asked?: { by: string; at: Date };
  workflowId: string;
  /** Empty: as long as the policy gives. */
  expiresInMs?: number | null;
};

/** Opens an approval for the work in `changed`; a part of the statement that creates the need for it. */
export function openApproval(seed: ApprovalSeed, subject: SQL = sql`changed.id`): SQL {
  const { policy, asked } = seed;
  const askedAt = asked === undefined ? sql`now()` : sql`${asked.at.toISOString()}::timestamptz`;
  return sql`
    insert into approvals (id, kind, subject_id, title, summary, target, type, risk, digest, policy_id, policy_version,
                           rule, state, requested_by, requested_by_person, asked_by_person, asked_at,
                           required_approvals, workflow_id, expires_at)
    select ${seed.id}, ${seed.kind}, ${subject}, ${seed.title}, ${JSON.stringify(seed.summary)}::text::jsonb,
           ${seed.target}, ${seed.type}, ${seed.risk}, ${seed.digest}, ${policy.id}, ${policy.version}::int,
           ${JSON.stringify(policy.rule)}::text::jsonb, 'open', ${seed.requestedBy},
           ${personBehind(seed.requestedBy)}, ${personBehind(asked?.by ?? seed.requestedBy)}, ${askedAt},
           ${approvalsNeeded(policy.rule)}::int, ${seed.workflowId},
           ${fromNow(seed.expiresInMs ?? policy.rule.expiresInMs)}
    from changed`;
}

function personBehind(principalId: string): SQL {
  return sql`coalesce((select owner from principals p where p.id = ${principalId}), ${principalId})`;
}

/** Tells that an approval was opened, with what a notification about it says. */
export function approvalRequested(seed: ApprovalSeed, subjectId: string): NewEvent {
  const { id, kind, title, risk, target, requestedBy, policy } = seed;
  const expiresInMs = seed.expiresInMs ?? policy.rule.expiresInMs;
  return {
    type: eventTypes.approvalRequested,
    source: { type: 'squad', id: subjectId },
    payload: {
      approvalId: id,
      taskId: subjectId,
      ...{ kind, title, risk, target, requestedBy },
      // By this process's clock; the row has the database's.
      expiresAt: new Date(Date.now() + expiresInMs).toISOString(),
      approvers: describeApprovers(policy.rule.stages[0]?.approvers ?? anyone),
      required: approvalsNeeded(policy.rule),
    },
    correlationId: subjectId,
  };
}

/** What a run that waits for a new approval of this policy has to know. */
export function waitingFor({ rule }: Policy): Required<Omit<Waiting, 'remindAfterMs'>> {
  const { expiresInMs, remindEveryMs, escalateAfterMs } = rule;
  return { expiresInMs, remindEveryMs, escalateAfterMs };
}

/** Whose content a task has now, and who asked for the work first. */
export function askedFor(
  task: Pick<TaskRow, 'requestedBy' | 'editedBy' | 'createdAt'>,
): Pick<ApprovalSeed, 'requestedBy' | 'asked'> {
  return {
    requestedBy: task.editedBy ?? task.requestedBy,
    asked: { by: task.requestedBy, at: task.createdAt },
  };
}

/** What the inbox shows about a task: the content as approved, and whether it can be undone. */
export function approvalSummary(
  task: Pick<TaskRow, 'type' | 'payload' | 'target' | 'reversible' | 'origin'> & { blastRadius?: number },
  binding: ExecutorBinding,
): JsonObject {
  return {
    type: task.type,
    target: task.target,
    payload: task.payload,
    executor: binding,
    reversible: task.reversible ? 'declared' : 'no',
    blastRadius: task.blastRadius ?? 0,
    origin: task.origin,
  };
}

/** What `createTask` says where a kill switch does not allow the proposal. */
export type HeldTask = { status: 'held'; refusal: Refusal };

/** Stores a proposal and its open approval; unchanged when its id or the fix target already has an open task. */
export async function createTask(
  db: Db,
  input: NewTask,
  /** `also`: rows of whoever proposes, written with the task or not at all. */
  op: { key: string; actor: string; requestDigest?: string; also?: SQL[] },
): Promise<ChangeOutcome<CreatedTask> | HeldTask> {
  const { binding, expiresInMs, ...task } = input;
  const refusal = await holdOn(db, { kind: 'task', target: task.target }, 'propose');
  // A repetition of what was proposed before the switch is answered as it was then.
  if (refusal !== null && (await recordedResult(db, op.key)) === null) return { status: 'held', refusal };
  const policy = await policyFor(db, { kind: 'task', ...task });
  const workflowId = taskWorkflowId(task.id, 1);
  const { dispatchMode } = policy.rule;
  const row = {
    ...task,
    dispatchMode: dispatchMode === 'as-asked' ? task.dispatchMode : dispatchMode,
    state: 'pending-approval' as const,
    evidenceCount: task.evidence.length,
    agentId: binding?.agentId ?? null,
    approvalId: approvalId(task.id, 1),
    digest: taskDigest({ ...task, binding, policyVersion: policy.version }),
    policyVersion: policy.version,
    workflowId,
  };
  const seed: ApprovalSeed = {
    id: row.approvalId,
    kind: 'task',
    title: task.title,
    summary: approvalSummary(task, binding),
    risk: task.risk,
    digest: row.digest,
    target: task.target,
    type: task.type,
    policy,
    requestedBy: task.requestedBy,
    workflowId,
    expiresInMs,
  };
  return change<CreatedTask>(db, {
    opKey: op.key,
    write: db.insert(tasks).values(row).onConflictDoNothing().returning().getSQL(),
    also: [openApproval(seed), ...(op.also ?? [])],
    events: [
      {
        type: eventTypes.taskCreated,
        source: { type: 'squad', id: task.id },
        payload: {
          taskId: task.id,
          taskType: task.type,
          target: task.target,
          risk: task.risk,
          approvalId: row.approvalId,
        },
        correlationId: task.id,
        ...(task.evidence[0] === undefined ? {} : { causationId: task.evidence[0] }),
      },
      approvalRequested(seed, task.id),
    ],
    audit: {
      actor: op.actor,
      action: 'task.create',
      subjectKind: 'task',
      subjectId: task.id,
      detail: {
        digest: row.digest,
        approvalId: row.approvalId,
        requestedBy: task.requestedBy,
        required: approvalsNeeded(policy.rule),
        risk: task.risk,
        type: task.type,
        target: task.target,
        requestDigest: op.requestDigest ?? null,
      },
    },
    result: sql`jsonb_build_object('id', changed.id, 'workflowId', changed.workflow_id, 'run', changed.run,
                                   'state', changed.state)`,
  });
}
