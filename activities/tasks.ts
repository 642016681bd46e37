import type { Database } from '../db/client.ts';
import { type DecisionRequestRow, getDecisionRequest, refuseRequest } from '../db/decision-requests.ts';
import type { Dispatch } from '../db/dispatch.ts';
import { findStop } from '../db/kill-switch.ts';
import { actorOf, getPrincipal } from '../db/principals.ts';
import { withdrawSuperseded } from '../db/superseded.ts';
import { getTask } from '../db/tasks.ts';
import { askOutcome, type AttemptEnd, cancelTask, finishAttempt } from '../db/task-end.ts';
import { claimRun } from '../db/task-claim.ts';
import { beginAttempt } from '../db/task-run.ts';
import { isPermitted, type Permission } from '../domain/access.ts';
import { storableText } from '../domain/json.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';

export type DispatchedTask = Dispatch;
export type TaskActivities = ReturnType<typeof createTaskActivities>;

const permissionFor: Partial<Record<DecisionRequestRow['action'], Permission>> = {
  dispatch: 'tasks:dispatch',
  cancel: 'tasks:dispatch',
};

/** The record's side of a task's run; every verb is idempotent by the `opKey` the workflow gives. */
export function createTaskActivities({ database }: { database: Database }) {
  const { db } = database;

  /** A request counts when it is on record, open, meant for this run, and its author still holds the permission. */
  async function proveRequest(
    requestId: string,
    action: 'dispatch' | 'cancel',
    workflowId: string,
  ): Promise<DecisionRequestRow | Refusal> {
    const request = await getDecisionRequest(db, storableText(requestId));
    if (request === null || request.action !== action || request.workflowId !== workflowId)
      return refuse('FORBIDDEN', `There is no recorded request ${requestId} to ${action} ${workflowId}.`);
    const principal = await getPrincipal(db, request.principalId);
    const permission = permissionFor[action];
    if (
      principal?.status === 'active' &&
      permission !== undefined &&
      isPermitted(actorOf(principal), permission, (await getTask(db, request.subjectId))?.target)
    )
      return request;
    const refusal = refuse('FORBIDDEN', `${principal?.name ?? request.principalId} may not ${action} tasks.`);
    await refuseRequest(db, request, refusal);
    return refusal;
  }

  return {
    claimRun(input: { taskId: string; run: number; runId: string }) {
      return claimRun(db, input);
    },

    async beginAttempt(input: {
      taskId: string;
      workflowId: string;
      requestId: string | null;
      opKey: string;
    }) {
      const { taskId, opKey } = input;
      if (input.requestId === null)
        return beginAttempt(db, { taskId, opKey, request: null, actor: 'system' });
      const request = await proveRequest(input.requestId, 'dispatch', input.workflowId);
      if (isRefusal(request)) return { dispatched: false as const, voided: false as const, ...request };
      const outcome = await beginAttempt(db, { taskId, opKey, request, actor: request.principalId });
      if (!outcome.dispatched) {
        const refusal = outcome.voided
          ? refuse('STALE', `The approval is void: ${outcome.because}.`)
          : refuse(outcome.refused, outcome.message, outcome.details);
        await refuseRequest(db, request, refusal);
      }
      return outcome;
    },

    /** Whether the kill switch really stands against what this task does now; signals can come from anyone. */
    findStop(input: { taskId: string }) {
      return findStop(db, input.taskId);
    },

    /** Ends the task where the record says that HALO superseded it and nobody has decided it; signals can come from anyone. */
    async withdrawSuperseded(input: { taskId: string }) {
      const outcome = await withdrawSuperseded(db, input.taskId);
      return outcome.status === 'unchanged' ? null : outcome.result;
    },

    finishAttempt(input: AttemptEnd) {
      return finishAttempt(db, input);
    },

    askOutcome(input: { taskId: string; attempt: number; because: string; opKey: string }) {
      return askOutcome(db, input);
    },

    async acceptCancel(input: { taskId: string; workflowId: string; requestId: string }) {
      const request = await proveRequest(input.requestId, 'cancel', input.workflowId);
      return isRefusal(request) ? request : { actor: request.principalId, reason: request.reason };
    },

    cancelTask(input: {
      taskId: string;
      requestId: string | null;
      actor: string;
      reason: string | null;
      opKey: string;
    }) {
      return cancelTask(db, input);
    },
  };
}
