import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { Logger } from '@temporalio/worker';
import type { Database } from '../db/client.ts';
import {
  type DecisionRequestRow,
  acknowledge,
  listOpenRequests,
  refuseRequest,
  settleAccepted,
} from '../db/decision-requests.ts';
import { deleteEndedDeliveries } from '../db/deliveries.ts';
import { ageMemory, pruneMarks } from '../db/memory.ts';
import { recordFailed } from '../db/notification-end.ts';
import {
  deleteEndedNotifications,
  listStrandedNotifications,
  listUnstartedNotifications,
} from '../db/notifications.ts';
import { listUntoldCounters, settleCounter } from '../db/halo-counters.ts';
import { deleteEndedRedrives, listLiveRedrives } from '../db/redrives.ts';
import { endReplay, withdrawReplay } from '../db/replay-run.ts';
import { deleteEndedReplays, getReplay, listUnstartedReplays } from '../db/replays.ts';
import { listSubscriptions } from '../db/subscriptions.ts';
import { claimSuperseded } from '../db/superseded.ts';
import { cancelTask } from '../db/task-end.ts';
import { getTask, listUnstartedTasks } from '../db/tasks.ts';
import { deleteAllOldResults } from '../db/wormhole-results.ts';
import { triggerOf } from '../domain/halo-loop.ts';
import { messageNames, replayWorkflowId } from '../domain/names.ts';
import { refuse } from '../domain/refusal.ts';
import { subscriptionOf } from '../domain/subscription-request.ts';
import { isEnded } from '../domain/task.ts';
import { each, repeat, type Repeated } from './repeat.ts';
import type { Runs } from './runs.ts';

/** Younger rows are still in the hands of the API process that wrote them. */
const graceMs = 3_000;
const everyMs = 1_000;
const slowEvery = 10;
const batch = 100;
const tellAgainMs = 10_000;
/** A superseded proposal is withdrawn within this time after its run was told; else its signal was lost. */
const supersededMs = 5_000;
/** A notification whose run has had the hour it takes at most, and two more. */
const strandedMs = 3 * 3_600_000;
const cleanEvery = 600;
const notificationDays = 30;
const deliveryDays = 7;
const replayDays = 90;
const redriveDays = 90;

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
 * request that no run has answered, a notification, a replay or a subscription without a run, a task or a replay whose run
 * was ended from outside. Any number of workers may do it at once.
 */
export function startRelay(deps: { database: Database; runs: Runs; log: Logger }): Repeated {
  const { db } = deps.database;

  function warn(error: unknown): void {
    deps.log.warn('The relay will try again', {
      error: error instanceof Error ? error.message : String(error),
    });
  }

  const toldAt = new Map<string, number>();

  /** Each telling is a line in the run's history, so a run that is slow to answer is not told every round. */
  async function tellSubscription(key: string, { id, action }: DecisionRequestRow): Promise<void> {
    const now = Date.now();
    for (const [told, at] of toldAt) if (at + tellAgainMs < now) toldAt.delete(told);
    if (toldAt.has(id)) return;
    toldAt.set(id, now);
    await deps.runs.tellSubscription(key, action, id);
  }

  async function subjectOf({ workflowId, subjectId }: DecisionRequestRow) {
    if (workflowId.startsWith(replayWorkflowId(''))) {
      const state = (await getReplay(db, subjectId))?.state ?? null;
      return { what: 'replay', state, isOpen: state === 'running' };
    }
    const state = (await getTask(db, subjectId))?.state ?? null;
    return { what: 'task', state, isOpen: state !== null && !isEnded(state) };
  }

  async function answer(request: DecisionRequestRow): Promise<void> {
    const key = subscriptionOf(request.workflowId);
    if (key !== null) return tellSubscription(key, request);
    if (request.action === 'pause' || request.action === 'resume') {
      // Whoever asked has had no answer by now and asks again; a late pause would surprise them.
      await refuseRequest(db, request, refuse('CONFLICT', 'HALO was not reached in time; ask again.'));
      return;
    }
    try {
      const said = await deps.runs.sendAgain({ ...request, ...messageOf(request) });
      if (said.accepted) await settleAccepted(db, request.id);
      else await refuseRequest(db, request, refuse(said.refused, said.message));
      await acknowledge(db, request.id);
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError || error instanceof WorkflowUpdateFailedError))
        throw error;
      const { what, state, isOpen } = await subjectOf(request);
      // Without a run yet, its start comes first; the request is sent in a later round.
      if (isOpen && error instanceof WorkflowNotFoundError) return;
      const why = state === null ? 'is gone' : `is ${state}`;
      await refuseRequest(db, request, refuse('CONFLICT', `The ${what} ${why}; the request came too late.`));
      await acknowledge(db, request.id);
    }
  }

  /** A run that was ended in Temporal itself leaves no task behind that waits for nobody. */
  async function closeBroken(broken: { workflowId: string; runId: string; status: string }): Promise<void> {
    const taskId = broken.workflowId.split('/')[1] ?? '';
    const task = await getTask(db, taskId);
    if (task === null || task.runId !== broken.runId || isEnded(task.state)) return;
    const reason = `the run ended in Temporal: ${broken.status.toLowerCase()}`;
    const opKey = `task.broken:${broken.runId}`;
    await cancelTask(db, { taskId, requestId: null, actor: 'temporal', reason, opKey });
  }

  async function closeBrokenReplay(broken: {
    workflowId: string;
    runId: string;
    status: string;
  }): Promise<void> {
    const replayId = broken.workflowId.split('/')[1] ?? '';
    const found = await getReplay(db, replayId);
    if (found === null || found.runId !== broken.runId) return;
    const because = `the run ended in Temporal: ${broken.status.toLowerCase()}`;
    const opKey = `replay.broken:${broken.runId}`;
    const end = { replayId, because, actor: 'temporal', requestId: null, opKey };
    if (found.state === 'running') await endReplay(db, { ...end, state: 'failed' });
    if (found.outcome === null) await withdrawReplay(deps.database.log, replayId);
  }

  async function tellSuperseded({ workflowId }: { workflowId: string }): Promise<void> {
    try {
      await deps.runs.signal(workflowId, messageNames.superseded);
    } catch (error) {
      // A run that was ended in Temporal itself withdraws nothing; its task is closed as a broken one.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }

  async function round(count: number): Promise<void> {
    await each(await listUnstartedTasks(db, graceMs, batch), (row) => deps.runs.startTask(row), warn);
    await each(await listOpenRequests(db, graceMs, batch), answer, warn);
    await each(
      await listUnstartedNotifications(db, graceMs, batch),
      (row) => deps.runs.startNotification(row),
      warn,
    );
    await each(await listUnstartedReplays(db, graceMs, batch), (row) => deps.runs.startReplay(row), warn);
    await each(
      await listUntoldCounters(db, graceMs),
      async (counter) => {
        await deps.runs.signalHalo(triggerOf(counter.name));
        await settleCounter(db, counter);
      },
      warn,
    );
    if (count % slowEvery !== 0) return;
    await each(await claimSuperseded(db, supersededMs, batch), tellSuperseded, warn);
    await each(await deps.runs.listBrokenRuns('task'), closeBroken, warn);
    await each(await deps.runs.listBrokenRuns('replay'), closeBrokenReplay, warn);
    await each(await listSubscriptions(db), ({ key }) => deps.runs.startSubscription(key), warn);
    await each(await listLiveRedrives(db, graceMs, batch), (row) => deps.runs.startRedrive(row), warn);
    await each(
      await listStrandedNotifications(db, strandedMs, batch),
      (notificationId) =>
        recordFailed(db, { notificationId, reason: 'Its run ended in Temporal before it was sent.' }),
      warn,
    );
    if (count % cleanEvery !== 0) return;
    await deleteEndedNotifications(deps.database.log, notificationDays, 10_000);
    await deleteEndedDeliveries(deps.database.log, deliveryDays, 10_000);
    await deleteEndedReplays(deps.database.log, replayDays, 10_000);
    await deleteEndedRedrives(db, redriveDays, 100);
    await deleteAllOldResults(db);
    await ageMemory(deps.database.log, 10_000);
    await pruneMarks(deps.database.log, 10_000);
  }

  return repeat(everyMs, round, warn);
}
