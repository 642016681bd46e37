import { and, eq, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { approvalsNeeded, type Policy } from '../domain/policy.ts';
import { refuse } from '../domain/refusal.ts';
import type { ExecutorBinding } from '../domain/task.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import type { DispatchOutcome, Voided } from './dispatch.ts';
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
import { notParked, notWaiting } from './task-park.ts';
import type { TaskRow } from './tasks.ts';

export type VoidResult = Omit<Voided, 'dispatched' | 'voided'>;

/** Its own name in the audit, as the operation that would have begun the task writes none. */
export function voidKey(opKey: string): string {
  return `${opKey}:void`;
}

function whatMoved(task: TaskRow, binding: ExecutorBinding, policy: Policy): string {
  if (binding === null) return 'the agent that was approved is gone';
  if (policy.version !== task.policyVersion)
    return `the policy is now ${policy.name}, version ${policy.version}`;
  return `the configuration of agent ${binding.agentId} is now version ${binding.configVersion}`;
}

/** Opens a new approval in place of one that no longer covers what would run. */
export async function voidApproval(
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
        ...notParked,
        ...notWaiting,
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
