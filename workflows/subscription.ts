import { continueAsNew, proxyActivities } from '@temporalio/workflow';
import type { SubscriptionActivities } from '../activities/subscriptions.ts';
import { taskQueues } from '../domain/names.ts';
import type { SubscriptionInput } from './inputs.ts';

const { consumeEvents } = proxyActivities<SubscriptionActivities>({
  taskQueue: taskQueues.bus,
  startToCloseTimeout: '30m',
  heartbeatTimeout: '5s',
  retry: { initialInterval: '500ms', maximumInterval: '10s' },
});

/** About six events each: a run stays far below the size at which the server suggests a new one. */
const turnsPerRun = 100;

/** Owns one subscription: keeps a consumer alive, turn after turn, until the subscription is switched off. */
export async function subscription(input: SubscriptionInput): Promise<void> {
  for (let turn = 0; turn < turnsPerRun; turn += 1) {
    const { ended } = await consumeEvents({ key: input.key });
    if (ended === 'switched-off') return;
  }
  return continueAsNew<typeof subscription>(input);
}
