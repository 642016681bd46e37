import { proxyActivities } from '@temporalio/workflow';
import type { HaloTimerActivities } from '../activities/halo-timer.ts';

const { triggerByTime } = proxyActivities<HaloTimerActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '1s', maximumInterval: '10s', maximumAttempts: 4 },
});

/** One trigger of HALO, each few minutes by its schedule; a trigger that failed is not made up, as the next one follows. */
export async function haloTimer(): Promise<{ triggered: true }> {
  await triggerByTime();
  return { triggered: true };
}
