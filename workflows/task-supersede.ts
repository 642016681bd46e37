import { CancellationScope, setHandler } from '@temporalio/workflow';
import type { TaskActivities } from '../activities/tasks.ts';
import { supersededSignal } from './messages.ts';

/**
 * What a later cycle of HALO does to a proposal that still waits. Anyone can send a signal, so `superseded` only makes the
 * run ask the record, which ends the task in the same statement: a forged one, or one after a person's decision, changes
 * nothing. The answer is true once the record has ended the task.
 */
export function watchSupersede(
  taskId: string,
  record: Pick<TaskActivities, 'withdrawSuperseded'>,
): () => boolean {
  let asked = false;
  let isAsking = false;
  let isWithdrawn = false;

  async function ask(): Promise<void> {
    // One question at a time answers all signals that came meanwhile.
    for (isAsking = true; asked && !isWithdrawn;) {
      asked = false;
      isWithdrawn = (await record.withdrawSuperseded({ taskId })) !== null;
    }
    isAsking = false;
  }

  setHandler(supersededSignal, async () => {
    asked = true;
    if (!isAsking) await CancellationScope.nonCancellable(ask);
  });
  return () => isWithdrawn;
}
