import { and, eq, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { taskWorkflowId } from '../domain/names.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { approvalsNeeded } from '../domain/policy.ts';
import { checkRetry, type TaskState } from '../domain/task.ts';
import { getAgent } from './agents.ts';
import { getApproval } from './approvals.ts';
import { change, recordedResult } from './change.ts';
import type { Db } from './client.ts';
import { policyFor } from './policies.ts';
import { tasks } from './schema/index.ts';
import { approvalId, approvalSummary, openApproval, taskDigest } from './task-create.ts';
import { bindingOf } from './task-run.ts';
import { getTask } from './tasks.ts';

export type Retried = { state: TaskState; run: number; workflowId: string };

/**
 * Prepares a new run of a failed task. The approval stands while what would run is what was approved; otherwise a new
 * one is opened and the task waits for it.
 */
export async function retryTask(
  db: Db,
  input: { taskId: string; actor: string; opKey: string },
): Promise<Retried | Refusal> {
  const task = await getTask(db, input.taskId);
  if (task === null) return refuse('NOT_FOUND', `No task ${input.taskId}.`);
  const [approval, agent, policy] = await Promise.all([
    getApproval(db, task.approvalId),
    task.agentId === null ? null : getAgent(db, task.agentId),
    policyFor(db, { kind: 'task', ...task }),
  ]);
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
      renewed === null
        ? []
        : [
            sql`
              update approvals set state = 'void', closed_because = 'the content changed before a retry'
              from changed where approvals.id = ${task.approvalId} and approvals.state = 'approved'`,
            openApproval({
              id: renewed,
              kind: 'task',
              title: task.title,
              summary: { ...approvalSummary(task, binding), replaces: task.approvalId },
              risk: task.risk,
              digest: currentDigest,
              target: task.target,
              type: task.type,
              policy,
              requestedBy: task.requestedBy,
              workflowId,
            }),
          ],
    events: [
      {
        type: eventTypes.taskRetried,
        source: { type: 'squad', id: task.id },
        payload: { taskId: task.id, run, by: input.actor, approvalStands: renewed === null },
        correlationId: task.id,
      },
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
        required: approvalsNeeded(policy.rule),
      },
    },
    result: sql`jsonb_build_object('state', changed.state, 'run', changed.run, 'workflowId', changed.workflow_id)`,
  });
  if (outcome.status === 'unchanged')
    return refuse('CONFLICT', 'The task changed while it was being retried; look at it again.');
  return outcome.result;
}
