import { performance } from 'node:perf_hooks';
import type { Database } from '../db/client.ts';
import { isAfter, listEventsAfter } from '../db/event-tail.ts';
import type { EventFilter, EventRow, Position } from '../db/events.ts';
import { eventView, fits, placeOf } from './event-view.ts';
import type { LiveLog } from './live-log.ts';
import { encodeCursor } from './paging.ts';

/** A message of an event stream in the words of the HTML standard; its data is one line, as JSON always is. */
export function sseMessage(event: string, data: object, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The first words: when to come again, and from where, should the stream break off before anything else. */
export function opening(place: Position): string {
  return `retry: 2000\nid: ${encodeCursor(place)}\n\n`;
}

/** Says that the stream lives, and moves the place to resume from over what the filter left out. */
export function heartbeat(place: Position): string {
  return `: heartbeat\nid: ${encodeCursor(place)}\n\n`;
}

const messages = new WeakMap<EventRow, string>();

/** Made once for all streams that show the row. */
function messageOf(row: EventRow): string {
  let text = messages.get(row);
  if (text === undefined) {
    text = sseMessage('event', eventView(row), encodeCursor(placeOf(row)));
    messages.set(row, text);
  }
  return text;
}

const longestPage = 200;
/** A stream holds at most this much for a reader that does not take it, and one event more. */
const maxText = 1024 * 1024;

export type EventReader = {
  /** What comes next, as text to send; empty when nothing came in time. */
  next(ms: number, stop: AbortSignal): Promise<string>;
  place(): Position;
};

type Deps = { database: Database; live: LiveLog };

/** Reads the log from a place on: from the database as long as it is behind, with all others when it has caught up. */
export function createEventReader(
  { database, live }: Deps,
  filter: EventFilter,
  start: Position,
): EventReader {
  let place = start;
  let pageSize = longestPage;

  async function readOn(ms: number, stop: AbortSignal): Promise<EventRow[]> {
    const heldFrom = live.heldFrom();
    if (!isAfter(heldFrom, place)) return live.after(place, longestPage, ms, stop);
    const rows = await listEventsAfter(database.db, place, pageSize);
    // All before it was below the horizon when it was set, so nothing can be left there.
    if (rows.length === 0) place = heldFrom;
    return rows;
  }

  return {
    place: () => place,
    async next(ms, stop) {
      const until = performance.now() + ms;
      for (;;) {
        const rows = await readOn(Math.max(0, until - performance.now()), stop);
        let text = '';
        let taken = 0;
        for (const row of rows) {
          if (text.length > maxText) break;
          if (fits(row, filter)) text += messageOf(row);
          place = placeOf(row);
          taken += 1;
        }
        // Pages of large events are small: what does not go out at once would be read for nothing.
        pageSize = taken < rows.length ? Math.max(1, taken) : Math.min(longestPage, pageSize * 2);
        if (text !== '' || stop.aborted || performance.now() >= until) return text;
      }
    },
  };
}
