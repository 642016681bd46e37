import type { Client } from '@temporalio/client';
import { messageNames, subscriptionWorkflowId, taskQueues, workflowTaskTimeoutMs } from '../domain/names.ts';
import type { SubscriptionAction } from '../domain/subscription-request.ts';
import type { SubscriptionInput } from '../workflows/inputs.ts';
import { searchAttributesOf } from './search-attributes.ts';
import type { Deadlined } from './temporal-errors.ts';

export type SubscriptionAsk = { key: string; action: SubscriptionAction; requestId: string };

export type TemporalSubscriptions = {
  /** Starts the run that owns a subscription; one that is there already is what was wanted. */
  startSubscription(key: string): Promise<void>;
  /** Tells the run that a request is on record, and starts the run where there is none. */
  signalSubscription(ask: SubscriptionAsk): Promise<void>;
};

type Run = (input: SubscriptionInput) => Promise<void>;

export function createTemporalSubscriptions(client: Client, within: Deadlined): TemporalSubscriptions {
  const options = (key: string) => ({
    workflowId: subscriptionWorkflowId(key),
    taskQueue: taskQueues.main,
    workflowTaskTimeout: workflowTaskTimeoutMs,
    args: [{ key }] as [SubscriptionInput],
    workflowIdConflictPolicy: 'USE_EXISTING' as const,
    staticSummary: `Delivers events of subscription ${key}`,
    typedSearchAttributes: searchAttributesOf({
      kind: 'subscription',
      entity: key,
      state: 'running',
      severity: 'info',
      subsystem: 'bus',
    }),
  });

  return {
    startSubscription: (key) =>
      within(async () => {
        await client.workflow.start<Run>('subscription', options(key));
      }),

    signalSubscription: ({ key, action, requestId }) =>
      within(async () => {
        await client.workflow.signalWithStart<Run, [{ requestId: string }]>('subscription', {
          ...options(key),
          signal: messageNames[action],
          signalArgs: [{ requestId }],
        });
      }),
  };
}
