import { DefaultLogger } from '@temporalio/worker';
import { WorkflowNotFoundError } from '@temporalio/client';
import { expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { supersede } from '../../db/superseded.ts';
import { startRelay } from '../../workers/relay.ts';
import type { Runs } from '../../workers/runs.ts';
import { createPeople, openTestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';
import { eventually } from './eventually.ts';

test('a superseded proposal whose run was not told is told by the relay, and one without a run is no error', async () => {
  const database = await openTestDatabase();
  const people = await createPeople(database);
  const told: string[][] = [];
  const tasks = [];
  for (let count = 0; count < 2; count += 1) {
    const task = await aTask(database, people, { origin: 'halo', originId: newId('cyc') });
    await supersede(database.db, { cycleId: newId('cyc'), taskId: task.id, because: 'it is well again' });
    tasks.push(task);
  }
  await database.root`update tasks set run_id = 'run-1', updated_at = now() - interval '1 minute'`;
  const [gone, waits] = tasks.map(({ workflowId }) => workflowId);
  const warnings: unknown[] = [];
  const log = new DefaultLogger('WARN', ({ meta }) => void warnings.push(meta));
  const runs = {
    signal: (workflowId: string, name: string) => {
      told.push([workflowId, name]);
      return workflowId === gone
        ? Promise.reject(new WorkflowNotFoundError('not found', workflowId, undefined))
        : Promise.resolve();
    },
    listBrokenRuns: () => Promise.resolve([]),
    startSubscription: () => Promise.resolve(),
    startTask: () => Promise.resolve(),
  } as unknown as Runs;
  const relay = startRelay({ database, runs, log });
  try {
    await eventually(() => told.toSorted()).toEqual(
      [
        [gone, 'superseded'],
        [waits, 'superseded'],
      ].toSorted(),
    );
  } finally {
    await relay.stop();
  }
  expect(warnings).toEqual([]);
});
