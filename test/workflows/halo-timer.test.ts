import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createHaloTimerActivities } from '../../activities/halo-timer.ts';
import type { HaloTrigger } from '../../domain/halo-loop.ts';
import { haloTimerId, taskQueues } from '../../domain/names.ts';
import { ensureHaloTimer } from '../../workers/schedules.ts';
import { realTime } from '../support/temporal.ts';
import { createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;

beforeAll(async () => {
  environment = await realTime();
});
afterAll(() => ensureHaloTimer(environment.client, 0));

async function schedules(): Promise<string[]> {
  const ids: string[] = [];
  for await (const { scheduleId } of environment.client.schedule.list()) ids.push(scheduleId);
  return ids.filter((id) => id === haloTimerId);
}

test('HALO looks by one schedule that follows its setting, however many workers start', async () => {
  const { client } = environment;
  await Promise.all([1, 2, 3].map(() => ensureHaloTimer(client, 300_000)));
  const handle = client.schedule.getHandle(haloTimerId);
  const { spec, policies, action } = await handle.describe();
  expect(spec.intervals).toMatchObject([{ every: 300_000 }]);
  expect(policies.overlap).toBe('SKIP');
  expect(action).toMatchObject({
    ...{ workflowType: 'haloTimer', workflowId: haloTimerId, taskQueue: taskQueues.main },
  });
  await ensureHaloTimer(client, 60_000);
  expect((await handle.describe()).spec.intervals).toMatchObject([{ every: 60_000 }]);
  await ensureHaloTimer(client, 0);
  await ensureHaloTimer(client, 0);
  await expect(handle.describe()).rejects.toThrow();
  await expect.poll(schedules, { timeout: 30_000 }).toEqual([]);
});

test('a run of the schedule hands the loop one full trigger, and tries again when that failed', async () => {
  const handed: HaloTrigger[] = [];
  let asked = 0;
  const { triggerByTime } = createHaloTimerActivities({
    signalHalo: (trigger) => {
      asked += 1;
      if (asked === 1) return Promise.reject(new Error('Temporal is away'));
      handed.push(trigger);
      return Promise.resolve();
    },
  });
  const worker = await createWorker(environment, `${taskQueues.main}-timer`, { triggerByTime });
  const result = await worker.runUntil(
    environment.client.workflow.execute('haloTimer', {
      ...{ workflowId: `${haloTimerId}-once`, taskQueue: `${taskQueues.main}-timer`, args: [] },
    }),
  );
  expect(result).toEqual({ triggered: true });
  expect(handed).toMatchObject([{ name: 'time', mode: 'full', urgent: false }]);
});
