import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { redriveWorkflowId, searchAttributes } from '../../domain/names.ts';
import type { redrive } from '../../workflows/index.ts';
import { redriveCancelledSignal, redriveProgressQuery } from '../../workflows/messages.ts';
import { fakeRedrive } from '../support/redrive-record.ts';
import { skippingTime } from '../support/temporal.ts';
import { aQueue, createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await skippingTime();
});

type Handle = WorkflowHandle<typeof redrive>;
type Release = { count: number; canary: boolean; handled: number };

/** Runs one redrive against a record in memory, and tells what was released when. */
async function play(
  script: Parameters<typeof fakeRedrive>[0],
  act: (handle: Handle, record: ReturnType<typeof fakeRedrive>) => Promise<unknown> = () => Promise.resolve(),
  options: { replayAlways?: boolean } = {},
) {
  const redriveId = newId('rdr');
  const taskQueue = aQueue('redrive');
  const record = fakeRedrive(script);
  const at: number[] = [];
  const activities = {
    ...record.activities,
    releaseItems: async (input: Parameters<typeof record.activities.releaseItems>[0]) => {
      at.push(await environment.currentTimeMs());
      return record.activities.releaseItems(input);
    },
  };
  const worker = await createWorker(environment, taskQueue, activities, options);
  return worker.runUntil(async () => {
    const handle = await environment.client.workflow.start<typeof redrive>('redrive', {
      workflowId: redriveWorkflowId(redriveId),
      taskQueue,
      args: [{ redriveId }],
    });
    await act(handle, record);
    const result: unknown = await handle.result().catch((error: unknown) => error);
    const releases = record.calls
      .filter(({ activity }) => activity === 'releaseItems')
      .map(({ input }) => input as Release);
    return { result, releases, record, handle, redriveId, at: at.map((each) => each - (at[0] ?? 0)) };
  });
}

describe('a redrive', () => {
  test('hands over one canary, and when it is completed the others, so many a minute', async () => {
    const { result, releases, at, handle } = await play({ total: 41, perMinute: 60 });
    expect(result).toMatchObject({ state: 'done', completed: 41, failed: 0, waiting: 0 });
    expect(releases.map(({ count, canary }) => [count, canary])).toEqual([
      [1, true],
      ...[10, 10, 10, 10].map((count) => [count, false]),
    ]);
    // Ten at sixty a minute are ten seconds' worth: the next ten follow after them, and not before.
    const gaps = at.slice(2).map((ms, index) => ms - (at[index + 1] ?? 0));
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(10_000);
    const seen = await handle.describe();
    expect(seen.typedSearchAttributes.getAll()).toContainEqual({
      key: expect.objectContaining({ name: searchAttributes.state }),
      value: 'done',
    });
  });

  test('waits for its canary however long that takes, looks ever more rarely, and its history stays short', async () => {
    // The subscription is paused for hours.
    const { result, releases, at, record, handle } = await play({ total: 2, looks: 400 });
    expect(result).toMatchObject({ state: 'done', completed: 2 });
    expect(releases).toHaveLength(2);
    // 400 looks, nearly all of them half a minute apart.
    expect(at[1]).toBeGreaterThan(3 * 3_600_000);
    expect(record.calls.filter(({ activity }) => activity === 'lookAtRedrive').length).toBeLessThan(900);
    const { historyLength } = await environment.client.workflow.getHandle(handle.workflowId).describe();
    expect(historyLength).toBeLessThan(3_000);
  });

  test('stops with the cause when its canary fails again, and nothing else is handed over', async () => {
    const { result, releases, record } = await play({ total: 500, ends: () => 'failed' });
    expect(releases).toMatchObject([{ count: 1, canary: true }]);
    expect(result).toMatchObject({ state: 'stopped', failed: 1, leftOut: 499 });
    expect(record.because()).toBe('The canary failed again (UNREACHABLE); 499 had no turn and stay open.');
  });

  test('stops when more than a fifth of at least ten fail again', async () => {
    const { result, releases, record } = await play({
      total: 500,
      ends: (place) => (place % 3 === 1 ? 'failed' : 'completed'),
    });
    expect(releases.map(({ count }) => count)).toEqual([1, 10]);
    expect(result).toMatchObject({ state: 'stopped', completed: 7, failed: 4, leftOut: 489 });
    expect(record.because()).toContain('4 of 11 failed again (UNREACHABLE); 489 had no turn');
  });

  test('goes on when a fifth fails again, and those are counted', async () => {
    const { result } = await play({
      ...{ total: 100, canary: false, perMinute: 6_000 },
      ends: (place) => (place % 5 === 4 ? 'failed' : 'completed'),
    });
    expect(result).toMatchObject({ state: 'done', completed: 80, failed: 20 });
  });

  test('without a canary begins with all of them', async () => {
    const { releases } = await play({ total: 30, canary: false, perMinute: 600 });
    expect(releases).toMatchObject([{ count: 30, canary: false, handled: 0 }]);
  });

  test('hands no more over while two chunks are on their way', async () => {
    const { result, releases } = await play(
      { total: 100, canary: false, ends: () => 'never' },
      async (handle, record) => {
        await environment.sleep(3_600_000);
        record.cancel();
        await handle.signal(redriveCancelledSignal);
      },
    );
    expect(releases.map(({ count }) => count)).toEqual([10, 10]);
    expect(result).toMatchObject({ state: 'cancelled', released: 20, leftOut: 80 });
  });
});

describe('a cancellation', () => {
  test('over the API ends the run at once while it rests', async () => {
    const { result, releases } = await play(
      { total: 100, perMinute: 1, canary: false },
      async (handle, record) => {
        await expect.poll(() => record.progress().released + record.progress().completed).toBe(1);
        record.cancel();
        await handle.signal(redriveCancelledSignal);
      },
    );
    expect(releases).toHaveLength(1);
    expect(result).toMatchObject({ state: 'cancelled', leftOut: 99 });
  });

  test('whose signal is lost is found at the next look', async () => {
    const record = { cancel: (): unknown => undefined };
    const { result, releases } = await play(
      { total: 100, canary: false, atRelease: (release) => release === 2 && record.cancel() },
      async (_handle, played) => {
        record.cancel = () => played.cancel();
      },
    );
    expect(releases).toHaveLength(2);
    expect(result).toMatchObject({ state: 'cancelled' });
  });

  test('that is on nobody’s record changes nothing, however often it is sent', async () => {
    const { result, releases } = await play({ total: 31 }, async (handle) => {
      for (let sent = 0; sent < 10; sent += 1) await handle.signal(redriveCancelledSignal);
    });
    expect(result).toMatchObject({ state: 'done', completed: 31 });
    expect(releases.reduce((sum, { count }) => sum + count, 0)).toBe(31);
  });

  test('of the run in Temporal itself ends the redrive, and says so', async () => {
    const { result, record } = await play({ total: 5, ends: () => 'never' }, async (handle, played) => {
      await expect.poll(() => played.progress().released).toBe(1);
      await handle.cancel();
    });
    expect(result).toBeInstanceOf(WorkflowFailedError);
    expect(record.because()).toBe('The run was cancelled in Temporal.');
    expect(record.progress()).toMatchObject({ state: 'cancelled', released: 1, leftOut: 4 });
  });
});

describe('what a run says and keeps', () => {
  test('its query tells where it stands', async () => {
    await play({ total: 5, ends: () => 'never' }, async (handle, record) => {
      await environment.sleep(60_000);
      expect(await handle.query(redriveProgressQuery)).toEqual(record.progress());
      expect(record.progress()).toMatchObject({ state: 'canary', released: 1, waiting: 4 });
      record.cancel();
      await handle.signal(redriveCancelledSignal);
    });
  });

  test('a run that replays its whole history at every step ends the same', async () => {
    const { result } = await play({ total: 21 }, undefined, { replayAlways: true });
    expect(result).toMatchObject({ state: 'done', completed: 21 });
  });

  test('activity inputs are the golden ones', async () => {
    const { record, redriveId, handle } = await play({ total: 3 });
    const { runId } = await handle.describe();
    const text = JSON.stringify(record.calls, null, 2)
      .replaceAll(redriveId, 'REDRIVE')
      .replaceAll(runId, 'RUN');
    await expect(`${text}\n`).toMatchFileSnapshot('golden/redrive.done.json');
  });
});
