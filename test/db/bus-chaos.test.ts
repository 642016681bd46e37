import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { isUnavailable, Unavailable } from '../../activities/event-handlers.ts';
import { type Database, openDatabase } from '../../db/client.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { type Delivery, type EventHandler, nothingFailed } from '../../domain/delivery.ts';
import type { EventInput } from '../../domain/events.ts';
import { listenForEvents, type Wakeups } from '../../db/wakeups.ts';
import { aSubscription, type Consumer, consumersOf, type SubscriptionGiven } from '../support/consumers.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';

const total = 100_000;
const writers = 8;
const batch = 500;
const isDuplicate = (place: number) => place % 10 === 9;
const isPoison = (place: number) => place % 100 === 50;

let database: TestDatabase;
let writing: Database;
let acting: Database;
let wakeups: Wakeups;

beforeAll(async () => {
  database = await openTestDatabase(20);
  writing = openDatabase(database.url, { name: 'writers' });
  acting = openDatabase(database.url, { name: 'handlers' });
  wakeups = await listenForEvents(database.log);
  await database.root`create table effects (subscription text, event_id text, primary key (subscription, event_id))`;
  await database.root`create table sums (subscription text primary key, effects int not null default 0)`;
  await database.root`grant select, insert, update on effects, sums to dreamnet_app`;
  return () => Promise.all([writing.close(), acting.close()]);
});

/** An answer that does not come is a lost one. */
async function patiently<T>(what: Promise<T>): Promise<T> {
  const late = sleep(4_000, undefined, { ref: false }).then((): never => {
    throw new Unavailable('there was no answer');
  });
  return Promise.race([what, late]);
}

/** Adds to a sum once for each event, however often it is delivered. */
function effect(subscription: string, deliveries: Delivery[]) {
  const ids = deliveries.map(({ event }) => event.id);
  return patiently(
    Promise.resolve(acting.log`
      with fresh as (
        insert into effects (subscription, event_id)
        select ${subscription}, id from jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb) as id
        on conflict do nothing returning event_id
      )
      update sums set effects = effects + (select count(*) from fresh) where subscription = ${subscription}`),
  );
}

const poisoned = ({ event }: Delivery) => event.payload.poison === true;

/** Fails as a whole when there is poison in the batch. */
const throwing: EventHandler['deliver'] = async (deliveries, { subscription }) => {
  if (deliveries.some(poisoned)) throw new Error('it is poison');
  await effect(subscription, deliveries);
  return nothingFailed;
};

/** Does what it can, and says what it could not. */
const telling: EventHandler['deliver'] = async (deliveries, { subscription }) => {
  await effect(
    subscription,
    deliveries.filter((one) => !poisoned(one)),
  );
  const failures = deliveries
    .filter(poisoned)
    .map(({ event, part }) => ({ eventId: event.id, part, cause: 'POISON', error: 'it is poison' }));
  return { failures, later: [] };
};

let isOver = false;
let kills = 0;

/** A consumer as its run keeps it alive: what ends by an outage begins again. */
async function keepConsuming(start: () => Consumer): Promise<void> {
  while (!isOver) {
    try {
      await start().turn;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
    }
  }
}

async function aSubscriber(given: SubscriptionGiven, deliver: EventHandler['deliver']) {
  const made = { maxAttempts: 2, backoffMs: 50, ...given };
  const { key } = await aSubscription(database, { ...made, match: { types: ['chaos.*'] } });
  await database.root`insert into sums (subscription) values (${key})`;
  const consumers = consumersOf(database, wakeups, key, { deliver, turnMs: 3_000 });
  const running = Array.from({ length: given.consumers ?? 1 }, (_, consumer) =>
    keepConsuming(() => consumers.start(consumer)),
  );
  return { key, running };
}

/** Ends sessions of the application, whatever they are doing, as a failing network or server would. */
async function killSome(): Promise<void> {
  while (!isOver) {
    await sleep(400);
    const killed = await database.root`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and usename = 'dreamnet_app' order by random() limit 1`;
    kills += killed.length;
  }
}

const priorities = ['normal', 'high', 'low', 'critical'] as const;

/** Each writer posts its part in batches, and each batch until it is acknowledged. */
async function write(writer: number): Promise<void> {
  const mine: string[] = [];
  for (let done = 0; done < total / writers; done += batch) {
    const events = Array.from({ length: batch }, (_, index): EventInput => {
      const place = done + index;
      const id = isDuplicate(place) ? (mine[place % mine.length] ?? newId('evt')) : newId('evt');
      mine.push(id);
      return {
        id,
        type: 'chaos.posted',
        source: { type: 'api', id: `writer-${writer}` },
        severity: 'info',
        ...(place % 7 === 0 ? { priority: priorities[place % priorities.length] } : {}),
        payload: isPoison(place) ? { poison: true } : {},
        metadata: {},
        correlationId: `thread-${place % 50}`,
      };
    });
    for (let isStored = false; !isStored;)
      try {
        await patiently(appendEvents(writing.log, events));
        isStored = true;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
      }
  }
}

test('with sessions killed at random every accepted event is processed, dead-lettered with a reason, or pending for each subscriber, and its effect happens once', async () => {
  const subscribers = [
    await aSubscriber({}, throwing),
    await aSubscriber({ strategy: 'priority' }, telling),
    await aSubscriber({ strategy: 'balanced', consumers: 3 }, telling),
  ];
  const keys = subscribers.map(({ key }) => key);
  const killing = killSome();
  const running = subscribers.flatMap((one) => one.running);
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));

  // One statement tells the whole sum, for each subscriber.
  const sums = () => database.root<Sum[]>`
    select s.key,
           (select count(*)::int from events e where e.type = 'chaos.posted') as accepted,
           (select count(*)::int from effects f where f.subscription = s.key) as processed,
           (select count(*)::int from dead_letters l
             where l.subscription = s.key and l.state = 'open' and l.cause <> '' and l.error <> '') as dead,
           (select count(*)::int from deliveries d
             where d.subscription = s.key and d.state in ('pending', 'processing')) as pending,
           (select count(*)::int from events e
             where e.type = 'chaos.posted'
               and not exists (select from effects f where f.subscription = s.key and f.event_id = e.id)
               and not exists (select from deliveries d where d.subscription = s.key and d.event_id = e.id)) as missed,
           (select count(*)::int from effects f join dead_letters l
              on l.subscription = f.subscription and l.event_id = f.event_id where f.subscription = s.key) as twofold,
           (select effects from sums where subscription = s.key) as effects
    from subscriptions s where s.key = any(${keys}) order by s.key`;
  const left = async () => {
    const rows = await database.root<{ done: number }[]>`
      select s.effects + (select count(*)::int from dead_letters l where l.subscription = s.subscription) as done
      from sums s order by s.subscription`;
    return rows.map(({ done }) => total * 0.9 - done);
  };
  await Promise.race([
    expect.poll(left, { timeout: 150_000, interval: 250 }).toEqual([0, 0, 0]),
    ...running,
    killing,
  ]);
  isOver = true;
  for (const sum of await sums()) {
    const { accepted, processed, dead, pending } = sum;
    expect(accepted).toBe(total * 0.9);
    expect(processed + dead + pending).toBe(accepted);
    expect(sum).toMatchObject({ missed: 0, twofold: 0, effects: processed });
    expect(dead).toBe(poison());
  }
  expect(kills).toBeGreaterThan(20);
  await Promise.all([killing, ...running]);
}, 240_000);

type Sum = {
  key: string;
  accepted: number;
  processed: number;
  dead: number;
  pending: number;
  missed: number;
  twofold: number;
  effects: number;
};

function poison(): number {
  const places = Array.from({ length: total / writers }, (_, place) => place);
  return places.filter((place) => isPoison(place) && !isDuplicate(place)).length * writers;
}
