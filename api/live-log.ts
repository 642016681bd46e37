import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../db/client.ts';
import { endOfLog, isAfter, listEventsAfter } from '../db/event-tail.ts';
import { type EventRow, hasHiddenAfter, type Position } from '../db/events.ts';
import { listenForEvents, newEvents, type Wakeups } from '../db/wakeups.ts';
import { placeOf } from './event-view.ts';
import { describeError } from './problems.ts';

/*
 * The newest events of the log, read once for all who follow it. Readers take from it by a place of their own, so that
 * a slow one costs no memory: what it has not taken yet falls out at the other end, and it reads on from the database
 * until it has caught up.
 */
export type LiveLog = {
  /** Behind this place the log is held here; what lies before it has to be read from the database. */
  heldFrom(): Position;
  /**
   * The next rows behind a place that is not before `heldFrom`; resolves when there are any, after `ms`, or at the
   * signal. None also when so much came meanwhile that the place now lies before `heldFrom`.
   */
  after(place: Position, limit: number, ms: number, signal: AbortSignal): Promise<EventRow[]>;
};

type Held = { row: EventRow; place: Position; bytes: number };

const readAtOnce = 200;
const maxHeld = 2_000;
const maxBytes = 16 * 1024 * 1024;
const slowPollMs = 1_000;
const longestHorizonPollMs = 250;
const afterFaultMs = 500;

type Deps = { database: Database; log: Logger };

/** The live log while anybody reads it: the first reader begins it, the last one ends it. */
export function createLiveLog(deps: Deps): { join(): Promise<LiveLog>; leave(): void } {
  let wakeups: Promise<Wakeups> | null = null;
  let current: { log: Promise<LiveLog>; ending: AbortController } | null = null;
  let readers = 0;

  async function begin(signal: AbortSignal): Promise<LiveLog> {
    wakeups ??= listenForEvents(deps.database.log).catch((error: unknown) => {
      wakeups = null;
      throw error;
    });
    return follow(deps, await wakeups, await endOfLog(deps.database.log), signal);
  }

  function leave(): void {
    readers -= 1;
    if (readers > 0) return;
    current?.ending.abort();
    current = null;
  }

  return {
    leave,
    async join() {
      readers += 1;
      const ending = new AbortController();
      current ??= { log: begin(ending.signal), ending };
      const joined = current;
      try {
        return await joined.log;
      } catch (error) {
        // The next one tries anew; who waited for the same attempt fails with it.
        if (current === joined) current = null;
        leave();
        throw error;
      }
    },
  };
}

function follow({ database, log }: Deps, wakeups: Wakeups, begin: Position, signal: AbortSignal): LiveLog {
  let held: Held[] = [];
  let bytes = 0;
  let from = begin;
  let to = begin;
  const waiting = new Set<() => void>();

  function append(rows: EventRow[]): void {
    for (const row of rows) {
      const one = { row, place: placeOf(row), bytes: sizeOf(row) };
      held.push(one);
      bytes += one.bytes;
      to = one.place;
    }
    let dropped = 0;
    while (held.length - dropped > maxHeld || bytes > maxBytes) {
      const one = held[dropped];
      if (one === undefined) break;
      bytes -= one.bytes;
      from = one.place;
      dropped += 1;
    }
    if (dropped > 0) held = held.slice(dropped);
    for (const wake of [...waiting]) wake();
  }

  async function tail(): Promise<void> {
    let pollMs = 0;
    while (!signal.aborted)
      try {
        const mark = wakeups.mark([newEvents]);
        const rows = await listEventsAfter(database.db, to, readAtOnce);
        if (rows.length > 0) {
          append(rows);
          pollMs = 0;
          continue;
        }
        // Announced rows can still be above the horizon; it moves as soon as older transactions end.
        const isHidden = await hasHiddenAfter(database.log, to);
        pollMs = isHidden ? Math.min(Math.max(pollMs * 2, 4), longestHorizonPollMs) : 0;
        await wakeups.after([newEvents], mark, isHidden ? pollMs : slowPollMs, signal);
      } catch (error) {
        log.warn({ err: describeError(error) }, 'the log could not be read; trying again');
        await sleep(afterFaultMs, undefined, { signal }).catch(() => undefined);
      }
  }
  void tail();

  function behind(place: Position, limit: number): EventRow[] {
    let low = 0;
    for (let high = held.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (isAfter(held[middle]?.place ?? to, place)) high = middle;
      else low = middle + 1;
    }
    return held.slice(low, low + limit).map(({ row }) => row);
  }

  function grown(ms: number, stop: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        waiting.delete(done);
        stop.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      waiting.add(done);
      stop.addEventListener('abort', done, { once: true });
    });
  }

  return {
    heldFrom: () => from,
    async after(place, limit, ms, stop) {
      const rows = behind(place, limit);
      if (rows.length > 0 || stop.aborted) return rows;
      await grown(ms, stop);
      // What came may have been more than is held: then the reader is behind and goes on in the database.
      return isAfter(from, place) ? [] : behind(place, limit);
    },
  };
}

/** About what a row takes in memory; counted on the text of its parts that can be large. */
function sizeOf({ payload, metadata }: EventRow): number {
  return 500 + 2 * (JSON.stringify(payload).length + JSON.stringify(metadata).length);
}
