import { WorkflowNotFoundError } from '@temporalio/client';
import type { Logger } from '@temporalio/worker';
import type { Database } from '../db/client.ts';
import { claimWaits } from '../db/task-wait.ts';
import { messageNames } from '../domain/names.ts';
import { each, repeat, type Repeated } from './repeat.ts';
import type { Runs } from './runs.ts';

const everyMs = 1_000;
const batch = 500;

/**
 * Tells the runs of tasks that waited for their time, for what they depend on or for a place of their agent to ask again,
 * the most urgent first. A telling that is lost is repeated; any number of workers may do it at once.
 */
export function wakeWaitingTasks(deps: {
  database: Database;
  runs: Pick<Runs, 'signal'>;
  log: Logger;
}): Repeated {
  function warn(error: unknown): void {
    deps.log.warn('Waiting tasks will be told again', {
      error: error instanceof Error ? error.message : String(error),
    });
  }

  async function tell(workflowId: string): Promise<void> {
    try {
      await deps.runs.signal(workflowId, messageNames.release);
    } catch (error) {
      // A run that has ended begins nothing; its task is put right by the relay.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }

  return repeat(
    everyMs,
    async () => each(await claimWaits(deps.database.db, batch), ({ workflowId }) => tell(workflowId), warn),
    warn,
  );
}
