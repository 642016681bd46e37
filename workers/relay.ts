import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { Logger } from '@temporalio/worker';
import type { Database } from '../db/client.ts';
import { type DecisionRequestRow, listOpenRequests, refuseRequest } from '../db/decision-requests.ts';
import { listSubscriptions } from '../db/subscriptions.ts';
import { getTask, listUnstartedTasks } from '../db/tasks.ts';
import { messageNames } from '../domain/names.ts';
import { refuse } from '../domain/refusal.ts';
import { isEnded } from '../domain/task.ts';
import type { Runs } from './runs.ts';

/** Younger rows are still in the hands of the API process that wrote them. */
const graceMs = 3_000;
const everyMs = 1_000;
const subscriptionsEvery = 30;
const batch = 100;

function messageOf(request: DecisionRequestRow): { update: string; args: unknown } {
  if (request.action === 'dispatch')
    return { update: messageNames.dispatch, args: { requestId: request.id } };
  if (request.action === 'cancel') return { update: messageNames.cancel, args: { requestId: request.id } };
  const { approvalId, action, principalId, digest, reason, id } = request;
  return {
    update: messageNames.decide,
    args: { approvalId, decision: action, principalId, digest, reason, requestId: id },
  };
}

/**
 * Repairs what was lost between Postgres and Temporal (DESIGN 7): a stored task whose run never started, a stored
 * request that no run has answered, a subscription without a run. Any number of workers may do it at once.
 */
export function startRelay(deps: { database: Database; runs: Runs; log: Logger }): { stop(): Promise<void> } {
  const { db } = deps.database;
  let stopped = false;
  let wake: () => void = () => undefined;

  async function startLostTasks(): Promise<void> {
    for (const row of await listUnstartedTasks(db, graceMs, batch)) await deps.runs.startTask(row);
  }

  async function answer(request: DecisionRequestRow): Promise<void> {
    try {
      await deps.runs.sendAgain({ ...request, ...messageOf(request) });
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError || error instanceof WorkflowUpdateFailedError))
        throw error;
      const task = await getTask(db, request.subjectId);
      // Without a run yet, startLostTasks comes first and the request is sent in a later round.
      if (task !== null && !isEnded(task.state) && error instanceof WorkflowNotFoundError) return;
      const why = task === null ? 'is gone' : `is ${task.state}`;
      await refuseRequest(db, request, refuse('CONFLICT', `The task ${why}; the request came too late.`));
    }
  }

  async function round(count: number): Promise<void> {
    await startLostTasks();
    for (const request of await listOpenRequests(db, graceMs, batch)) await answer(request);
    if (count % subscriptionsEvery !== 0) return;
    for (const { key, enabled } of await listSubscriptions(db))
      if (enabled) await deps.runs.startSubscription(key);
  }

  async function loop(): Promise<void> {
    for (let count = 0; !stopped; count += 1) {
      await round(count).catch((error: unknown) => {
        deps.log.warn('The relay will try again', {
          error: error instanceof Error ? error.message : String(error),
        });
      });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, everyMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  const running = loop();
  return {
    stop() {
      stopped = true;
      wake();
      return running;
    },
  };
}
