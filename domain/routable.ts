import type { Strategy } from './delivery.ts';
import { compileFilter } from './event-filter.ts';
import { isRefusal, type Refusal } from './refusal.ts';
import type { Routable } from './routing.ts';
import type { EventMatch } from './subscription.ts';

type Stored = { key: string; strategy: Strategy; match: EventMatch; enabled: boolean };

/** A stored subscription ready to be routed to; a refusal where its filter cannot be read any more. */
export function routableOf({ key, strategy, match, enabled }: Stored): Routable | Refusal {
  const filter = strategy === 'filtered' ? compileFilter(match.filter ?? '') : null;
  return isRefusal(filter) ? filter : { key, strategy, match, filter, enabled };
}
