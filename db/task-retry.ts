import { and, eq, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { taskWorkflowId } from '../domain/names.ts';
import { approvalsNeeded } from '../domain/policy.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { checkRetry, type TaskState } from '../domain/task.ts';
import { change, recordedResult } from './change.ts';
import type { Db } from './client.ts';
import { readDispatch } from './dispatch-facts.ts';
import { tasks } from './schema/index.ts';
import {
  approvalId,
  approvalRequested,
  type ApprovalSeed,
  approvalSummary,
  askedFor,
  openApproval,
  taskDigest,
} from './task-create.ts';
import { bindingOf } from './task-run.ts';

export type Retried = { state: TaskState; run: number; workflowId: string };

/**
 * Prepares a new run of a failed task. The approval stands while what would run is what was approved; otherwise a new
 * one is opened and the task waits for it.
 */
export async function retryTask(
  db: Db,
  input: { taskId: string; actor: string; opKey: string },
): Promise<Retried | Refusal> {
  const read = await readDispatch(db, input.taskId);
  if (read === null) return refuse('NOT_FOUND', `No task ${input.taskId}.`);
  const { task, approval, agent, policy } = read;
  const binding = bindingOf(agent);
  const currentDigest = taskDigest({ ...task, binding, policyVersion: policy.version });
  const verdict = checkRetry({
    state: task.state,
    attempt: task.attempt,
    approvedDigest: approval?.state === 'approved' ? approval.digest : null,
    currentDigest,
  });
  // The same retry may have been recorded before its acknowledgement was lost.
  if (isRefusal(verdict)) return (await recordedResult<Retried>(db, input.opKey)) ?? verdict;
  const run = task.run + 1;
  const workflowId = taskWorkflowId(task.id, run);
  const renewed = verdict === 'approval-void' ? approvalId(task.id, task.approvals + 1) : null;
  const seed: ApprovalSeed | null =
    renewed === null
      ? null
      : {
          id: renewed,
          kind: 'task',
          title: task.title,
          summary: { ...approvalSummary(task, binding), replaces: task.approvalId },
          risk: task.risk,
          digest: currentDigest,
          target: task.target,
          type: task.type,
          policy,
          ...askedFor(task),
          workflowId,
        };
  const outcome = await change<Retried>(db, {
    opKey: input.opKey,
    write: db
      .update(tasks)
      .set({
        state: renewed === null ? 'pending' : 'pending-approval',
        run,
        workflowId,
        runId: null,
        endedAt: null,
        updatedAt: sql`now()`,
        ...(renewed === null
          ? {}
          : {
              approvalId: renewed,
              approvals: sql`${tasks.approvals} + 1`,
              digest: currentDigest,
              policyVersion: policy.version,
            }),
      })
      .where(and(eq(tasks.id, task.id), eq(tasks.state, 'failed'), eq(tasks.run, task.run)))
      .returning()
      .getSQL(),
    also:
      seed === null
        ? []
        : [
            sql`
              update approvals set state = 'void', closed_because = 'the content changed before a retry'
              from changed where approvals.id = ${task.approvalId} and approvals.state = 'approved'`,
            openApproval(seed),
          ],
    events: [
      {
        type: eventTypes.taskRetried,
        source: { type: 'squad', id: task.id },
        payload: { taskId: task.id, run, by: input.actor, approvalStands: renewed === null },
        correlationId: task.id,
      },
      ...(seed === null ? [] : [approvalRequested(seed, task.id)]),
    ],
    audit: {
      actor: input.actor,
      action: 'task.retry',
      subjectKind: 'task',
      subjectId: task.id,
      detail: {
        run,
        approvalStands: renewed === null,
        approvalId: renewed ?? task.approvalId,
        digest: currentDigest,
        requestedBy: task.editedBy ?? task.requestedBy,
        required: approvalsNeeded(policy.rule),
      },
    },
    result: sql`jsonb_build_object('state', changed.state, 'run', changed.run, 'workflowId', changed.workflow_id)`,
  });
  if (outcome.status === 'unchanged')
    return refuse('CONFLICT', 'The task changed while it was being retried; look at it again.');
  return outcome.result;
}
