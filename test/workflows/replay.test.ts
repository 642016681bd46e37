import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { replayWorkflowId, searchAttributes } from '../../domain/names.ts';
import { cancelUpdate, replayStateQuery } from '../../workflows/messages.ts';
import type { replay } from '../../workflows/index.ts';
import { fakeReplay } from '../support/replay-record.ts';
import { skippingTime } from '../support/temporal.ts';
import { aQueue, createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await skippingTime();
});

type Handle = WorkflowHandle<typeof replay>;

/** Runs one replay on a record in memory, and answers how it ended and every call the record got. */
async function play(
  script: Parameters<typeof fakeReplay>[0] = {},
  act: (handle: Handle, record: ReturnType<typeof fakeReplay>) => Promise<unknown> = () => Promise.resolve(),
  options: { replayAlways?: boolean } = {},
) {
  const taskQueue = aQueue('replay');
  const record = fakeReplay(script);
  const worker = await createWorker(environment, taskQueue, record.activities, options);
  const replayId = newId('rpl');
  return worker.runUntil(async () => {
    const handle = await environment.client.workflow.start<typeof replay>('replay', {
      workflowId: replayWorkflowId(replayId),
      taskQueue,
      args: [{ replayId, looks: 0 }],
    });
    const acted = await act(handle, record);
    const result = await handle.result().catch((error: unknown) => error);
    return { result, acted, handle, replayId, ...record, names: record.names() };
  });
}

const cancel = (handle: Handle, requestId = 'dec_1') =>
  handle.executeUpdate(cancelUpdate, { args: [{ requestId }] });
const waiting = (handle: Handle) =>
  expect
    .poll(async () => (await handle.query(replayStateQuery)).waitingFor, { timeout: 20_000 })
    .toContain('deliveries');

describe('a replay', () => {
  test('queues page after page, waits until its deliveries have ended, and is done', async () => {
    const { result, names, ends, handle } = await play({ pages: 2, looks: 3 });
    expect(result).toMatchObject({ state: 'done' });
    expect(names).toEqual([
      'claimReplay',
      ...['queueReplayPage', 'queueReplayPage', 'queueReplayPage'],
      ...['countOpenDeliveries', 'countOpenDeliveries', 'countOpenDeliveries', 'countOpenDeliveries'],
      'endReplay',
    ]);
    expect(ends).toMatchObject([{ state: 'done', because: null, actor: 'system', requestId: null }]);
    const seen = await handle.describe();
    expect(seen.typedSearchAttributes.getAll()).toContainEqual({
      key: expect.objectContaining({ name: searchAttributes.state }),
      value: 'done',
    });
  });

  test('waits for transactions that were open, and longer each time', async () => {
    const { result, names } = await play({ behind: 4 });
    expect(result).toMatchObject({ state: 'done' });
    expect(names.filter((name) => name === 'queueReplayPage')).toHaveLength(5);
  });

  test('of many pages continues as new, and each page is queued once', async () => {
    const { result, names, handle, replayId, calls } = await play({ pages: 120, looks: 1 });
    expect(result).toMatchObject({ state: 'done' });
    expect(names.filter((name) => name === 'queueReplayPage')).toHaveLength(121);
    const claims = calls.filter(({ activity }) => activity === 'claimReplay');
    expect(claims.length).toBeGreaterThan(2);
    expect(new Set(claims.map(({ input }) => (input as { runId: string }).runId)).size).toBe(claims.length);
    const last = environment.client.workflow.getHandle(replayWorkflowId(replayId));
    expect((await last.fetchHistory()).events?.length).toBeLessThan(400);
    expect((await handle.fetchHistory()).events?.length).toBeLessThan(400);
  });

  test('whose page is refused fails with what was said, and takes back what it had queued', async () => {
    const { result, names, ends } = await play({ pages: 9, failsAfter: 2 });
    expect(result).toMatchObject({ state: 'failed' });
    expect(ends).toMatchObject([{ state: 'failed', because: 'Subscription shop was switched off.' }]);
    expect(names.slice(-2)).toEqual(['endReplay', 'withdrawReplay']);
  });

  test.each([{ replayAlways: false }, { replayAlways: true }])(
    'ends when a person cancels it, and what is under way is waited for (%j)',
    async (options) => {
      const { result, acted, names, ends } = await play(
        { looks: Infinity, underWay: 2 },
        async (handle) => {
          await waiting(handle);
          return cancel(handle);
        },
        options,
      );
      expect(acted).toEqual({ accepted: true, state: 'cancelled' });
      expect(result).toMatchObject({ state: 'cancelled' });
      expect(ends).toMatchObject([
        { state: 'cancelled', because: 'wrong window', actor: 'prn_operator', requestId: 'dec_1' },
      ]);
      expect(names.filter((name) => name === 'withdrawReplay')).toHaveLength(3);
    },
  );

  test('goes on after a cancellation without a recorded request', async () => {
    const { result, acted, names } = await play({ looks: 4 }, async (handle) => {
      await waiting(handle);
      return cancel(handle, 'forged');
    });
    expect(acted).toMatchObject({ accepted: false, refused: 'FORBIDDEN' });
    expect(result).toMatchObject({ state: 'done' });
    expect(names).toContain('acceptReplayCancel');
  });

  test('that is cancelled in Temporal itself hands nothing more over, and says so in the record', async () => {
    const { result, names, ends } = await play({ looks: Infinity, underWay: 1 }, async (handle) => {
      await waiting(handle);
      await handle.cancel();
    });
    expect(result).toBeInstanceOf(WorkflowFailedError);
    expect(ends).toMatchObject([{ state: 'cancelled', because: 'the run was cancelled in Temporal' }]);
    expect(names.slice(-2)).toEqual(['withdrawReplay', 'withdrawReplay']);
  });

  test('activity inputs are the golden ones', async () => {
    const { calls, replayId } = await play({ pages: 1, looks: Infinity }, async (handle) => {
      await waiting(handle);
      await cancel(handle);
    });
    const once = calls.filter(
      ({ activity }, index) => calls.findIndex((each) => each.activity === activity) === index,
    );
    const runId = (calls[0]?.input as { runId: string }).runId;
    const text = JSON.stringify(once, null, 2).replaceAll(replayId, 'REPLAY').replaceAll(runId, 'RUN');
    await expect(`${text}\n`).toMatchFileSnapshot('golden/replay.cancelled.json');
  });
});
