import { WorkflowNotFoundError } from '@temporalio/client';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase, type Database } from '../../db/client.ts';
import { createRedrive } from '../../db/redrives.ts';
import { newId } from '../../db/ids.ts';
import { redriveWorkflowId } from '../../domain/names.ts';
import {
  aSubscription,
  completeDelivery,
  deliveriesOf,
  failDelivery,
  type Letter,
  letterStates,
  someLetters,
} from '../support/dead-letters.ts';
import { startTestStack, type TestStack } from '../support/stack.ts';

type Redrive = {
  id: string;
  state: string;
  counts: Record<'waiting' | 'released' | 'completed' | 'failed' | 'leftOut', number>;
  endedBecause: string | null;
  temporal: { workflowId: string; runId: string | null };
};

let stack: TestStack;
let database: Database & { root: postgres.Sql };

beforeAll(async () => {
  stack = await startTestStack({
    DREAMNET_DEAD_LETTERS_OPEN_LIMIT: '60',
    DREAMNET_DEAD_LETTERS_GROWTH_LIMIT: '50',
  });
  const root = postgres(stack.databaseUrl, { max: 2, onnotice: () => undefined });
  database = { ...openDatabase(stack.databaseUrl, { name: 'test', connections: 4 }), root };
});
afterAll(async () => {
  await database.root.end({ timeout: 5 });
  await database.close();
});

/** Dead letters of a subscription whose consumer is paused: the test plays it. */
async function aHeap(count: number): Promise<{ subscription: string; letters: Letter[] }> {
  const subscription = await aSubscription(database);
  await database.root`
    update subscriptions set paused_at = now(), paused_by = 'test', pause_reason = 'a test' where key = ${subscription}`;
  return { subscription, letters: await someLetters(database, subscription, count) };
}

async function redriveAll(subscription: string, more: object = {}): Promise<string> {
  const wanted = { filter: { subscription }, reason: 'mended', perMinute: 600, ...more };
  const path = '/v1/dead-letters/redrive';
  const shown = await stack.operator<{ selection: string }>('POST', path, { ...wanted, preview: true });
  const { selection } = shown.body;
  const { status, body } = await stack.operator<{ redrive: Redrive }>('POST', path, { ...wanted, selection });
  expect(status).toBe(201);
  return body.redrive.id;
}

const redriveOf = async (id: string) => (await stack.operator<Redrive>('GET', `/v1/redrives/${id}`)).body;
const eventually = <T>(look: () => Promise<T>) => expect.poll(look, { timeout: 40_000, interval: 100 });

/** Plays the consumer until nothing is pending: what is due ends, completed or failed by its place. */
async function consume(
  subscription: string,
  letters: Letter[],
  fails: (place: number) => boolean,
): Promise<void> {
  for (const { id } of await deliveriesOf(database, subscription, 'pending')) {
    const place = letters.findIndex(({ deliveryId }) => deliveryId === id);
    if (fails(place)) await failDelivery(database, id, 'UNREACHABLE');
    else await completeDelivery(database, id);
  }
}

test('a redrive sends its canary, outlives a kill -9 of the worker, and then hands the others over once each', async () => {
  const { subscription, letters } = await aHeap(30);
  const id = await redriveAll(subscription);
  await eventually(async () => (await deliveriesOf(database, subscription, 'pending')).length).toBe(1);
  expect(
    (
      await letterStates(
        database,
        letters.map((letter) => letter.id),
      )
    ).slice(0, 2),
  ).toEqual(['requeued', 'open']);
  process.kill(stack.pids().worker, 'SIGKILL');
  await completeDelivery(database, letters[0]?.deliveryId ?? '');
  await eventually(async () => {
    await consume(subscription, letters, () => false);
    return redriveOf(id);
  }).toMatchObject({ state: 'done', counts: { completed: 30, failed: 0, waiting: 0, released: 0 } });
  const deliveries = await deliveriesOf(database, subscription);
  // Each was handed over and taken once: the epoch of its claim moved by one.
  expect(deliveries.map(({ state, attempts, claimEpoch }) => [state, attempts, claimEpoch])).toEqual(
    Array(30).fill(['completed', 1, 6]),
  );
  const { temporal } = await redriveOf(id);
  // The record is done a moment before its run ends.
  const handle = stack.client.workflow.getHandle(temporal.workflowId);
  await eventually(async () => (await handle.describe()).status.name).toBe('COMPLETED');
  expect((await handle.describe()).runId).toBe(temporal.runId);
});

test('a canary that fails again stops it: one new dead letter, and the rest stays open', async () => {
  const { subscription, letters } = await aHeap(20);
  const id = await redriveAll(subscription);
  await eventually(async () => {
    await consume(subscription, letters, () => true);
    return redriveOf(id);
  }).toMatchObject({ state: 'stopped', counts: { failed: 1, leftOut: 19 } });
  expect((await redriveOf(id)).endedBecause).toContain('UNREACHABLE');
  const [open] = await database.root`
    select count(*)::int as n from dead_letters where subscription = ${subscription} and state = 'open'`;
  expect(open).toEqual({ n: 20 });
});

test('a cancellation ends its run at once, and what had no turn stays open', async () => {
  const { subscription } = await aHeap(20);
  const id = await redriveAll(subscription, { canary: false, perMinute: 1 });
  await eventually(async () => (await deliveriesOf(database, subscription, 'pending')).length).toBe(1);
  const { status } = await stack.operator('POST', `/v1/redrives/${id}/cancel`, { reason: 'wrong one' });
  expect(status).toBe(200);
  const handle = stack.client.workflow.getHandle(redriveWorkflowId(id));
  await eventually(async () => (await handle.describe()).status.name).toBe('COMPLETED');
  expect(await redriveOf(id)).toMatchObject({ state: 'cancelled', counts: { released: 1, leftOut: 19 } });
});

test('a redrive whose API died between storing and starting it is started by the relay', async () => {
  const { subscription, letters } = await aHeap(1);
  const id = newId('rdr');
  await createRedrive(database.db, {
    ...{ id, ids: letters.map((letter) => letter.id), filter: null, canary: true, perMinute: 60 },
    ...{ reason: null, actor: 'prn_operator', requestId: 'req_1' },
  });
  const handle = stack.client.workflow.getHandle(redriveWorkflowId(id));
  await expect(handle.describe()).rejects.toThrow(WorkflowNotFoundError);
  await eventually(async () => {
    await consume(subscription, letters, () => false);
    return redriveOf(id);
  }).toMatchObject({ state: 'done', counts: { completed: 1 } });
});

test('a run that somebody terminates in Temporal goes on where the record stands', async () => {
  const { subscription, letters } = await aHeap(5);
  const id = await redriveAll(subscription);
  await eventually(async () => (await deliveriesOf(database, subscription, 'pending')).length).toBe(1);
  await stack.client.workflow.getHandle(redriveWorkflowId(id)).terminate('a test');
  await eventually(async () => {
    await consume(subscription, letters, () => false);
    return redriveOf(id);
  }).toMatchObject({ state: 'done', counts: { completed: 5 } });
});

test('the worker tells people when dead letters grow, once', async () => {
  const { subscription } = await aHeap(61);
  const growing = async () => {
    const path = `/v1/events?type=bus.dead-letters.growing&sourceId=${subscription}`;
    return (await stack.operator<{ items: { severity: string; priority: string }[] }>('GET', path)).body
      .items;
  };
  await eventually(growing).toMatchObject([{ severity: 'error', priority: 'high' }]);
  const { body } = await stack.operator<{ alerts: { subscription: string }[] }>(
    'GET',
    '/v1/dead-letters/summary',
  );
  expect(body.alerts).toContainEqual(expect.objectContaining({ subscription }));
});
