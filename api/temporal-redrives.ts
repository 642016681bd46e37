import type { Client } from '@temporalio/client';
import { redriveWorkflowId, taskQueues, workflowTaskTimeoutMs } from '../domain/names.ts';
import { redriveSummary } from '../domain/redrive.ts';
import type { RedriveInput } from '../workflows/inputs.ts';
import { redriveCancelledSignal } from '../workflows/messages.ts';
import { searchAttributesOf } from './search-attributes.ts';
import type { Deadlined } from './temporal-errors.ts';

export type RedriveStart = { redriveId: string; total: number; state: string };

export type TemporalRedrives = {
  /** Starts the run of a redrive; one that runs already counts as success. */
  startRedrive(start: RedriveStart): Promise<{ runId: string | null }>;
  /** Makes a run look whether its redrive was cancelled. */
  signalRedrive(redriveId: string): Promise<void>;
};

export function createTemporalRedrives(client: Client, within: Deadlined): TemporalRedrives {
  return {
    startRedrive: ({ redriveId, total, state }) =>
      within(async () => {
        const handle = await client.workflow.start<(input: RedriveInput) => Promise<unknown>>('redrive', {
          workflowId: redriveWorkflowId(redriveId),
          taskQueue: taskQueues.main,
          workflowTaskTimeout: workflowTaskTimeoutMs,
          args: [{ redriveId }],
          workflowIdConflictPolicy: 'USE_EXISTING',
          staticSummary: redriveSummary(total),
          typedSearchAttributes: searchAttributesOf({
            ...{ kind: 'redrive', entity: redriveId, state, severity: 'info', subsystem: 'bus' },
          }),
        });
        return { runId: handle.firstExecutionRunId };
      }),

    signalRedrive: (redriveId) =>
      within(() => client.workflow.getHandle(redriveWorkflowId(redriveId)).signal(redriveCancelledSignal)),
  };
}
