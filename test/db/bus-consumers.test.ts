import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { Unavailable } from '../../activities/event-handlers.ts';
import { change } from '../../db/change.ts';
import { deleteEndedDeliveries, deliveryId, queueDeliveries } from '../../db/deliveries.ts';
import { claimDue, endDeliveries } from '../../db/due-deliveries.ts';
import { appendEvents, getEvent } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { type Delivery, nothingFailed } from '../../domain/delivery.ts';
import { eventTypes } from '../../domain/events.ts';
import { listenForEvents, type Wakeups } from '../../db/wakeups.ts';
import { aSubscription, consumersOf } from '../support/consumers.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let wakeups: Wakeups;

beforeAll(async () => {
  database = await openTestDatabase(20);
  wakeups = await listenForEvents(database.log);
});

const rowsOf = (key: string) =>
  database.root<
    {
      id: string;
      event_id: string;
      part: string;
      state: string;
      attempts: number;
      history: unknown[];
      previews: unknown;
    }[]
  >`select * from deliveries where subscription = ${key} order by created_at, id`;
const statesOf = async (key: string) => (await rowsOf(key)).map(({ state }) => state);
const lettersOf = (key: string) =>
  database.root<
    { event_id: string; cause: string; error: string; attempts: number; event: { id: string } }[]
  >`
    select * from dead_letters where subscription = ${key} order by created_at, id`;
const newsOf = (key: string) =>
  database.root<{ severity: string; payload: Record<string, unknown>; causation_id: string }[]>`
    select * from events where type = ${eventTypes.processingFailed} and source_id = ${`subscription:${key}`} order by tx, seq`;

const ids = (events: { id?: string | undefined }[]) => events.map(({ id }) => id);

/** A handler that cannot bear events whose payload says `poison`. */
const touchy = (seen: string[]) => (deliveries: Delivery[]) => {
  if (deliveries.some(({ event }) => event.payload.poison === true)) throw new Error('it is poison');
  seen.push(...deliveries.map(({ event }) => event.id));
  return Promise.resolve(nothingFailed);
};

describe('a poison event', () => {
  test('harms only itself: the others of its batch are delivered in order, it is retried, then dead-lettered with its cause and history', async () => {
    const { key, anEvent } = await aSubscription(database, { maxAttempts: 3 });
    const events = Array.from({ length: 60 }, (_, index) =>
      anEvent({ correlationId: 'thread', ...(index === 17 ? { payload: { poison: true } } : {}) }),
    );
    await appendEvents(database.log, events);
    const seen: string[] = [];
    const consumer = consumersOf(database, wakeups, key, { deliver: touchy(seen) }).start();
    await eventually(() => statesOf(key)).toEqual(['failed']);
    const poison = events[17]?.id ?? '';
    expect([...new Set(seen)]).toEqual(ids(events).filter((id) => id !== poison));
    const [letter] = await lettersOf(key);
    expect(letter).toMatchObject({
      event_id: poison,
      event: { id: poison, correlationId: 'thread' },
      cause: 'HANDLER_FAILED',
      error: 'it is poison',
      attempts: 3,
    });
    expect((await rowsOf(key))[0]?.history).toHaveLength(3);
    const news = await newsOf(key);
    expect(news.map(({ severity, payload }) => [severity, payload.attempts, payload.deadLettered])).toEqual([
      ['warning', 1, false],
      ['error', 3, true],
    ]);
    expect(news[0]).toMatchObject({ causation_id: poison, payload: { subscription: key, eventId: poison } });
    expect(await consumer.stop()).toMatchObject({ delivered: 60, failed: 3 });
  });

  test('that a handler names itself fails alone, at once and for good when another attempt cannot help', async () => {
    const { key, anEvent } = await aSubscription(database);
    const [bad, good] = [anEvent(), anEvent()];
    await appendEvents(database.log, [bad, good]);
    const consumers = consumersOf(database, wakeups, key, {
      deliver: (deliveries) =>
        Promise.resolve({
          failures: deliveries
            .filter(({ event }) => event.id === bad.id)
            .map(({ event, part }) => ({
              ...{ eventId: event.id, part, cause: 'REFUSED', error: 'no\0such target', isFinal: true },
            })),
          later: [],
        }),
    });
    const consumer = consumers.start();
    await eventually(() => lettersOf(key)).toMatchObject([
      { event_id: bad.id, cause: 'REFUSED', attempts: 1 },
    ]);
    expect(await statesOf(key)).toEqual(['failed']);
    expect(await newsOf(key)).toHaveLength(1);
    await consumer.stop();
  });

  test('is no news when it is itself news of a failure, or comes from HALO', async () => {
    const { key, anEvent } = await aSubscription(database, { match: { types: [] }, maxAttempts: 1 });
    const quiet = [
      anEvent({ type: eventTypes.processingFailed }),
      anEvent({ type: 'halo.weakpoint.critical', source: { type: 'halo', id: 'cyc_1' } }),
    ];
    const loud = anEvent();
    await appendEvents(database.log, [...quiet, loud]);
    const consumer = consumersOf(database, wakeups, key, {
      deliver: () => Promise.reject(new Error('never')),
    }).start();
    const letters = async () => ids((await lettersOf(key)).map((one) => ({ id: one.event_id }))).sort();
    await eventually(letters).toEqual(expect.arrayContaining(ids([...quiet, loud])));
    // The news of the one is an event like any other: it is given up in its turn, and that is no news.
    await eventually(async () => (await lettersOf(key)).length).toBe(4);
    const [, ...more] = await newsOf(key);
    expect(more).toEqual([]);
    await consumer.stop();
  });
});

describe('a delivery of its own', () => {
  test('is made when the event says so, not before, and survives its consumer', async () => {
    const { key, anEvent } = await aSubscription(database);
    const soon = new Date(Date.now() + 1_500);
    const [later, now] = [anEvent({ deliverAt: soon.toISOString() }), anEvent()];
    await appendEvents(database.log, [later, now]);
    const consumers = consumersOf(database, wakeups, key);
    const consumer = consumers.start();
    await eventually(() => statesOf(key)).toEqual(['pending']);
    expect(consumers.ids()).toEqual([now.id]);
    await consumer.stop();
    const other = consumers.start();
    await eventually(consumers.ids).toEqual([now.id, later.id]);
    await eventually(() => statesOf(key)).toEqual(['completed']);
    const [row] = await database.root`
      select d.ended_at >= e.deliver_at as is_after from deliveries d join events e on e.id = d.event_id
      where d.subscription = ${key}`;
    expect(row).toEqual({ is_after: true });
    await other.stop();
  });

  test('of a part that the handler puts off is made apart, with the part it is for', async () => {
    const { key, anEvent } = await aSubscription(database);
    const event = anEvent();
    await appendEvents(database.log, [event]);
    const parts: string[] = [];
    const consumer = consumersOf(database, wakeups, key, {
      deliver: (deliveries) => {
        parts.push(...deliveries.map(({ part }) => part));
        const later = deliveries
          .filter(({ part }) => part === '')
          .flatMap(({ event: { id } }) => ['slow', 'slow', 'far'].map((part) => ({ eventId: id, part })));
        return Promise.resolve({ failures: [], later });
      },
    }).start();
    await eventually(() => statesOf(key)).toEqual(['completed', 'completed']);
    expect(parts.sort()).toEqual(['', 'far', 'slow']);
    await consumer.stop();
  });

  test('of a part that is due with its event, and that both report, fails once: one dead letter, one piece of news', async () => {
    const { key, anEvent } = await aSubscription(database);
    // Not what the subscription matches, so that only the rows hand them over; as many as make groups of two.
    const events = Array.from({ length: 8 }, () => anEvent({ type: 'test.elsewhere' }));
    await appendEvents(database.log, events);
    const [first, ...others] = ids(events) as string[];
    const due = [
      { eventId: first ?? '', part: 'w' },
      ...[first ?? '', ...others].map((eventId) => ({ eventId, part: '' })),
    ].map((of, place) => ({ id: deliveryId({ subscription: key, ...of }), ...of, place }));
    await database.root`
      insert into deliveries (id, subscription, event_id, event_recorded_at, part, state, due_at)
      select d.id, ${key}, e.id, e.recorded_at, d.part, 'pending', now() - make_interval(secs => 60 - d.place)
      from jsonb_to_recordset(${JSON.stringify(due)}::text::jsonb) as d(id text, "eventId" text, part text, place int)
      join events e on e.id = d."eventId"`;
    const together: string[][] = [];
    const consumer = consumersOf(database, wakeups, key, {
      deliver: (deliveries) => {
        const parts = deliveries.filter(({ event }) => event.id === first).map(({ part }) => part);
        if (parts.length > 0) together.push(parts);
        const failure = { eventId: first ?? '', part: 'w', cause: 'REFUSED', error: 'no', isFinal: true };
        return Promise.resolve({ failures: parts.length === 0 ? [] : [failure, failure], later: [] });
      },
    }).start();
    await eventually(async () => (await statesOf(key)).sort()).toEqual([
      ...Array.from({ length: 8 }, () => 'completed'),
      'failed',
    ]);
    expect(together).toEqual([['w', '']]);
    expect(await lettersOf(key)).toMatchObject([{ event_id: first, cause: 'REFUSED', attempts: 1 }]);
    expect(await newsOf(key)).toHaveLength(1);
    expect(await consumer.stop()).toMatchObject({ delivered: 8, failed: 1 });
  });

  test('ends when the deadline has passed, tried or not', async () => {
    const { key, anEvent } = await aSubscription(database, { deadlineMs: 1, maxAttempts: 5 });
    const event = anEvent();
    await appendEvents(database.log, [event]);
    const consumers = consumersOf(database, wakeups, key);
    const consumer = consumers.start();
    await eventually(() => lettersOf(key)).toMatchObject([{ event_id: event.id, cause: 'DEADLINE_PASSED' }]);
    expect(consumers.delivered).toEqual([]);
    await consumer.stop();

    const strict = await aSubscription(database, { deadlineMs: 1_500, maxAttempts: 1_000, backoffMs: 300 });
    await appendEvents(database.log, [strict.anEvent()]);
    const failing = consumersOf(database, wakeups, strict.key, {
      deliver: () => Promise.reject(new Error('not yet')),
    }).start();
    await eventually(() => lettersOf(strict.key)).toMatchObject([{ cause: 'DEADLINE_PASSED' }]);
    const [row] = await rowsOf(strict.key);
    expect(row?.state).toBe('failed');
    expect(row?.history.length).toBeGreaterThan(1);
    await failing.stop();
  });

  test('of a replay without leave for side effects is previewed, stored, and not made', async () => {
    const { key, anEvent } = await aSubscription(database);
    const event = anEvent();
    await appendEvents(database.log, [event]);
    const consumers = consumersOf(database, wakeups, key, {
      preview: (deliveries) =>
        Promise.resolve(
          deliveries.map(({ event: { id }, part, replay }) => ({
            ...{ eventId: id, part, would: `act for ${replay?.id}`, detail: {} },
          })),
        ),
    });
    const consumer = consumers.start();
    await eventually(consumers.ids).toEqual([event.id]);
    const stored = await getEvent(database.db, event.id ?? '');
    for (const replayId of ['rpl_1', 'rpl_2'])
      await database.root`
        insert into deliveries (id, subscription, event_id, event_recorded_at, replay_id, side_effects, state, due_at)
        values (${deliveryId({ subscription: key, eventId: event.id ?? '', replayId })}, ${key}, ${event.id ?? ''},
                ${stored?.recordedAt ?? new Date(0)}, ${replayId}, false, 'pending', now())`;
    await eventually(() => statesOf(key)).toEqual(['completed', 'completed']);
    const previews = (await rowsOf(key)).map((row) => row.previews);
    expect(previews).toEqual(
      expect.arrayContaining([
        [expect.objectContaining({ would: 'act for rpl_1' })],
        [expect.objectContaining({ would: 'act for rpl_2' })],
      ]),
    );
    expect(consumers.ids()).toEqual([event.id]);
    await consumer.stop();
  });

  test('that was given up begins anew when a change queues it, once, and its consumer is told', async () => {
    const { key, anEvent } = await aSubscription(database, { maxAttempts: 1, deadlineMs: 60_000 });
    const event = anEvent();
    await appendEvents(database.log, [event]);
    let isBroken = true;
    const consumers = consumersOf(database, wakeups, key, {
      deliver: (deliveries) => {
        if (isBroken) throw new Error('broken');
        consumers.delivered.push(...deliveries);
        return Promise.resolve(nothingFailed);
      },
    });
    const consumer = consumers.start();
    await eventually(() => statesOf(key)).toEqual(['failed']);
    isBroken = false;
    const [letter] = await lettersOf(key);
    const eventId = event.id ?? '';
    const id = deliveryId({ subscription: key, eventId });
    const { recordedAt } = letter?.event as unknown as { recordedAt: string };
    const redrive = () =>
      change(database.db, {
        opKey: `redrive:${key}`,
        write: sql`update dead_letters set state = 'requeued' where subscription = ${key} returning *`,
        also: [
          queueDeliveries(sql`
            select ${id}::text, ${key}::text, ${eventId}::text, ${recordedAt}::timestamptz, ''::text, null::text, true,
                   now()`),
        ],
        audit: { actor: 'test', action: 'redrive', subjectKind: 'subscription', subjectId: key },
      });
    await Promise.all([redrive(), redrive()]);
    await eventually(consumers.ids).toEqual([eventId]);
    await eventually(() => statesOf(key)).toEqual(['completed']);
    expect(await rowsOf(key)).toMatchObject([{ attempts: 1, history: [{ error: 'broken' }] }]);
    await consumer.stop();
  });

  test('that ended is forgotten after its days, others are not', async () => {
    const { key, anEvent } = await aSubscription(database);
    const ended = [8, 6, null].map((days) => ({ id: newId('dlv'), days }));
    for (const { id, days } of ended)
      await database.root`
        insert into deliveries (id, subscription, event_id, event_recorded_at, state, due_at, ended_at)
        values (${id}, ${key}, ${anEvent().id ?? ''}, now(), ${days === null ? 'pending' : 'completed'}, now(),
                now() - make_interval(days => ${days}::int))`;
    expect(await deleteEndedDeliveries(database.log, 7, 100)).toBe(1);
    expect((await rowsOf(key)).map(({ id }) => id).sort()).toEqual([ended[1]?.id, ended[2]?.id].sort());
  });

  test('whose event the log has forgotten is given up with that reason', async () => {
    const { key } = await aSubscription(database);
    const gone = newId('evt');
    await database.root`
      insert into deliveries (id, subscription, event_id, event_recorded_at, state, due_at)
      values (${newId('dlv')}, ${key}, ${gone}, now(), 'pending', now())`;
    const consumer = consumersOf(database, wakeups, key).start();
    await eventually(() => lettersOf(key)).toMatchObject([{ event_id: gone, cause: 'EVENT_GONE' }]);
    await consumer.stop();
  });
});

describe('the claim of a delivery', () => {
  async function aDue(count = 1) {
    const { key, anEvent } = await aSubscription(database);
    const events = Array.from({ length: count }, () => anEvent());
    await appendEvents(database.log, events);
    await database.root`
      insert into deliveries (id, subscription, event_id, event_recorded_at, state, due_at)
      select 'dlv_' || id, ${key}, id, recorded_at, 'pending', now() from events where id = any(${ids(events) as string[]})`;
    return key;
  }
  const end = (key: string, { id, epoch }: { id: string; epoch: number }) =>
    endDeliveries(database.log, {
      key,
      ends: [{ id, epoch, state: 'completed', previews: null }],
      deliveries: [],
      notes: [],
    });

  test('goes to one of many that ask at once', async () => {
    const key = await aDue(40);
    const claims = await Promise.all(Array.from({ length: 8 }, () => claimDue(database.log, key, 10)));
    const claimed = claims.flat().map(({ id }) => id);
    expect(new Set(claimed).size).toBe(claimed.length);
    const rest = await claimDue(database.log, key, 100);
    expect(claimed.length + rest.length).toBe(40);
  });

  test('falls to others when it runs out, and the first holder can no longer end it', async () => {
    const key = await aDue();
    const [dead] = await claimDue(database.log, key, 1);
    expect(await claimDue(database.log, key, 1)).toEqual([]);
    await database.root`update deliveries set claimed_until = now() - interval '1 s' where subscription = ${key}`;
    const [heir] = await claimDue(database.log, key, 1);
    expect(heir?.event?.id).toBe(heir?.eventId);
    expect(dead === undefined ? -1 : await end(key, dead)).toBe(0);
    expect(await statesOf(key)).toEqual(['processing']);
    expect(heir === undefined ? -1 : await end(key, heir)).toBe(1);
    expect(await statesOf(key)).toEqual(['completed']);
  });

  test('is not given while the subscription is paused', async () => {
    const key = await aDue();
    await database.root`update subscriptions set paused_at = now() where key = ${key}`;
    expect(await claimDue(database.log, key, 1)).toEqual([]);
    await database.root`update subscriptions set paused_at = null where key = ${key}`;
    expect(await claimDue(database.log, key, 1)).toHaveLength(1);
  });
});

describe('a consumer', () => {
  test('waits while nothing can be tried, counts no attempt, and loses nothing', async () => {
    const { key, anEvent } = await aSubscription(database, { maxAttempts: 1 });
    const events = [anEvent(), anEvent()];
    await appendEvents(database.log, events);
    let isAway = true;
    let asked = 0;
    const consumers = consumersOf(database, wakeups, key, {
      deliver: (deliveries) => {
        asked += 1;
        if (isAway) throw new Unavailable('Temporal is away', { retryInMs: 5 });
        consumers.delivered.push(...deliveries);
        return Promise.resolve(nothingFailed);
      },
    });
    await database.root`
      insert into deliveries (id, subscription, event_id, event_recorded_at, part, state, due_at)
      select ${newId('dlv')}, ${key}, id, recorded_at, 'apart', 'pending', now() from events where id = ${events[0]?.id ?? ''}`;
    const consumer = consumers.start();
    await eventually(() => asked).toBeGreaterThan(6);
    expect((await rowsOf(key)).map(({ attempts }) => attempts)).toEqual([0]);
    isAway = false;
    await eventually(() => [...consumers.ids()].sort()).toEqual([...ids(events), events[0]?.id].sort());
    expect(await lettersOf(key)).toEqual([]);
    await consumer.stop();
  });

  test('delivers nothing while its subscription is paused, and goes on where it was', async () => {
    const { key, anEvent } = await aSubscription(database);
    const consumers = consumersOf(database, wakeups, key);
    const consumer = consumers.start();
    const before = anEvent();
    await appendEvents(database.log, [before]);
    await eventually(consumers.ids).toEqual([before.id]);
    await database.root`update subscriptions set paused_at = now() where key = ${key}`;
    expect(await consumer.turn).toMatchObject({ ended: 'paused' });
    expect(await consumers.look()).toEqual({ status: 'paused', consumers: 1 });
    const meanwhile = anEvent();
    await appendEvents(database.log, [meanwhile]);
    expect(await consumers.start().turn).toMatchObject({ ended: 'paused', delivered: 0 });
    await database.root`update subscriptions set paused_at = null where key = ${key}`;
    const again = consumers.start();
    await eventually(consumers.ids).toEqual([before.id, meanwhile.id]);
    await again.stop();
  });

  describe('that waits for the horizon', () => {
    /** A consumer that knows of an event which an open transaction hides from it. */
    async function aWaiting() {
      const { key, anEvent } = await aSubscription(database);
      let looks = 0;
      const log = new Proxy(database.log, {
        apply(target, self, asked: [TemplateStringsArray]) {
          if (asked[0].join('').includes('as hidden')) looks += 1;
          return Reflect.apply(target, self, asked) as unknown;
        },
      });
      const consumers = consumersOf({ ...database, log }, wakeups, key);
      const consumer = consumers.start();
      const known = anEvent();
      await appendEvents(database.log, [known]);
      await eventually(consumers.ids).toEqual([known.id]);
      const session = await database.root.reserve();
      await session.unsafe('begin');
      await session`select pg_current_xact_id()`;
      const hidden = anEvent();
      await appendEvents(database.log, [hidden]);
      await sleep(300);
      const open = async () => {
        await session.unsafe('commit');
        session.release();
      };
      return { key, consumer, consumers, open, seen: [known.id, hidden.id], looks: () => looks };
    }

    test('ends at once when its subscription is paused', async () => {
      const { key, consumer, open } = await aWaiting();
      const pausedAt = Date.now();
      await database.root`update subscriptions set paused_at = now() where key = ${key}`;
      expect(await consumer.turn).toMatchObject({ ended: 'paused', delivered: 1 });
      expect(Date.now() - pausedAt).toBeLessThan(2_000);
      await open();
    });

    test('goes on waiting for it after an announcement of its own, and does not ask without end', async () => {
      const { key, consumer, consumers, open, seen, looks } = await aWaiting();
      const before = looks();
      expect(before).toBeGreaterThan(0);
      await database.root`select pg_notify('dreamnet_events', ${key})`;
      await sleep(700);
      expect(looks() - before).toBeLessThan(100);
      const openedAt = Date.now();
      await open();
      await eventually(consumers.ids).toEqual(seen);
      expect(Date.now() - openedAt).toBeLessThan(2_000);
      await consumer.stop();
    });
  });

  test('that was rewound ends its turn, and the next one delivers again from there', async () => {
    const { key, anEvent } = await aSubscription(database);
    const consumers = consumersOf(database, wakeups, key);
    const consumer = consumers.start();
    const event = anEvent();
    await appendEvents(database.log, [event]);
    await eventually(consumers.ids).toEqual([event.id]);
    await database.root`
      update subscription_lanes set cursor_seq = 0, cursor_tx = e.tx, lease_epoch = lease_epoch + 1
      from events e where e.id = ${event.id ?? ''} and subscription = ${key}`;
    expect(await consumer.turn).toMatchObject({ ended: 'taken-over' });
    const again = consumers.start();
    await eventually(consumers.ids).toEqual([event.id, event.id]);
    await again.stop();
  });

  test('begins anew when its subscription is changed', async () => {
    const { key, anEvent } = await aSubscription(database);
    const consumer = consumersOf(database, wakeups, key).start();
    await appendEvents(database.log, [anEvent()]);
    await database.root`update subscriptions set version = version + 1 where key = ${key}`;
    expect(await consumer.turn).toMatchObject({ ended: 'changed' });
  });

  test('of the strategy direct gets only what names its destination', async () => {
    const { key, anEvent } = await aSubscription(database, {
      strategy: 'direct',
      match: { destination: 'billing' },
    });
    const mine = anEvent({ destination: 'billing' });
    await appendEvents(database.log, [anEvent(), anEvent({ destination: 'shipping' }), mine]);
    const consumers = consumersOf(database, wakeups, key);
    const consumer = consumers.start();
    await eventually(consumers.ids).toEqual([mine.id]);
    expect(await consumer.stop()).toMatchObject({ delivered: 1 });
  });

  test('of the strategy filtered gets what its filter is true for; an event the filter cannot judge is dead-lettered', async () => {
    const { key, anEvent } = await aSubscription(database, { strategy: 'filtered', match: { filter: 'x' } });
    const [good, bad] = [anEvent({ payload: { take: true } }), anEvent({ payload: { take: 'what?' } })];
    await appendEvents(database.log, [bad, anEvent(), good]);
    const consumers = consumersOf(database, wakeups, key, {
      compileFilter: () => ({
        matches: ({ payload }) => {
          if (payload.take === 'what?') throw new Error('no such overload');
          return payload.take === true;
        },
      }),
    });
    const consumer = consumers.start();
    await eventually(consumers.ids).toEqual([good.id]);
    await eventually(() => lettersOf(key)).toMatchObject([{ event_id: bad.id, cause: 'FILTER_FAILED' }]);
    await consumer.stop();
  });

  test('of the strategy priority delivers what is urgent first, also when it came last', async () => {
    const { key, anEvent } = await aSubscription(database, { strategy: 'priority' });
    const order = ['low', 'normal', 'normal', 'high', 'critical'] as const;
    const events = order.map((priority) => anEvent({ priority }));
    await appendEvents(database.log, events);
    await eventually(async () => (await getEvent(database.db, events[4]?.id ?? ''))?.id).toBe(events[4]?.id);
    const isBelowHorizon = async () => {
      const [row] = await database.root`
        select tx < pg_snapshot_xmin(pg_current_snapshot()) as yes from events where id = ${events[0]?.id ?? ''}`;
      return row?.yes;
    };
    await eventually(isBelowHorizon).toBe(true);
    const consumers = consumersOf(database, wakeups, key);
    const consumer = consumers.start();
    await eventually(() => consumers.ids().length).toBe(5);
    expect(consumers.delivered.map(({ event }) => event.priority)).toEqual([...order].reverse());
    const more = anEvent({ priority: 'critical' });
    await appendEvents(database.log, [more]);
    await eventually(() => consumers.ids().at(-1)).toBe(more.id);
    expect(await consumer.stop()).toMatchObject({ delivered: 6 });
  });

  test('of a group delivers its share in the order of each thread; when one dies the others go on with all', async () => {
    const { key, anEvent } = await aSubscription(database, { strategy: 'balanced', consumers: 3 });
    const consumers = consumersOf(database, wakeups, key);
    expect(await consumers.look()).toEqual({ status: 'running', consumers: 3 });
    const group = [0, 1, 2].map((consumer) => consumers.start(consumer));
    const threads = Array.from({ length: 12 }, (_, index) => `t${index}`);
    const wave = () =>
      threads.flatMap((correlationId) => [anEvent({ correlationId }), anEvent({ correlationId })]);
    const first = wave();
    await appendEvents(database.log, first);
    await eventually(() => consumers.ids().length).toBe(first.length);
    const holders = async () => {
      const rows = await database.root`select leased_by from subscription_lanes where subscription = ${key}`;
      return new Set(rows.map(({ leased_by }) => leased_by as string)).size;
    };
    await eventually(holders).toBe(3);
    await group[1]?.stop();
    const second = wave();
    await appendEvents(database.log, second);
    await eventually(() => new Set(consumers.ids()).size).toBe(first.length + second.length);
    await eventually(holders).toBe(2);
    for (const thread of threads) {
      const of = (events: { correlationId?: string | null | undefined; id?: string | undefined }[]) =>
        ids(events.filter(({ correlationId }) => correlationId === thread));
      expect(of(consumers.delivered.map(({ event }) => event))).toEqual(of([...first, ...second]));
    }
    await Promise.all([group[0]?.stop(), group[2]?.stop()]);
  });
});
