import { type Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
import { probeScheduleId, probeWorkflowId, taskQueues, workflowTaskTimeoutMs } from '../domain/names.ts';
import type { ProbeRunInput } from '../workflows/inputs.ts';
import { searchAttributesOf } from './search-attributes.ts';
import type { Deadlined } from './temporal-errors.ts';

export type ProbeSchedules = {
  /** Makes sure that the schedule of a probe exists and is running or paused as wanted. */
  putProbeSchedule(wanted: { probeId: string; intervalSeconds: number; paused: boolean }): Promise<void>;
};

type ProbeRun = (input: ProbeRunInput) => Promise<unknown>;

export function createProbeSchedules(client: Client, within: Deadlined): ProbeSchedules {
  async function create(probeId: string, intervalSeconds: number, paused: boolean): Promise<void> {
    await client.schedule.create<ProbeRun>({
      scheduleId: probeScheduleId(probeId),
      spec: { intervals: [{ every: intervalSeconds * 1000 }] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '10s' },
      state: { paused },
      action: {
        type: 'startWorkflow',
        workflowType: 'probeRun',
        workflowId: probeWorkflowId(probeId, 'scheduled'),
        taskQueue: taskQueues.main,
        workflowTaskTimeout: workflowTaskTimeoutMs,
        args: [{ probeId }],
        typedSearchAttributes: searchAttributesOf({ kind: 'probe', entity: probeId, subsystem: 'forge' }),
      },
    });
  }

  return {
    putProbeSchedule: ({ probeId, intervalSeconds, paused }) =>
      within(async () => {
        try {
          await create(probeId, intervalSeconds, paused);
        } catch (error) {
          if (!(error instanceof ScheduleAlreadyRunning)) throw error;
          const handle = client.schedule.getHandle(probeScheduleId(probeId));
          await (paused ? handle.pause('switched off') : handle.unpause('switched on'));
        }
      }),
  };
}
