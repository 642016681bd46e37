import { activityInfo, heartbeat } from '@temporalio/activity';
import type { Database } from '../db/client.ts';
import {
  deleteExpiredEvents,
  deleteExpiredKeys,
  detachPartition,
  dropDetached,
  recordRetention,
} from '../db/retention.ts';
import { hasRemoved, type RetentionCounts } from '../domain/retention.ts';

export type RetentionActivities = ReturnType<typeof createRetentionActivities>;

const batch = 5_000;

/** What is kept between batches: a try that ends halfway is gone on with, and nothing it removed is left uncounted. */
function progress<T>(empty: T): T {
  return (activityInfo().heartbeatDetails as T | undefined) ?? empty;
}

export function createRetentionActivities({ database }: { database: Database }) {
  const { db, log } = database;

  async function inBatches(step: () => Promise<number>): Promise<number> {
    let total = progress(0);
    for (let gone = batch; gone === batch;) {
      gone = await step();
      total += gone;
      heartbeat(total);
    }
    return total;
  }

  return {
    /** Takes months that are over out of the log and drops them; a lock that cannot be had soon fails this try. */
    async dropOldMonths(): Promise<RetentionCounts['partitions']> {
      const dropped = progress<RetentionCounts['partitions']>([]);
      // A month that an earlier try took out and did not get to drop comes first.
      for (let isMore = true; isMore;) {
        for (let part = await dropDetached(log); part !== null; part = await dropDetached(log)) {
          dropped.push(part);
          heartbeat(dropped);
        }
        isMore = (await detachPartition(log)) !== null;
      }
      return dropped;
    },

    deleteOldEvents: (): Promise<number> => inBatches(() => deleteExpiredEvents(log, batch)),

    forgetOldKeys: (): Promise<number> => inBatches(() => deleteExpiredKeys(log, batch)),

    /** Tells and audits what a run removed; a run that removed nothing is not worth a line. */
    async recordRetention(input: { runId: string; counts: RetentionCounts }): Promise<void> {
      if (!hasRemoved(input.counts)) return;
      await recordRetention(db, { counts: input.counts, opKey: `retention.apply:${input.runId}` });
    },
  };
}
