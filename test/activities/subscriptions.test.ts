import { ActivityCancellationDetails, CancelledFailure } from '@temporalio/common';
import { beforeAll, describe, expect, test } from 'vitest';
import { createSubscriptionActivities, type TurnEnd } from '../../activities/subscriptions.ts';
import { Unavailable } from '../../activities/event-handlers.ts';
import { listenForEvents, type Wakeups } from '../../db/wakeups.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { takeLanes } from '../../db/lanes.ts';
import { ensureSubscription, listLanes } from '../../db/subscriptions.ts';
import { nothingFailed } from '../../domain/delivery.ts';
import type { EventInput, LoggedEvent } from '../../domain/events.ts';
import { haloSubscription } from '../../domain/subscription.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { anEnvironment } from './calls.ts';
import { eventually } from '../db/eventually.ts';

let database: TestDatabase;
let wakeups: Wakeups;

beforeAll(async () => {
  database = await openTestDatabase();
  wakeups = await listenForEvents(database.log);
});

/** A subscription like HALO's, and a consumer of it that notes what it was given. */
async function aConsumer(onBatch: () => Promise<void> = () => Promise.resolve(), turnMs = 60_000) {
  const key = newId('sub');
  await ensureSubscription(database.log, { key, handler: 'note', match: haloSubscription.match });
  const delivered: LoggedEvent[] = [];
  const activities = createSubscriptionActivities({
    database,
    handlers: {
      note: {
        deliver: async (deliveries) => {
          await onBatch();
          delivered.push(...deliveries.map(({ event }) => event));
          return nothingFailed;
        },
        preview: () => Promise.resolve([]),
      },
    },
    compileFilter: () => ({ matches: () => true }),
    wakeups,
    turnMs,
  });
  const environment = anEnvironment();
  return {
    key,
    delivered,
    ids: () => delivered.map((event) => event.id),
    environment,
    consume: (inside = environment): Promise<TurnEnd> => inside.run(activities.consumeEvents, { key }),
    stop: (inside = environment) =>
      inside.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true })),
    row: async () => (await listLanes(database.db, key))[0],
  };
}

function anEvent(given: Partial<EventInput> = {}): EventInput {
  return {
    id: newId('evt'),
    type: 'api.endpoint.failed',
    source: { type: 'api', id: 'prb_1' },
    severity: 'error',
    payload: {},
    metadata: {},
    ...given,
  };
}

const idsOf = (events: EventInput[]) => events.map((event) => event.id);

describe('the consumer of a subscription', () => {
  test('delivers what matches, in the order of the log, and moves its cursor over the rest', async () => {
    const consumer = await aConsumer();
    const wanted = [anEvent(), anEvent({ severity: 'critical' }), anEvent({ type: 'squad.task.failed' })];
    await appendEvents(database.log, [
      anEvent({ severity: 'warning' }),
      ...wanted.slice(0, 2),
      anEvent({ type: 'api.endpoint.success' }),
      anEvent({ source: { type: 'halo', id: 'cyc_1' }, severity: 'critical' }),
      ...wanted.slice(2),
      anEvent({ severity: 'info' }),
    ]);
    const turn = consumer.consume();
    await eventually(consumer.ids).toEqual(idsOf(wanted));
    const [last] = await appendEvents(database.log, [anEvent({ severity: 'info' })]);
    const place = await database.root`select tx::text, seq::text from events where id = ${last?.id ?? ''}`;
    await eventually(async () => {
      const row = await consumer.row();
      return { tx: row?.cursorTx, seq: row?.cursorSeq };
    }).toEqual(place[0]);
    consumer.stop();
    expect(await turn).toEqual({ ended: 'turn-over', delivered: 3, failed: 0 });
    expect(await consumer.row()).toMatchObject({ delivered: 3 });
  });

  test('delivers nothing of a transaction that is open, and all of it after its commit', async () => {
    const consumer = await aConsumer();
    const session = await database.root.reserve();
    await session.unsafe('begin');
    const early = newId('evt');
    await session`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at)
      values (${early}, 'agent.error', 'agent', 'agent', 'x', 'error', 'high', '{}', '{}', now())`;
    const late = anEvent();
    await appendEvents(database.log, [late]);
    let beats = 0;
    consumer.environment.on('heartbeat', () => (beats += 1));
    const turn = consumer.consume();
    await eventually(() => beats).toBeGreaterThan(2);
    expect(consumer.ids()).toEqual([]);
    await session.unsafe('commit');
    session.release();
    await eventually(consumer.ids).toEqual([early, late.id]);
    consumer.stop();
    await turn;
  });

  test('a handler that is not available leaves the cursor, and the same is delivered when it is back', async () => {
    let failures = 0;
    const consumer = await aConsumer(() => {
      failures += 1;
      return failures < 3 ? Promise.reject(new Unavailable('not yet', { retryInMs: 1 })) : Promise.resolve();
    });
    const events = [anEvent(), anEvent()];
    await appendEvents(database.log, events);
    const turn = consumer.consume();
    await eventually(consumer.ids).toEqual(idsOf(events));
    consumer.stop();
    expect(await turn).toEqual({ ended: 'turn-over', delivered: 2, failed: 0 });
    expect(await database.root`select from deliveries where subscription = ${consumer.key}`).toHaveLength(0);
  });

  test('a consumer that was taken over while it worked stops, and moves nothing', async () => {
    const consumer = await aConsumer(async () => {
      await takeLanes(database.log, { key: consumer.key, holder: 'another' });
    });
    const before = await consumer.row();
    await appendEvents(database.log, [anEvent()]);
    expect(await consumer.consume()).toMatchObject({ ended: 'taken-over' });
    expect(await consumer.row()).toMatchObject({ cursorTx: before?.cursorTx, delivered: 0 });
  });

  test('two consumers at once: every event is delivered, and the cursor counts each once', async () => {
    const first = await aConsumer();
    const other = anEnvironment();
    const events = Array.from({ length: 20 }, () => anEvent());
    const turns = [first.consume(), first.consume(other)];
    for (const event of events) await appendEvents(database.log, [event]);
    await eventually(() => [...new Set(first.ids())].sort()).toEqual(idsOf(events).sort());
    await eventually(async () => (await first.row())?.delivered).toBe(20);
    expect(await Promise.race(turns)).toMatchObject({ ended: 'taken-over' });
    first.stop();
    first.stop(other);
    expect((await Promise.all(turns)).map((end) => end.ended).sort()).toEqual(['taken-over', 'turn-over']);
  });

  test('a turn ends by itself, so that the run that owns it can begin anew', async () => {
    const consumer = await aConsumer(undefined, 50);
    expect(await consumer.consume()).toEqual({ ended: 'turn-over', delivered: 0, failed: 0 });
  });

  test('a cancelled turn is cancelled, not ended', async () => {
    const consumer = await aConsumer();
    const turn = consumer.consume();
    consumer.environment.cancel();
    await expect(turn).rejects.toBeInstanceOf(CancelledFailure);
  });

  test('a turn whose due deliveries cannot be read fails alone, and not the process with it', async () => {
    const key = newId('sub');
    await ensureSubscription(database.log, { key, handler: 'note', match: haloSubscription.match });
    const log = new Proxy(database.log, {
      apply(target, self, asked: [TemplateStringsArray]) {
        if (asked[0].join('').includes('skip locked')) throw new Error('no such thing');
        return Reflect.apply(target, self, asked) as unknown;
      },
    });
    const { consumeEvents } = createSubscriptionActivities({
      ...{ database: { ...database, log }, wakeups, turnMs: 60_000 },
      handlers: {
        note: { deliver: () => Promise.resolve(nothingFailed), preview: () => Promise.resolve([]) },
      },
      compileFilter: () => ({ matches: () => true }),
    });
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    await expect(anEnvironment().run(consumeEvents, { key })).rejects.toThrow('no such thing');
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });

  test('a subscription that is switched off is not consumed', async () => {
    const consumer = await aConsumer();
    await database.root`update subscriptions set enabled = false where key = ${consumer.key}`;
    expect(await consumer.consume()).toEqual({ ended: 'switched-off', delivered: 0, failed: 0 });
  });

  test('a handler this worker does not have is said so, not skipped', async () => {
    const key = newId('sub');
    await ensureSubscription(database.log, { key, handler: 'unknown', match: haloSubscription.match });
    const { consumeEvents } = createSubscriptionActivities({
      database,
      handlers: {},
      compileFilter: () => ({ matches: () => true }),
      wakeups,
      turnMs: 60_000,
    });
    await expect(anEnvironment().run(consumeEvents, { key })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('more events than one batch holds are all delivered', async () => {
    const consumer = await aConsumer();
    const events = Array.from({ length: 1200 }, () => anEvent());
    await appendEvents(database.log, events.slice(0, 1000));
    await appendEvents(database.log, events.slice(1000));
    const turn = consumer.consume();
    await eventually(() => consumer.delivered.length).toBe(1200);
    expect(consumer.ids()).toEqual(idsOf(events));
    consumer.stop();
    await turn;
  });
});
