import {
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  proxyLocalActivities,
} from '@temporalio/workflow';
import type { HaloSupersedingActivities } from '../activities/halo-superseding.ts';
import { notLearned } from './halo-lessons.ts';
import { supersededSignal } from './messages.ts';

const record = proxyLocalActivities<HaloSupersedingActivities>({
  startToCloseTimeout: '30s',
  scheduleToCloseTimeout: '60s',
  retry: { initialInterval: '200ms', maximumAttempts: 3 },
});

/**
 * Withdraws the proposals of earlier cycles that this one knows better than: first they are written down, then their runs
 * hear of it. What cannot be done now is said on the cycle, and the next one does it.
 */
export async function supersedeProposals(cycleId: string, proposed: string[]): Promise<void> {
  // Cycles from before proposals were superseded. May go after 2027-02.
  if (!patched('haloCycle-supersede-202611')) return;
  try {
    for (const { workflowId } of await record.supersedeProposals({ cycleId, proposed }))
      await tell(workflowId);
  } catch (error) {
    await notLearned(cycleId, 'supersede', error, null);
  }
}

async function tell(workflowId: string): Promise<void> {
  try {
    await getExternalWorkflowHandle(workflowId).signal(supersededSignal);
  } catch (error) {
    // A run that is gone waits for nobody; one that was not reached is told again by the relay.
    if (isCancellation(error)) throw error;
  }
}
