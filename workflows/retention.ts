import { CancellationScope, log, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { RetentionActivities } from '../activities/retention.ts';
import type { RetentionCounts } from '../domain/retention.ts';

const { dropOldMonths, deleteOldEvents, forgetOldKeys } = proxyActivities<RetentionActivities>({
  startToCloseTimeout: '30m',
  heartbeatTimeout: '2m',
  retry: { initialInterval: '2s', maximumInterval: '1m', maximumAttempts: 15 },
});
const { recordRetention } = proxyActivities<RetentionActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '1s', maximumInterval: '1m' },
});

/** Removes what the rules no longer keep, each hour by its schedule. What went is recorded also when a later step fails. */
export async function retention(): Promise<RetentionCounts> {
  const counts: RetentionCounts = { partitions: [], events: 0, keys: 0 };
  const failures: unknown[] = [];
  const step = async (name: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.warn('a step of the retention was given up; the next run repeats it', { step: name });
      failures.push(error);
    }
  };
  await step('dropOldMonths', async () => {
    counts.partitions = await dropOldMonths();
  });
  await step('deleteOldEvents', async () => {
    counts.events = await deleteOldEvents();
  });
  // Ids outlive their events, so they are looked at last.
  await step('forgetOldKeys', async () => {
    counts.keys = await forgetOldKeys();
  });
  const { runId } = workflowInfo();
  await CancellationScope.nonCancellable(() => recordRetention({ runId, counts }));
  if (failures.length > 0) throw failures[0];
  return counts;
}
