import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { rootCause, TemporalFailure } from '@temporalio/common';
import type { ReplayActivities } from '../activities/replays.ts';
import { isRefusal, refuse } from '../domain/refusal.ts';
import { replayPauseMs, type ReplayState } from '../domain/replay.ts';
import { fail } from './approval-gate.ts';
import { stateAttribute } from './describe-run.ts';
import type { ReplayInput } from './inputs.ts';
import { cancelUpdate, type ReplayRunState, replayStateQuery, type TaskAnswer } from './messages.ts';
import { takeTurns } from './turns.ts';

const replayActivities = proxyLocalActivities<ReplayActivities>({
  startToCloseTimeout: '60s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

/** Far below the size at which the server suggests a new run. */
const stepsPerRun = 50;

/**
 * One replay: queues the selected events page by page, waits until each was handed over, and says how it ended. The row
 * is the record of how far it is; this run moves it, and no event is in its history.
 */
export async function replay(input: ReplayInput): Promise<ReplayRunState> {
  const { replayId } = input;
  const { workflowId, runId } = workflowInfo();
  const life: ReplayRunState = { replayId, state: 'running', waitingFor: 'the record' };
  let cancelAsked: { actor: string; reason: string | null; requestId: string } | null = null;
  let { looks } = input;
  let ends = 0;
  const record = takeTurns()(replayActivities);
  const isCancelAsked = (): boolean => cancelAsked !== null && life.state === 'running';

  setHandler(replayStateQuery, () => life);
  setHandler(cancelUpdate, async ({ requestId }): Promise<TaskAnswer> => {
    const proof = await record.acceptReplayCancel({ replayId, workflowId, requestId });
    if (isRefusal(proof)) return { accepted: false, ...proof };
    cancelAsked ??= { requestId, ...proof };
    await condition(() => life.state !== 'running');
    if (life.state === 'cancelled') return { accepted: true, state: life.state };
    return {
      accepted: false,
      ...refuse('CONFLICT', `The replay is ${life.state}; there is nothing to cancel.`),
    };
  });

  const claimed = await record.claimReplay({ replayId, runId });
  if (isRefusal(claimed)) throw fail(claimed);
  life.state = claimed.state;
  let { isQueued } = claimed;

  try {
    for (let steps = 0; ; steps += 1) {
      if (steps >= stepsPerRun || workflowInfo().continueAsNewSuggested) {
        // A cancellation that is accepted while handlers are waited for would wait for this run in turn.
        await condition(() => allHandlersFinished() || isCancelAsked());
        if (!isCancelAsked()) return await continueAsNew<typeof replay>({ replayId, looks });
      }
      if (isCancelAsked()) await cancel();
      else if (life.state !== 'running') {
        if (await isCleared()) break;
      } else if (isQueued) await awaitDeliveries();
      else await queuePage();
    }
    await condition(allHandlersFinished);
    return life;
  } catch (error) {
    if (isCancellation(error)) await CancellationScope.nonCancellable(cancelledFromOutside);
    throw error;
  }

  function enter(waitingFor: string): void {
    life.waitingFor = waitingFor;
    setCurrentDetails(`**${life.state}**: waits for ${waitingFor}`);
  }

  async function rest(waitingFor: string): Promise<void> {
    enter(waitingFor);
    await condition(isCancelAsked, replayPauseMs(looks));
    looks += 1;
  }

  async function queuePage(): Promise<void> {
    try {
      const page = await record.queueReplayPage({ replayId });
      if (page.end === 'over') await end('failed', 'It was ended in the record by something else.');
      else if (page.end === 'behind') await rest('transactions that were open when it was asked for');
      else {
        enter(`pages; ${page.queued} events are queued`);
        looks = 0;
        isQueued = page.end === 'all';
      }
    } catch (error) {
      if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
      await end('failed', rootCause(error) ?? error.message);
    }
  }

  async function awaitDeliveries(): Promise<void> {
    const open = await record.countOpenDeliveries({ replayId });
    if (open > 0) await rest(`${open} deliveries`);
    else await end('done', null);
  }

  async function cancel(): Promise<void> {
    if (cancelAsked === null) return;
    const { actor, reason, requestId } = cancelAsked;
    await end('cancelled', reason, actor, requestId);
  }

  async function end(
    state: Exclude<ReplayState, 'running'>,
    because: string | null,
    actor = 'system',
    requestId: string | null = null,
  ): Promise<void> {
    ends += 1;
    const opKey = `replay.end:${runId}:${ends}`;
    const ended = await record.endReplay({ replayId, state, because, actor, requestId, opKey });
    if (ended.state === 'running') return;
    life.state = ended.state;
    looks = 0;
    enter(ended.state === 'done' ? 'nothing: it has ended' : 'deliveries under way');
    upsertSearchAttributes([{ key: stateAttribute, value: ended.state }]);
  }

  /** Of a replay that ended early, what nobody has begun is taken back, and what is under way is waited for. */
  async function isCleared(): Promise<boolean> {
    if (life.state === 'done') return true;
    const open = await record.withdrawReplay({ replayId });
    if (open > 0) await rest(`${open} deliveries under way`);
    return open === 0;
  }

  /** Somebody cancelled the run in Temporal itself; nothing more may be handed over. */
  async function cancelledFromOutside(): Promise<void> {
    await end('cancelled', 'the run was cancelled in Temporal', 'temporal');
    while (!(await isCleared()));
  }
}
