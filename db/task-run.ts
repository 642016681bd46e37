import { and, eq, sql } from 'drizzle-orm';
import { whoLapsed } from '../domain/approver.ts';
import { eventTypes } from '../domain/events.ts';
import { epochFor, holdFor } from '../domain/kill-switch.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { findWait } from '../domain/task-wait.ts';
import { checkDispatch, type Executor, type ExecutorBinding } from '../domain/task.ts';
import { approvalFacts } from './approvals.ts';
import { change, recordedResult } from './change.ts';
import type { Db } from './client.ts';
import type { DecisionRequestRow } from './decision-requests.ts';
import { settleRequest } from './decisions.ts';
import {
  type AgentOfTask,
  type Dispatch,
  type DispatchOutcome,
  type DispatchRefused,
  toDispatch,
  type Voided,
} from './dispatch.ts';
import { readDispatch } from './dispatch-facts.ts';
import { isSameBoard, readSwitches, type SwitchBoard } from './kill-switch.ts';
import { grantStillHolds, lapsedGrant } from './standing-approval.ts';
import { taskDigest } from './task-create.ts';
import { tasks } from './schema/index.ts';
import {
  forgetRelease,
  lapsedWhileParked,
  notParked,
  notWaiting,
  parkTask,
  stillParked,
} from './task-park.ts';
import { hasPlace, holdBack, readWaitFacts, toldToWait } from './task-wait.ts';
import { voidApproval, voidKey, type VoidResult } from './task-void.ts';
import type { TaskRow } from './tasks.ts';

/** The executor as far as it is part of what a person approves. */
export function bindingOf(
  agent: { id: string; executor: Executor; configVersion: number } | null,
): ExecutorBinding {
  return agent === null
    ? null
    : { agentId: agent.id, executor: agent.executor, configVersion: agent.configVersion };
}

type Facts = NonNullable<Awaited<ReturnType<typeof readWaitFacts>>>;
type Read = NonNullable<Awaited<ReturnType<typeof readDispatch>>>;
type Beginning = { taskId: string; opKey: string; request: DecisionRequestRow | null; actor: string };

/**
 * The last check before a side effect: recomputes what would run, compares it with what was approved, and writes the
 * intent to act (`<task>:<attempt>`) in the statement that moves the task to running.
 */
export async function beginAttempt(db: Db, input: Beginning): Promise<DispatchOutcome> {
  for (let round = 1; ; round += 1) {
    const [read, board, facts] = await Promise.all([
      readDispatch(db, input.taskId),
      readSwitches(db),
      readWaitFacts(db, input.taskId),
    ]);
    if (read === null || facts === null) return refused(refuse('NOT_FOUND', `No task ${input.taskId}.`));
    const outcome = await beginUnder(db, input, { ...read, facts }, board);
    if (outcome !== null) {
      const isRefused = !outcome.dispatched && !outcome.voided && outcome.parked !== true;
      if (isRefused && input.request === null) await forgetRelease(db, input.taskId);
      return outcome;
    }
    // Was it a switch, engaged between the look at the board and the statement? Then the new board answers.
    // Or did another task take the last place of the agent? Then this one waits.
    const [then, now] = await Promise.all([readSwitches(db), readWaitFacts(db, input.taskId)]);
    const lostPlace = now !== null && now.running >= now.limit;
    if (round === rounds || (then.epoch === board.epoch && !lostPlace))
      return refused(
        refuse(
          'CONFLICT',
          'The task or its agent changed just before dispatch; look at it and dispatch again.',
        ),
      );
  }
}

const rounds = 5;

function refused(refusal: Refusal): DispatchRefused {
  return { dispatched: false, voided: false, ...refusal };
}

async function beginUnder(
  db: Db,
  input: Beginning,
  { task, approval, agent, policy, voters, facts }: Read & { facts: Facts },
  board: SwitchBoard,
): Promise<DispatchOutcome | null> {
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
  const work = { kind: 'task', target: task.target };
  if (refusal === null || refusal.refused === 'STALE') {
    const hold = holdFor(board.switches, work, 'dispatch');
    if (hold !== null && input.request === null) return parkTask(db, task, hold, input.opKey);
    if (hold !== null) return refused(hold);
    if (task.parkedAt !== null && input.request === null) return stillParked(task);
    const lapsed = approval === null ? null : whoLapsed(approvalFacts(approval), voters);
    const because =
      lapsed === null
        ? ((await lapsedGrant(db, approval)) ?? (await lapsedWhileParked(db, task, approval)))
        : `${lapsed} may no longer approve`;
    if (refusal !== null || because !== null)
      return voidApproval(db, task, { binding, policy, digest: currentDigest, because }, input.opKey);
  }
  if (refusal !== null || usable === null)
    return refused(refusal ?? refuse('CONFLICT', 'No agent takes this task.'));
  const wait = findWait({ ...facts, byPerson: input.request !== null });
  if (wait !== null)
    return input.request === null ? holdBack(db, task, wait, input.opKey) : toldToWait(wait, false);
  const without = facts.dependencies.filter(({ state }) => state !== 'success').map(({ id }) => id);
  const attempt = task.attempt + 1;
  const key = `${task.id}:${attempt}`;
  const epoch = epochFor(board.switches, work);
  const outcome = await change<{ attempt: number; epoch: number }>(db, {
    opKey: input.opKey,
    write: db
      .update(tasks)
      .set({
        ...notParked,
        ...notWaiting,
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
          isSameBoard(board),
          hasPlace(usable.id),
          grantStillHolds(approval),
        ),
      )
      .returning()
      .getSQL(),
    also: [
      sql`
        insert into task_attempts (key, task_id, attempt, agent_id, executor, state, dispatched_by, digest, epoch)
        select ${key}, changed.id, changed.attempt, ${usable.id}, ${usable.executor}, 'intent', ${input.actor}, changed.digest,
               ${epoch}::bigint
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
      detail: {
        ...{ attempt, agentId: usable.id, approvalId: task.approvalId, digest: currentDigest, epoch },
        // What a person began it without, where it depends on something that did not succeed.
        ...(without.length === 0 ? {} : { without }),
      },
    },
    result: sql`jsonb_build_object('attempt', changed.attempt, 'epoch', ${epoch}::bigint)`,
  });
  return outcome.status === 'unchanged' ? null : toDispatch(task, usable, outcome.result);
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
  const begun = await recordedResult<{ attempt: number; epoch?: number }>(db, opKey);
  return begun === null || agent === null ? null : toDispatch(task, agent, begun);
}
