import type { Logger } from '@temporalio/worker';
import type { Database } from '../db/client.ts';
import { checkGrowth } from '../db/dead-letter-growth.ts';
import type { GrowthLimits } from '../domain/dead-letter.ts';
import { repeat, type Repeated } from './repeat.ts';

const everyMs = 10_000;

/** Looks whether dead letters grow. What it knows is in the record, so any number of workers may do it at once. */
export function watchDeadLetters(deps: { database: Database; limits: GrowthLimits; log: Logger }): Repeated {
  const { database, limits, log } = deps;
  return repeat(
    everyMs,
    async () => {
      await checkGrowth(database.db, limits);
    },
    (error) => {
      log.warn('Dead letters will be looked at again', {
        error: error instanceof Error ? error.message : String(error),
      });
    },
  );
}
