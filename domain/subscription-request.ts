import { memorySubscription } from './memory.ts';
import { subscriptionWorkflowId } from './names.ts';
import { haloSubscription, notifySubscription, wormholesSubscription } from './subscription.ts';

/** What a person asks of a running subscription; the run acts on the stored request and on nothing else. */
export const subscriptionActions = ['pause', 'resume', 'rewind'] as const;
export type SubscriptionAction = (typeof subscriptionActions)[number];

/** A place in the log: what lies behind it is handed over again. */
export type RewindTo = { tx: string; seq: string };

/** The key of the subscription that a run owns; null for any other run. */
export function subscriptionOf(workflowId: string): string | null {
  const before = subscriptionWorkflowId('');
  return workflowId.startsWith(before) ? workflowId.slice(before.length) : null;
}

export const subscriptionStates = ['active', 'paused', 'removed'] as const;
export type SubscriptionState = (typeof subscriptionStates)[number];

/** A subscription that was removed is switched off for good, or until its key is created again. */
export function subscriptionState(row: { enabled: boolean; pausedAt: Date | null }): SubscriptionState {
  if (!row.enabled) return 'removed';
  return row.pausedAt === null ? 'active' : 'paused';
}

/** A sealed address opens for the subscription it was sealed for and for no other. */
export function sealContext(key: string): string {
  return `subscription:${key}`;
}

/** Keys of this system's own subscriptions, also of those that this process has not made yet. */
const reservedKeys: readonly string[] = [
  haloSubscription.key,
  notifySubscription.key,
  wormholesSubscription.key,
  memorySubscription.key,
  'clusters',
];

export function isReservedKey(key: string): boolean {
  return reservedKeys.includes(key) || key.startsWith('cluster-');
}
