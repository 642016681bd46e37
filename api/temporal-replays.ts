import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { replayWorkflowId, taskQueues, workflowTaskTimeoutMs } from '../domain/names.ts';
import type { ReplayInput } from '../workflows/inputs.ts';
import { searchAttributesOf } from './search-attributes.ts';
import type { Deadlined } from './temporal-errors.ts';

export type TemporalReplays = {
  /** Starts the run of a replay; one that was started before counts as success. */
  startReplay(start: { replayId: string; subscription: string }): Promise<{ runId: string | null }>;
};

type Run = (input: ReplayInput) => Promise<unknown>;

export function createTemporalReplays(client: Client, within: Deadlined): TemporalReplays {
  return {
    startReplay: ({ replayId, subscription }) =>
      within(async () => {
        try {
          const handle = await client.workflow.start<Run>('replay', {
            workflowId: replayWorkflowId(replayId),
            taskQueue: taskQueues.main,
            workflowTaskTimeout: workflowTaskTimeoutMs,
            args: [{ replayId, looks: 0 }],
            workflowIdConflictPolicy: 'USE_EXISTING',
            workflowIdReusePolicy: 'REJECT_DUPLICATE',
            staticSummary: `Hands recorded events to ${subscription} again`,
            typedSearchAttributes: searchAttributesOf({
              kind: 'replay',
              entity: subscription,
              state: 'running',
              severity: 'info',
              subsystem: 'bus',
            }),
          });
          return { runId: handle.firstExecutionRunId };
        } catch (error) {
          if (error instanceof WorkflowExecutionAlreadyStartedError) return { runId: null };
          throw error;
        }
      }),
  };
}
