import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { notificationWorkflowId, searchAttributes, taskQueues } from '../../domain/names.ts';
import type { notification } from '../../workflows/index.ts';
import { skippingTime } from '../support/temporal.ts';
import { createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await skippingTime();
});

type Told = { notificationId: string; reason: string };

/** Runs one notification whose tries end as the test says, and tells how it ended and how long that took. */
async function play(
  deliver: (attempt: number) => unknown,
  act: (handle: WorkflowHandle<typeof notification>) => Promise<unknown> = () => Promise.resolve(),
) {
  const notificationId = newId('ntf');
  const at: number[] = [];
  const failed: Told[] = [];
  const now = () => environment.currentTimeMs();
  const activities = {
    deliverNotification: async () => {
      at.push(await now());
      return deliver(at.length);
    },
    failNotification: (told: Told) => void failed.push(told),
  };
  const worker = await createWorker(environment, taskQueues.effects, activities);
  return worker.runUntil(async () => {
    const handle = await environment.client.workflow.start<typeof notification>('notification', {
      workflowId: notificationWorkflowId(notificationId),
      taskQueue: taskQueues.effects,
      args: [{ notificationId }],
    });
    await act(handle);
    const result = await handle.result().catch((error: unknown) => error);
    return { result, handle, failed, notificationId, tries: at.map((each) => each - (at[0] ?? 0)) };
  });
}

const notSent = (message: string, nextRetryDelay?: number): never => {
  throw ApplicationFailure.create({
    message,
    type: 'NOT_SENT',
    ...(nextRetryDelay === undefined ? {} : { nextRetryDelay }),
  });
};

describe('a notification', () => {
  test('that is sent at the third try ends sent, and nothing is given up', async () => {
    const { result, failed, tries, handle } = await play((attempt) =>
      attempt < 3 ? notSent('It answered 500.') : { state: 'sent' },
    );
    expect(result).toEqual({ state: 'sent' });
    expect(failed).toEqual([]);
    expect(tries).toHaveLength(3);
    const seen = await handle.describe();
    expect(seen.typedSearchAttributes.getAll()).toContainEqual({
      key: expect.objectContaining({ name: searchAttributes.state }),
      value: 'sent',
    });
  });

  test('that is never taken is given up after an hour, with what the last try said', async () => {
    const { result, failed, tries, notificationId } = await play(() => notSent('It answered 503.'));
    expect(result).toEqual({ state: 'failed' });
    expect(failed).toEqual([{ notificationId, reason: 'It answered 503.' }]);
    expect(tries.length).toBeGreaterThan(8);
    expect(tries.at(-1)).toBeGreaterThan(40 * 60_000);
    expect(tries.at(-1)).toBeLessThanOrEqual(60 * 60_000);
  });

  test('waits as long as its receiver asked for', async () => {
    const { result, tries } = await play((attempt) =>
      attempt === 1 ? notSent('It answered 429.', 7 * 60_000) : { state: 'sent' },
    );
    expect(result).toEqual({ state: 'sent' });
    expect(tries[1]).toBeGreaterThanOrEqual(7 * 60_000);
    expect(tries[1]).toBeLessThan(7.5 * 60_000);
  });

  test('whose try recorded the end itself is not recorded twice', async () => {
    const { result, failed } = await play(() => ({ state: 'failed' }));
    expect(result).toEqual({ state: 'failed' });
    expect(failed).toEqual([]);
  });

  test('that is cancelled in Temporal is given up, and says so', async () => {
    const { result, failed } = await play(
      () => notSent('It answered 503.'),
      async (handle) => {
        await expect.poll(async () => (await handle.fetchHistory()).events?.length).toBeGreaterThan(4);
        await handle.cancel();
      },
    );
    expect(result).toBeInstanceOf(WorkflowFailedError);
    expect(failed).toMatchObject([{ reason: 'The run was cancelled in Temporal.' }]);
  });
});
