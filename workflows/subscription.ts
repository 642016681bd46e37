import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { SubscriptionRequestActivities } from '../activities/subscription-requests.ts';
import type { SubscriptionActivities } from '../activities/subscriptions.ts';
import { taskQueues } from '../domain/names.ts';
import { stateAttribute } from './describe-run.ts';
import type { SubscriptionInput } from './inputs.ts';
import {
  pauseSignal,
  resumeSignal,
  rewindSignal,
  type SubscriptionRequest,
  type SubscriptionRunState,
  subscriptionStateQuery,
} from './messages.ts';
import { takeTurns } from './turns.ts';

/** A worker that dies is noticed within the heartbeat's time, so that its events go on within 5 s. */
const { consumeEvents } = proxyActivities<SubscriptionActivities>({
  taskQueue: taskQueues.bus,
  startToCloseTimeout: '30m',
  heartbeatTimeout: '3s',
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

const { readSubscription } = proxyActivities<SubscriptionActivities>({
  taskQueue: taskQueues.bus,
  startToCloseTimeout: '15s',
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

const requestActivities = proxyLocalActivities<SubscriptionRequestActivities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

/** About six events each: a run stays far below the size at which the server suggests a new one. */
const turnsPerRun = 100;
/** Far below the server's 10,000 signals per run (TRUST 2). */
const messagesPerRun = 500;

/** A lost signal is healed by a look at the record. */
const slowLook = '30s';

/**
 * Owns one subscription: keeps its consumers alive, turn after turn, until it is switched off. A pause, a resume or a
 * rewind is written to the record; the consumers hear of it from there and end their turns, so that the run starts them
 * anew with the row as it is now.
 */
export async function subscription(input: SubscriptionInput): Promise<void> {
  const { key } = input;
  const { runId } = workflowInfo();
  const { applySubscriptionRequest } = takeTurns()(requestActivities);
  let messages = 0;
  let applied = 0;
  let delivering: CancellationScope | null = null;
  const seen: SubscriptionRunState = {
    ...{ key, state: 'running', consumers: 0, turns: 0, delivered: 0, failed: 0 },
    waitingFor: 'its first look at the record',
  };

  const take =
    (action: 'pause' | 'resume' | 'rewind') =>
    async (request: SubscriptionRequest): Promise<void> => {
      messages += 1;
      if (messages >= messagesPerRun) delivering?.cancel();
      const opKey = `subscription.${action}:${runId}:${messages}`;
      const requestId = String((request as SubscriptionRequest | undefined)?.requestId ?? '');
      const answer = await applySubscriptionRequest({ key, action, requestId, opKey });
      if (answer.accepted) applied += 1;
    };
  setHandler(pauseSignal, take('pause'));
  setHandler(resumeSignal, take('resume'));
  setHandler(rewindSignal, take('rewind'));
  setHandler(subscriptionStateQuery, () => seen);

  // Runs from before there were lanes: one consumer, and nothing could be paused. May go after 2027-02.
  if (!patched('subscription-lanes-202611')) {
    for (let turn = 0; turn < turnsPerRun; turn += 1) {
      const before = applied;
      const { ended } = await consumeEvents({ key });
      if (ended === 'switched-off') return;
      if (ended === 'paused') await condition(() => applied > before, slowLook);
    }
    return renew();
  }

  const isSpent = (): boolean =>
    seen.turns >= turnsPerRun || messages >= messagesPerRun || workflowInfo().continueAsNewSuggested;

  while (!isSpent()) {
    const before = applied;
    const { status, consumers } = await readSubscription({ key });
    if (status === 'switched-off') {
      await condition(allHandlersFinished);
      return;
    }
    if (status === 'paused') {
      // Each look counts as a turn: a long pause begins anew as a running subscription does.
      seen.turns += 1;
      show('paused', 'a resume');
      await condition(() => applied > before || messages >= messagesPerRun, slowLook);
      continue;
    }
    show('running', 'events');
    delivering = new CancellationScope();
    try {
      await delivering.run(() =>
        Promise.all(Array.from({ length: consumers }, (_, consumer) => consume(consumer))),
      );
    } catch (error) {
      if (!isCancellation(error) || messages < messagesPerRun) throw error;
    }
  }
  return renew();

  /** Turn after turn of one consumer, until it has to begin with another row. */
  async function consume(consumer: number): Promise<void> {
    seen.consumers += 1;
    while (!isSpent()) {
      const { ended, delivered, failed } = await consumeEvents({ key, consumer });
      seen.turns += 1;
      seen.delivered += delivered;
      seen.failed += failed;
      if (ended !== 'turn-over' && ended !== 'taken-over') break;
    }
    seen.consumers -= 1;
  }

  function show(state: SubscriptionRunState['state'], waitingFor: string): void {
    // The attribute outlives a run that continues as new.
    if (workflowInfo().typedSearchAttributes.get(stateAttribute) !== state)
      upsertSearchAttributes([{ key: stateAttribute, value: state }]);
    seen.state = state;
    seen.waitingFor = waitingFor;
    setCurrentDetails(`**${state}**: waits for ${waitingFor}`);
  }

  async function renew(): Promise<never> {
    await condition(allHandlersFinished);
    return continueAsNew<typeof subscription>(input);
  }
}
