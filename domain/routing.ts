import type { Strategy } from './delivery.ts';
import { type LoggedEvent, maxHops } from './events.ts';
import { type EventMatch, matchesEvent } from './subscription.ts';

/** A filter expression, ready to be asked. */
export type CompiledFilter = { matches(event: LoggedEvent): boolean };

/** What routing has to know of a subscription; `filter` is set for the strategy `filtered`. */
export type Routable = {
  key: string;
  strategy: Strategy;
  match: EventMatch;
  filter: CompiledFilter | null;
  enabled: boolean;
};

/**
 * The router (BUS-046, BUS-047): why this subscription does not get the event; null when it does. A direct one gets only
 * what names its destination; all others get what matches, whomever it is for.
 */
export function reasonAgainst(subscription: Routable, event: LoggedEvent): string | null {
  const { strategy, match, filter } = subscription;
  if (!subscription.enabled) return 'the subscription is switched off';
  if (event.path.length > maxHops) return `it has come through more than ${maxHops} stations`;
  if (!matchesEvent(match, event)) return 'type, severity or source do not match';
  if (strategy === 'direct' && (event.destination === null || event.destination !== match.destination))
    return `it is for ${event.destination ?? 'everybody'}, not for ${match.destination ?? 'nobody'}`;
  if (strategy === 'filtered' && filter?.matches(event) !== true) return 'the filter is not true for it';
  return null;
}
