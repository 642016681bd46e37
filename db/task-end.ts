import { and, eq, inArray, sql } from 'drizzle-orm';
import type { Waiting } from '../domain/approval.ts';
import { eventTypes } from '../domain/events.ts';
import { storableText } from '../domain/json.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { type AgentResult, isEnded, openTaskStates, type TaskState } from '../domain/task.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { settleRequest } from './decisions.ts';
import { policyFor } from './policies.ts';
import { watchRepair } from './repairs.ts';
import { tasks } from './schema/index.ts';
import {
  approvalId,
  approvalRequested,
  type ApprovalSeed,
  approvalSummary,
  askedFor,
  openApproval,
  waitingFor,
} from './task-create.ts';
import { movePath } from './task-paths.ts';
import { getTask, type TaskRow } from './tasks.ts';

export type AttemptEnd = {
  taskId: string;
  attempt: number;
  opKey: string;
  result: AgentResult;
};

/** Ends the running attempt with what the agent answered; unchanged when it was ended before. */
export async function finishAttempt(db: Db, input: AttemptEnd): Promise<{ state: TaskState }> {
  const { result } = input;
  const state = result.ok ? 'success' : 'failed';
  const outcome = await change<{ state: TaskState }>(db, {
    opKey: input.opKey,
    write: db
      .update(tasks)
      .set({
        state,
        result: result.output ?? {},
        error: result.ok ? null : result.summary,
        outcomeUnknown: false,
        updatedAt: sql`now()`,
        endedAt: sql`now()`,
      })
      .where(and(eq(tasks.id, input.taskId), eq(tasks.state, 'running'), eq(tasks.attempt, input.attempt)))
      .returning()
      .getSQL(),
    also: [
      sql`
        update task_attempts set state = ${result.ok ? 'succeeded' : 'failed'}, ended_at = now()
        from changed where task_attempts.key = ${`${input.taskId}:${input.attempt}`}`,
      sql`
        insert into task_logs (task_id, attempt, level, message)
        select changed.id, ${input.attempt}::int, ${result.ok ? 'info' : 'error'}, ${result.summary} from changed`,
      movePath(result.ok),
      watchRepair(),
    ],
    events: [
      {
        type: result.ok ? eventTypes.taskCompleted : eventTypes.taskFailed,
        severity: result.ok ? 'info' : 'error',
        source: { type: 'squad', id: input.taskId },
        payload: { taskId: input.taskId, attempt: input.attempt, summary: result.summary },
        correlationId: input.taskId,
      },
    ],
    audit: {
      actor: 'system',
      action: result.ok ? 'task.succeed' : 'task.fail',
      subjectKind: 'task',
      subjectId: input.taskId,
      detail: { attempt: input.attempt, summary: result.summary },
    },
    result: sql`jsonb_build_object('state', changed.state)`,
  });
  if (outcome.status !== 'unchanged') return outcome.result;
  const task = await getTask(db, input.taskId);
  return { state: task?.state ?? state };
}

/** The answer of a running attempt was lost for good: a person is asked whether it took effect. */
export async function askOutcome(
  db: Db,
  input: { taskId: string; attempt: number; because: string; opKey: string },
): Promise<(Waiting & { approvalId: string }) | Refusal> {
  const task = await getTask(db, input.taskId);
  if (task === null) return refuse('NOT_FOUND', `No task ${input.taskId}.`);
  const because = storableText(input.because);
  // What is asked is what happened, not whether it may: one person's word, however risky the work was.
  const policy = await policyFor(db, { ...task, kind: 'outcome', risk: 'low' });
  const id = approvalId(task.id, task.outcomeUnknown ? task.approvals : task.approvals + 1);
  const seed: ApprovalSeed = {
    id,
    kind: 'outcome',
    title: `Outcome unknown: ${task.title}`,
    summary: {
      ...approvalSummary(task, null),
      question:
        'Did this attempt take effect? approve: yes, it is done. reject: no, it failed and may be retried.',
      attempt: input.attempt,
      because,
    },
    risk: task.risk,
    digest: task.digest,
    target: task.target,
    type: task.type,
    policy,
    ...askedFor(task),
    workflowId: task.workflowId,
  };
  const outcome = await change(db, {
    opKey: input.opKey,
    write: db
      .update(tasks)
      .set({ outcomeUnknown: true, approvals: sql`${tasks.approvals} + 1`, updatedAt: sql`now()` })
      .where(
        and(
          eq(tasks.id, task.id),
          eq(tasks.state, 'running'),
          eq(tasks.attempt, input.attempt),
          eq(tasks.outcomeUnknown, false),
        ),
      )
      .returning()
      .getSQL(),
    also: [
      sql`update task_attempts set state = 'unknown' from changed where task_attempts.key = ${`${task.id}:${input.attempt}`}`,
      openApproval(seed),
    ],
    events: [
      {
        type: eventTypes.taskOutcomeUnknown,
        severity: 'error',
        source: { type: 'squad', id: task.id },
        payload: { taskId: task.id, attempt: input.attempt, approvalId: id, because },
        correlationId: task.id,
      },
      approvalRequested(seed, task.id),
    ],
    audit: {
      actor: 'system',
      action: 'task.outcome-unknown',
      subjectKind: 'task',
      subjectId: task.id,
      detail: { attempt: input.attempt, because },
    },
  });
  if (outcome.status === 'unchanged')
    return refuse('CONFLICT', `Task ${task.id} is ${task.state}; its outcome is not in question.`);
  return { approvalId: id, ...waitingFor(policy) };
}

const cancelRounds = 5;

/**
 * Cancels a task that has not ended, and closes its open approvals and attempts; unchanged when it has. An approval or
 * an attempt that began while this waited for the row is none that it can see, so it looks again.
 */
export async function cancelTask(
  db: Db,
  input: { taskId: string; requestId: string | null; actor: string; reason: string | null; opKey: string },
): Promise<{ state: TaskState } | Refusal> {
  for (let round = 0; round < cancelRounds; round += 1) {
    const task = await getTask(db, input.taskId);
    if (task === null) return refuse('NOT_FOUND', `No task ${input.taskId}.`);
    const outcome = await writeCancel(db, input, task);
    if (outcome.status !== 'unchanged') return outcome.result;
    if (isEnded(task.state))
      return refuse('CONFLICT', `The task is already ${task.state}; there is nothing to cancel.`, {
        state: task.state,
      });
  }
  return refuse('CONFLICT', 'The task kept changing while it was to be cancelled; try again.');
}

function writeCancel(
  db: Db,
  input: { requestId: string | null; actor: string; reason: string | null; opKey: string },
  task: TaskRow,
): Promise<ChangeOutcome<{ state: TaskState }>> {
  return change<{ state: TaskState }>(db, {
    opKey: input.opKey,
    write: db
      .update(tasks)
      .set({ state: 'cancelled', error: input.reason, updatedAt: sql`now()`, endedAt: sql`now()` })
      .where(
        and(
          eq(tasks.id, task.id),
          inArray(tasks.state, [...openTaskStates]),
          eq(tasks.approvals, task.approvals),
          eq(tasks.attempt, task.attempt),
        ),
      )
      .returning()
      .getSQL(),
    also: [
      sql`
        update approvals set state = 'withdrawn', decided_at = now(), closed_because = 'the task was cancelled'
        from changed where approvals.subject_id = changed.id and approvals.state = 'open'`,
      sql`
        update task_attempts set state = 'cancelled', ended_at = now()
        from changed where task_attempts.task_id = changed.id and task_attempts.state in ('intent', 'unknown')`,
      ...(input.requestId === null ? [] : [settleRequest(input.requestId)]),
    ],
    events: [
      {
        type: eventTypes.taskCancelled,
        severity: 'warning',
        source: { type: 'squad', id: task.id },
        payload: { taskId: task.id, by: input.actor, reason: input.reason },
        correlationId: task.id,
      },
    ],
    audit: {
      actor: input.actor,
      action: 'task.cancel',
      subjectKind: 'task',
      subjectId: task.id,
      detail: { reason: input.reason },
    },
    result: sql`jsonb_build_object('state', changed.state)`,
  });
}
