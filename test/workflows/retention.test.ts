import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { retentionId, taskQueues } from '../../domain/names.ts';
import { ensureRetention } from '../../workers/schedules.ts';
import { realTime } from '../support/temporal.ts';
import { aQueue, createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;

beforeAll(async () => {
  environment = await realTime();
});
afterAll(async () => {
  await environment.client.schedule.getHandle(retentionId).delete();
});

test('the retention runs by one schedule, each hour, however many workers start', async () => {
  const { client } = environment;
  await Promise.all([1, 2, 3, 4].map(() => ensureRetention(client)));
  await ensureRetention(client);
  const { spec, policies, action } = await client.schedule.getHandle(retentionId).describe();
  expect(spec.intervals).toMatchObject([{ every: 3_600_000 }]);
  expect(policies.overlap).toBe('SKIP');
  expect(action).toMatchObject({
    ...{ workflowType: 'retention', workflowId: retentionId, taskQueue: taskQueues.main },
  });
});

/** A run with these steps; what it recorded, and how it ended. */
async function runWith(title: string, dropOldMonths: () => unknown) {
  const recorded: unknown[] = [];
  const order: string[] = [];
  const step =
    <T>(name: string, work: () => T) =>
    (): T => {
      order.push(name);
      return work();
    };
  const taskQueue = aQueue(title);
  const worker = await createWorker(environment, taskQueue, {
    dropOldMonths: step('dropOldMonths', dropOldMonths),
    deleteOldEvents: step('deleteOldEvents', () => 5),
    forgetOldKeys: step('forgetOldKeys', () => 12),
    recordRetention: (input: { counts: unknown }) => void recorded.push(input.counts),
  });
  const ended = await worker.runUntil(
    environment.client.workflow
      .execute('retention', { workflowId: taskQueue, taskQueue, args: [] })
      .then((result) => ({ result }))
      .catch(() => ({ failed: true })),
  );
  return { ended, recorded, order };
}

test('a run drops months, deletes events, then forgets ids, and records what went', async () => {
  const months = [{ name: 'events_2026_01', events: 7 }];
  const { ended, recorded, order } = await runWith('retention removes', () => months);
  const counts = { partitions: months, events: 5, keys: 12 };
  expect(ended).toEqual({ result: counts });
  expect(recorded).toEqual([counts]);
  expect(order).toEqual(['dropOldMonths', 'deleteOldEvents', 'forgetOldKeys']);
});

test('a step that is given up keeps no other from its work, and the run fails after recording it', async () => {
  const { ended, recorded } = await runWith('retention fails', () => {
    throw ApplicationFailure.nonRetryable('the log is locked');
  });
  expect(ended).toEqual({ failed: true });
  expect(recorded).toEqual([{ partitions: [], events: 5, keys: 12 }]);
});
