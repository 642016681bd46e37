import { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Unavailable } from '../../activities/event-handlers.ts';
import { createSignalHandler } from '../../activities/signal-handler.ts';
import { newId } from '../../db/ids.ts';
import { engageSwitch, releaseSwitch } from '../../db/kill-switch.ts';
import type { Delivery } from '../../domain/delivery.ts';
import { taskQueues } from '../../domain/names.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { aLoggedEvent } from '../support/events.ts';

let database: TestDatabase;
let connection: Connection;
let client: Client;

beforeAll(async () => {
  database = await openTestDatabase();
  connection = await Connection.connect({ address: inject('temporalAddress') });
  client = new Client({ connection });
});
afterAll(() => connection.close());

const key = 'orders-out';
const aDelivery = (order: string, given: Partial<Delivery> = {}): Delivery => ({
  ...{ event: aLoggedEvent({ payload: { order } }), part: '', attempt: 1, replay: null },
  ...given,
});
const context = (given: Partial<{ workflowId: string; subscription: string }> = {}) => ({
  subscription: given.subscription ?? key,
  config: { workflowId: given.workflowId ?? 'order-{payload.order}', signal: 'event' },
  signal: new AbortController().signal,
});
const handler = () => createSignalHandler({ database, client });

/** A run of somebody else's workflow: it takes signals, whether or not a worker is there. */
async function aRun(workflowId: string, taskQueue = newId('queue')): Promise<void> {
  await client.workflow.start('someonesOrder', { workflowId, taskQueue });
}

async function signalsOf(workflowId: string) {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap((event) => {
    const signal = event.workflowExecutionSignaledEventAttributes;
    const [payload] = signal?.input?.payloads ?? [];
    if (!signal || !payload) return [];
    return [
      {
        name: signal.signalName,
        said: defaultPayloadConverter.fromPayload<Record<string, unknown>>(payload),
      },
    ];
  });
}

describe('a signal to a workflow', () => {
  test('carries the event as others see it, in the order of the log, to the run that the event names', async () => {
    const [order, other] = [newId('o'), newId('o')];
    await aRun(`order-${order}`);
    await aRun(`order-${other}`);
    const deliveries = [
      aDelivery(order),
      aDelivery(other),
      aDelivery(order, { replay: { id: 'rpl_1', sideEffects: true } }),
    ];
    expect(await handler().deliver(deliveries, context())).toEqual({ failures: [], later: [] });
    const got = await signalsOf(`order-${order}`);
    expect(got.map(({ name, said }) => [name, said.id, said.subscription, said.replayOf])).toEqual([
      ['event', deliveries[0]?.event.id, key, undefined],
      ['event', deliveries[2]?.event.id, key, 'rpl_1'],
    ]);
    expect(got[0]?.said).toMatchObject({
      type: 'shop.order.failed',
      payload: { order },
      source: { type: 'api', id: 'shop' },
    });
    expect(got[0]?.said).not.toHaveProperty('tx');
    expect(await signalsOf(`order-${other}`)).toHaveLength(1);
  });

  test('that is sent twice for one delivery is taken once', async () => {
    const order = newId('o');
    await aRun(`order-${order}`);
    const delivery = aDelivery(order);
    for (const attempt of [1, 2, 3]) await handler().deliver([{ ...delivery, attempt }], context());
    expect(await signalsOf(`order-${order}`)).toHaveLength(1);
  });

  test('to a run that is not there, or has ended, fails for good; the others are sent', async () => {
    const [order, ended] = [newId('o'), newId('o')];
    await aRun(`order-${order}`);
    await aRun(`order-${ended}`);
    await client.workflow.getHandle(`order-${ended}`).terminate();
    const deliveries = [aDelivery('nobody'), aDelivery(ended), aDelivery(order)];
    const { failures } = await handler().deliver(deliveries, context());
    expect(failures).toMatchObject([
      {
        eventId: deliveries[0]?.event.id,
        cause: 'REFUSED',
        isFinal: true,
        error: 'No workflow order-nobody is running.',
      },
      { eventId: deliveries[1]?.event.id, isFinal: true },
    ]);
    expect(await signalsOf(`order-${order}`)).toHaveLength(1);
  });

  test('to a run of this system is refused, by its name and by its queue', async () => {
    const { failures } = await handler().deliver([aDelivery('x')], context({ workflowId: 'task/tsk_1' }));
    expect(failures).toMatchObject([
      { isFinal: true, error: expect.stringContaining('run of this system') as string },
    ]);
    const disguised = newId('mine');
    await aRun(disguised, taskQueues.main);
    const again = await handler().deliver([aDelivery('x')], context({ workflowId: disguised }));
    expect(again.failures).toMatchObject([
      { isFinal: true, error: expect.stringContaining('run of this system') as string },
    ]);
    expect(await signalsOf(disguised)).toEqual([]);
    await client.workflow.getHandle(disguised).terminate();
  });

  test('to an id that the event does not give is refused', async () => {
    const { failures } = await handler().deliver([aDelivery('a/../b')], context());
    expect(failures).toMatchObject([
      { isFinal: true, error: expect.stringContaining('characters') as string },
    ]);
  });

  test('is held by a kill switch, and no event counts as tried', async () => {
    const order = newId('o');
    await aRun(`order-${order}`);
    const by = { scope: `target:subscription:${key}`, actor: 'test' };
    await engageSwitch(database.db, { ...by, level: 'observe', reason: 'fire', opKey: newId('op') });
    await expect(handler().deliver([aDelivery(order)], context())).rejects.toThrow(Unavailable);
    expect(await signalsOf(`order-${order}`)).toEqual([]);
    await releaseSwitch(database.db, { ...by, reason: 'out', perMinute: 600, opKey: newId('op') });
    expect((await handler().deliver([aDelivery(order)], context())).failures).toEqual([]);
  });

  test('while Temporal is away is no failure of an event', async () => {
    const away = Connection.lazy({ address: '127.0.0.1:1' });
    const lost = createSignalHandler({ database, client: new Client({ connection: away }) });
    await expect(lost.deliver([aDelivery('x')], context())).rejects.toThrow(Unavailable);
    await away.close();
  });

  test('is told beforehand where it would go', async () => {
    const previews = await handler().preview([aDelivery('7'), aDelivery('a b')], context());
    expect(previews.map(({ would }) => would)).toEqual([
      'send signal event to order-7',
      expect.stringMatching(/^fail: .*characters/),
    ]);
  });
});
