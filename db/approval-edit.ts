import { and, sql } from 'drizzle-orm';
import { checkEdit, type DecisionOutcome } from '../domain/approval.ts';
import { eventTypes } from '../domain/events.ts';
import { canonical } from '../domain/json.ts';
import { isRefusal, refuse } from '../domain/refusal.ts';
import { type EditedContent, taskEdit } from '../domain/task.ts';
import { approvalFacts, type ApprovalRow } from './approvals.ts';
import type { ReadApprover } from './approvers.ts';
import { change, recordedResult } from './change.ts';
import type { Db } from './client.ts';
import {
  aboutApproval,
  crowded,
  type DeciderInput,
  denied,
  isAsRead,
  readCase,
  settleRequest,
  usedUp,
} from './decisions.ts';
import { type DispatchRead, readDispatch } from './dispatch-facts.ts';
import { approvals } from './schema/index.ts';
import {
  approvalId,
  approvalRequested,
  type ApprovalSeed,
  approvalSummary,
  openApproval,
  taskDigest,
  waitingFor,
} from './task-create.ts';
import { bindingOf } from './task-run.ts';

export type EditInput = DeciderInput & { content: EditedContent };

type Accepted = Extract<DecisionOutcome, { accepted: true }>;

const rounds = 5;

/**
 * Changes the content of a task that waits: its approval is void, one of the new content is open, and whoever edited
 * it counts as its author from now on. Written by one statement, in the order in which votes lock their rows.
 */
export async function recordEdit(db: Db, input: EditInput): Promise<DecisionOutcome> {
  for (let round = 0; round < rounds; round += 1) {
    const read = await readCase(db, input);
    if (isRefusal(read)) return denied(read);
    const { approval, approver } = read;
    const work = await readDispatch(db, approval.subjectId);
    const request = {
      ...{ approvalId: input.approvalId, digest: input.digest, reason: input.reason, approver },
      ...{ acknowledgedFindings: [], breakGlass: false },
      loginAtMs: input.loginAtMs ?? null,
      madeAtMs: input.madeAtMs ?? null,
    };
    const refusal =
      checkEdit(approvalFacts(approval), request, approver.nowMs) ??
      (work === null || work.task.approvalId !== approval.id
        ? refuse('CONFLICT', 'The task has another approval by now; read it again, then edit.')
        : null);
    if (refusal !== null || work === null) {
      const earlier = await recordedResult<Accepted>(db, input.opKey);
      return earlier ?? denied(refusal ?? crowded());
    }
    const edited = taskEdit(work.task, input.content);
    if (isRefusal(edited)) return denied(edited);
    const done = await writeEdit(db, input, { approval, approver, work, edited });
    if (done !== null) return done;
  }
  return denied(crowded());
}

type Edit = {
  approval: ApprovalRow;
  approver: ReadApprover;
  work: DispatchRead;
  edited: Required<EditedContent>;
};

async function writeEdit(db: Db, input: EditInput, edit: Edit): Promise<DecisionOutcome | null> {
  const { approval, edited } = edit;
  const { principal } = edit.approver;
  const { task, agent, policy } = edit.work;
  const binding = bindingOf(agent === null || agent.state === 'disabled' ? null : agent);
  const digest = taskDigest({ ...task, ...edited, binding, policyVersion: policy.version });
  const because = `edited by ${principal.name}`;
  const seed: ApprovalSeed = {
    id: approvalId(task.id, task.approvals + 1),
    kind: 'task',
    title: edited.title,
    summary: {
      ...approvalSummary({ ...task, ...edited }, binding),
      moved: because,
      replaces: approval.id,
    },
    risk: task.risk,
    digest,
    target: task.target,
    type: task.type,
    policy,
    requestedBy: principal.id,
    asked: { by: task.requestedBy, at: task.createdAt },
    workflowId: task.workflowId,
  };
  const outcome: Accepted = {
    accepted: true,
    approvalId: approval.id,
    state: 'void',
    votesLeft: policy.rule.stages.reduce((sum, stage) => sum + stage.approvals, 0),
    decidedAt: new Date().toISOString(),
    replacement: { approvalId: seed.id, ...waitingFor(policy) },
  };
  const done = await change<Accepted>(db, {
    opKey: input.opKey,
    write: db
      .update(approvals)
      .set({ state: 'void', decidedAt: sql`now()`, closedBecause: because })
      .where(
        and(
          isAsRead(approval, edit.approver, input.requestId),
          sql`exists (select from tasks t where t.id = ${task.id} and t.approval_id = ${approval.id}
                        and t.state = 'pending-approval' and t.digest = ${task.digest})`,
        ),
      )
      .returning()
      .getSQL(),
    also: [
      sql`
        update tasks set title = ${edited.title}, payload = ${JSON.stringify(edited.payload)}::text::jsonb,
                         timeout_ms = ${edited.timeoutMs}::int, digest = ${digest}, edited_by = ${principal.id},
                         policy_version = ${policy.version}::int, approval_id = ${seed.id},
                         approvals = tasks.approvals + 1, updated_at = now()
        from changed
        where tasks.id = changed.subject_id and tasks.approval_id = changed.id and tasks.state = 'pending-approval'`,
      openApproval(seed, sql`changed.subject_id`),
      ...(input.requestId === null ? [] : [settleRequest(input.requestId)]),
    ],
    events: [
      {
        type: eventTypes.approvalEdited,
        source: { type: 'squad', id: task.id },
        payload: {
          ...aboutApproval(approval),
          ...{ by: principal.id, name: principal.name, reason: input.reason },
          ...{ before: approval.digest, digest, newApprovalId: seed.id },
        },
        correlationId: task.id,
      },
      approvalRequested(seed, task.id),
    ],
    audit: {
      actor: principal.id,
      action: 'approval.edit',
      subjectKind: 'approval',
      subjectId: approval.id,
      detail: {
        ...{ task: task.id, because, before: approval.digest, digest, newApprovalId: seed.id },
        ...{ requestedBy: principal.id, required: outcome.votesLeft, requestId: input.requestId },
        reason: input.reason,
      },
    },
    result: sql`${canonical(outcome)}::text::jsonb`,
  });
  if (done.status !== 'unchanged') return done.result;
  return usedUp(db, input.requestId);
}
