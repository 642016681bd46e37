import type { Strategy } from './delivery.ts';
import { isAtLeast, type LoggedEvent, type Priority, type Severity } from './events.ts';

export type EventMatch = {
  /** Exact types, or a prefix ending in `*`; an empty list matches every type. */
  types: string[];
  minSeverity: Severity;
  excludeSourceTypes: string[];
  /** Sources as `type:id`, which may end in `*`; without any, every source. */
  sources?: string[];
  /** Only events for this destination (strategy direct). */
  destination?: string;
  /** An expression over the event that must be true (strategy filtered). */
  filter?: string;
};

/** Lanes of a priority subscription, drained in this order. */
const priorityLanes = ['critical', 'high', 'normal', 'low'] as const satisfies readonly Priority[];

/** Most consumers that can share a balanced subscription. */
export const maxConsumers = 16;

/** What the consumers of a subscription read in order, each with a cursor of its own (BUS-066, BUS-067). */
export function lanesOf(subscription: { strategy: Strategy; consumers: number }): string[] {
  if (subscription.strategy === 'priority') return [...priorityLanes];
  if (subscription.strategy !== 'balanced') return ['all'];
  return Array.from({ length: subscription.consumers }, (_, share) => String(share));
}

/**
 * The bus wakes HALO on these four types at error or critical severity (LEDGER 1.2, K6). HALO's own events are
 * left out whatever their severity, so that a cycle can never trigger the next (K7, trap D10).
 */
export const haloSubscription = {
  key: 'halo',
  handler: 'halo.trigger',
  match: {
    types: ['squad.task.failed', 'api.endpoint.failed', 'graft.install.failed', 'agent.error'],
    minSeverity: 'error',
    excludeSourceTypes: ['halo'],
  } satisfies EventMatch,
} as const;

/** A finished deploy wakes HALO whatever its severity (LEDGER 1.2); a subscription of its own, as HALO's starts at errors. */
export const haloDeploySubscription = {
  key: 'halo-deploys',
  handler: haloSubscription.handler,
  match: {
    types: ['deploy.completed'],
    minSeverity: 'info',
    excludeSourceTypes: ['halo'],
  } satisfies EventMatch,
} as const;

/** A pattern is a whole type, or the beginning of one with a `*` behind it. */
export function matchesType(pattern: string, type: string): boolean {
  return pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : pattern === type;
}

/** Everything but what the mirror itself causes; which channel wants what is decided when the channels are read. */
export const notifySubscription = {
  key: 'notify',
  handler: 'notify.queue',
  match: { types: [], minSeverity: 'info', excludeSourceTypes: [] } satisfies EventMatch,
} as const;

/** A source pattern is `type:id`, or the beginning of one with a `*` behind it. */
function matchesSource(pattern: string, event: Pick<LoggedEvent, 'sourceType' | 'sourceId'>): boolean {
  return matchesType(pattern, `${event.sourceType}:${event.sourceId}`);
}

/** Hands every event to the wormholes that are switched on; each of them has a match of its own. */
export const wormholesSubscription = {
  key: 'wormholes',
  handler: 'wormholes.run',
  match: { types: [], minSeverity: 'info', excludeSourceTypes: [] } satisfies EventMatch,
} as const;

/** An event is delivered when type, severity and source all fit the subscription. */
export function matchesEvent(
  match: EventMatch,
  event: Pick<LoggedEvent, 'type' | 'severity' | 'sourceType' | 'sourceId'>,
): boolean {
  if (match.excludeSourceTypes.includes(event.sourceType)) return false;
  if (!isAtLeast(event.severity, match.minSeverity)) return false;
  const { sources = [] } = match;
  if (sources.length > 0 && !sources.some((pattern) => matchesSource(pattern, event))) return false;
  return match.types.length === 0 || match.types.some((pattern) => matchesType(pattern, event.type));
}
