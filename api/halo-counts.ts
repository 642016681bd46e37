import type { Logger } from 'pino';
import type { Database } from '../db/client.ts';
import { countForHalo, type HaloCounterName, settleCounter } from '../db/halo-counters.ts';
import { triggerOf } from '../domain/halo-loop.ts';
import { describeError } from './problems.ts';
import type { TemporalHalo } from './temporal-halo.ts';

export type HaloCounts = {
  /** Counts in memory only; nothing waits for the record. */
  add(name: HaloCounterName, count?: number): void;
  /** Hands over what was counted so far. */
  flush(): Promise<void>;
};

type Deps = {
  database: Database;
  temporal: Pick<TemporalHalo, 'signalHalo'>;
  /** How many of each trigger HALO; 0 counts nothing. */
  thresholds: Record<HaloCounterName, number>;
  log: Logger;
  everyMs?: number;
};

/** Answered requests and errors on their way to HALO: added to the record at most once a second. */
export function createHaloCounts(deps: Deps): HaloCounts {
  const { database, temporal, thresholds, log, everyMs = 1_000 } = deps;
  const counted: Record<HaloCounterName, number> = { requests: 0, errors: 0 };
  let timer: NodeJS.Timeout | null = null;

  function wait(): void {
    if (timer !== null) return;
    timer = setTimeout(() => void flush(), everyMs);
    timer.unref();
  }

  async function hand(name: HaloCounterName): Promise<void> {
    const add = counted[name];
    if (add === 0) return;
    counted[name] = 0;
    let reached;
    try {
      reached = await countForHalo(database.db, { name, add, threshold: thresholds[name] });
    } catch (error) {
      log.debug({ err: describeError(error) }, 'counts for HALO could not be added; the next round does');
      counted[name] += add;
      return wait();
    }
    if (reached === null) return;
    try {
      await temporal.signalHalo(triggerOf(name));
      await settleCounter(database.db, reached);
    } catch (error) {
      log.warn({ err: describeError(error), name }, 'HALO was not reached; a worker tells it');
    }
  }

  async function flush(): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    await Promise.all([hand('requests'), hand('errors')]);
  }

  return {
    flush,
    add(name, count = 1) {
      if (thresholds[name] === 0 || count === 0) return;
      counted[name] += count;
      wait();
    },
  };
}
