import type { LoggedEvent, SourceType } from './events.ts';

/*
 * Counting events: a window opens with the first event of its key and lasts a fixed time from then on. The event that
 * makes it full is told of once; what else falls into the window is counted and told of no more. Time is the time of
 * recording, so that a replay or a late retry counts as the first delivery did.
 */
export type EventWindow = {
  /** A changed wormhole begins anew. */
  version: number;
  startedAt: string;
  endsAt: string;
  count: number;
  first: { id: string; at: string };
  last: { id: string; at: string };
  /** The first of them, bounded. */
  eventIds: string[];
  /** `halo` as soon as one of the events is HALO's: what comes of them must not wake HALO. */
  sourceType: SourceType;
  correlationId: string | null;
};

export type WindowRule = { version: number; count: number; windowSeconds: number };

const keptIds = 100;

/** Counts one event; `isFull` for the one that makes the count. */
export function countEvent(
  window: EventWindow | null,
  event: LoggedEvent,
  rule: WindowRule,
): { window: EventWindow; isFull: boolean } {
  const isOpen = window !== null && window.version === rule.version && event.recordedAt < window.endsAt;
  const next = isOpen ? continued(window, event) : opened(event, rule);
  return { window: next, isFull: next.count === rule.count };
}

function opened(event: LoggedEvent, { version, windowSeconds }: WindowRule): EventWindow {
  const place = { id: event.id, at: event.recordedAt };
  return {
    version,
    startedAt: event.recordedAt,
    endsAt: new Date(Date.parse(event.recordedAt) + windowSeconds * 1000).toISOString(),
    count: 1,
    first: place,
    last: place,
    eventIds: [event.id],
    sourceType: event.sourceType === 'halo' ? 'halo' : 'system',
    correlationId: event.correlationId,
  };
}

function continued(window: EventWindow, event: LoggedEvent): EventWindow {
  const { count, eventIds } = window;
  return {
    ...window,
    count: count + 1,
    last: { id: event.id, at: event.recordedAt },
    eventIds: eventIds.length < keptIds ? [...eventIds, event.id] : eventIds,
    sourceType: event.sourceType === 'halo' ? 'halo' : window.sourceType,
  };
}
