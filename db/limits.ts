import { sql } from 'drizzle-orm';
import { type RateLimiterAbstract, RateLimiterDrizzle, RateLimiterMemory } from 'rate-limiter-flexible';
import type { Db } from './client.ts';
import { idempotencyKeys, limitCounters } from './schema/index.ts';

/** How much was counted in the running window, and when the window ends. */
export type Counted = { count: number; resetMs: number };

/** Counts in windows that begin with their first count; who is over a limit is for the caller to say. */
export type Counter = {
  add(key: string, points: number, windowMs: number): Promise<Counted>;
  /** Gives back what was counted for something that was then refused. */
  giveBack(key: string, points: number, windowMs: number): Promise<void>;
};

function counterOver(limiter: RateLimiterAbstract): Counter {
  const window = (windowMs: number) => ({ customDuration: windowMs / 1000 });
  return {
    // A "penalty" counts like "consume", and answers with the count also where that is over a limit.
    async add(key, points, windowMs) {
      const counted = await limiter.penalty(key, points, window(windowMs));
      return { count: counted.consumedPoints, resetMs: Math.max(0, counted.msBeforeNext) };
    },
    async giveBack(key, points, windowMs) {
      await limiter.reward(key, points, window(windowMs));
    },
  };
}

/** Counts for all processes, each count one statement on one row. */
export function createCounter(db: Db): Counter {
  const options = { keyPrefix: '', points: 1, duration: 60 };
  return counterOver(
    // Its own clean-up deletes without a bound and writes to the console; `deleteExpired` takes its place.
    new RateLimiterDrizzle({
      ...options,
      storeClient: db,
      schema: limitCounters,
      clearExpiredByTimeout: false,
    }),
  );
}

/** Counts in this process alone: the insurance for reads while the database does not answer. */
export function createMemoryCounter(): Counter {
  return counterOver(new RateLimiterMemory({ keyPrefix: '', points: 1, duration: 60 }));
}

/** Deletes counters and idempotency keys that are over, so many at most; answers how many there were. */
export async function deleteExpired(db: Db, batch: number): Promise<number> {
  const counters = await db.execute(sql`
    delete from ${limitCounters} where key in (
      select key from ${limitCounters} where expire < now() order by expire limit ${batch} for update skip locked)
    returning 1`);
  const keys = await db.execute(sql`
    delete from ${idempotencyKeys} where (principal_id, route, key) in (
      select principal_id, route, key from ${idempotencyKeys}
      where expires_at < now() order by expires_at limit ${batch} for update skip locked)
    returning 1`);
  return counters.length + keys.length;
}
