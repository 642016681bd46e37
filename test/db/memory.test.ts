import { beforeAll, describe, expect, test } from 'vitest';
import { createMemoryHandler } from '../../activities/memory.ts';
import { newId } from '../../db/ids.ts';
import { appendEvents } from '../../db/events.ts';
import { ageMemory, countMoves, pruneMarks } from '../../db/memory.ts';
import { listenForEvents } from '../../db/wakeups.ts';
import type { Delivery } from '../../domain/delivery.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import { keptPerDay, type Move, movesOf } from '../../domain/memory.ts';
import { aSubscription, consumersOf } from '../support/consumers.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aLoggedEvent } from '../support/events.ts';
import { aTask } from '../support/factories.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase(10);
  people = await createPeople(database);
});

const failed = (id: string, more: Partial<LoggedEvent> = {}): LoggedEvent =>
  aLoggedEvent({ type: 'api.endpoint.failed', sourceId: id, ...more });
const count = (...events: LoggedEvent[]) => countMoves(database.log, events.flatMap(movesOf));

async function traitsOf(entity: string): Promise<Record<string, number>> {
  const rows = await database.root<{ trait: string; value: number }[]>`
    select trait, value from memory_traits where entity = ${entity}`;
  return Object.fromEntries(rows.map(({ trait, value }) => [trait, Math.round(value * 1e6) / 1e6]));
}
const historyOf = (entity: string) =>
  database.root<{ event_id: string; cause: string; moves: Record<string, { from: number; to: number }> }[]>`
    select * from memory_history where entity = ${entity} order by id`;
const waitingFor = (query: string) => database.root<{ pid: number }[]>`
  select pid from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock' and query like ${query}`;

describe('a batch of events', () => {
  test('moves each trait from the default, one event after the other, and tells each in the history', async () => {
    const id = newId('prb');
    const ok = aLoggedEvent({ type: 'api.endpoint.success', sourceId: id });
    const first = failed(id);
    expect(await count(first, ok)).toEqual({ counted: 2 });
    expect(await traitsOf(`endpoint:${id}`)).toEqual({ reliability: 0.45, latency: 0.53 });
    const history = await historyOf(`endpoint:${id}`);
    expect(history.map(({ event_id, cause }) => [event_id, cause])).toEqual([
      [first.id, 'api.endpoint.failed'],
      [ok.id, 'api.endpoint.success'],
    ]);
    expect(history[1]?.moves.reliability?.from).toBeCloseTo(0.4);
    expect(history[1]?.moves.reliability?.to).toBeCloseTo(0.45);
  });

  test('leaves the same values in one batch as event by event, also where a value meets its limit', async () => {
    const [whole, single] = [newId('prb'), newId('prb')];
    const eventsOf = (id: string) =>
      Array.from({ length: 20 }, (_, index) =>
        aLoggedEvent({ type: index % 7 < 5 ? 'api.endpoint.failed' : 'api.endpoint.success', sourceId: id }),
      );
    await count(...eventsOf(whole));
    for (const event of eventsOf(single)) await count(event);
    // By hand: 10 x -0.1 with four +0.05 between and the floor at 0.
    let value = 0.5;
    for (let index = 0; index < 20; index += 1)
      value = Math.min(1, Math.max(0, value + (index % 7 < 5 ? -0.1 : 0.05)));
    expect((await traitsOf(`endpoint:${whole}`)).reliability).toBeCloseTo(value, 5);
    const [one, other] = [await traitsOf(`endpoint:${whole}`), await traitsOf(`endpoint:${single}`)];
    for (const trait of ['reliability', 'latency']) expect(one[trait]).toBeCloseTo(other[trait] ?? NaN, 5);
  });

  test('with an event twice, again, or in two batches at once counts each event once', async () => {
    const id = newId('prb');
    const events = Array.from({ length: 8 }, () => failed(id, { type: 'api.endpoint.success' }));
    const both = [...events, ...events.slice(0, 3)].flatMap(movesOf);
    const results = await Promise.all([
      countMoves(database.log, both),
      countMoves(database.log, [...both].reverse()),
      countMoves(database.log, events.slice(4).flatMap(movesOf)),
    ]);
    expect(results.reduce((sum, { counted }) => sum + counted, 0)).toBe(8);
    expect((await historyOf(`endpoint:${id}`)).length).toBe(8);
    expect(await traitsOf(`endpoint:${id}`)).toEqual({ reliability: 0.9, latency: 0.34 });
    expect(await count(...events)).toEqual({ counted: 0 });
    expect(await traitsOf(`endpoint:${id}`)).toEqual({ reliability: 0.9, latency: 0.34 });
  });

  test('that is killed on its way has counted nothing, and counts all when it comes again', async () => {
    const id = newId('prb');
    const events = [failed(id), failed(id)];
    // Another holds the last thing the statement needs: it has marked its events by then, and dies there.
    await count(failed(id));
    const holder = await database.root.reserve();
    await holder`select pg_advisory_lock(77)`;
    const held = database.log`
      with locked as materialized (select from memory_traits where entity = ${`endpoint:${id}`} for update)
      select pg_advisory_lock(77), pg_advisory_unlock(77) from locked limit 1`.execute();
    await eventually(async () => (await waitingFor('%materialized%')).length).toBe(1);
    const ended = count(...events).then(
      () => 'counted',
      (error: { code?: unknown }) => error.code,
    );
    await eventually(async () => (await waitingFor('%memory_marks%')).length).toBe(1);
    const [waiting] = await waitingFor('%memory_marks%');
    await database.root`select pg_terminate_backend(${waiting?.pid ?? 0}::int)`;
    expect(await ended).not.toBe('counted');
    await holder`select pg_advisory_unlock(77)`;
    holder.release();
    await held;
    expect((await traitsOf(`endpoint:${id}`)).reliability).toBe(0.4);
    expect(await historyOf(`endpoint:${id}`)).toHaveLength(1);
    expect(await count(...events)).toEqual({ counted: 2 });
    expect((await traitsOf(`endpoint:${id}`)).reliability).toBe(0.2);
  });

  test('leaves the newest 25 lines of history, in one batch and over several', async () => {
    const id = newId('prb');
    const events = Array.from({ length: 40 }, () => failed(id));
    await count(...events.slice(0, 30));
    expect((await historyOf(`endpoint:${id}`)).map(({ event_id }) => event_id)).toEqual(
      events.slice(5, 30).map((event) => event.id),
    );
    await count(...events.slice(30));
    expect((await historyOf(`endpoint:${id}`)).map(({ event_id }) => event_id)).toEqual(
      events.slice(15).map((event) => event.id),
    );
  });
});

test('a task moves the agent of that attempt, whoever had another, and the squad it belongs to', async () => {
  const { id: taskId } = await aTask(database, people);
  await database.root`update tasks set squad = ${taskId} where id = ${taskId}`;
  for (const attempt of [1, 2])
    await database.root`
      insert into task_attempts (key, task_id, attempt, agent_id, executor, state, dispatched_by, digest)
      values (${`${taskId}:${attempt}`}, ${taskId}, ${attempt}, ${`${taskId}_${attempt}`}, 'temporal', 'failed', 'x', 'x')`;
  const about = { sourceType: 'squad', sourceId: taskId } as const;
  await count(
    aLoggedEvent({ type: 'squad.task.failed', ...about, payload: { taskId, attempt: 1 } }),
    aLoggedEvent({ type: 'squad.task.completed', ...about, payload: { taskId, attempt: 2 } }),
  );
  expect(await traitsOf(`agent:${taskId}_1`)).toEqual({ reliability: 0.4 });
  expect(await traitsOf(`agent:${taskId}_2`)).toEqual({ reliability: 0.58, velocity: 0.52 });
  expect(await traitsOf(`squad:${taskId}`)).toEqual({ reliability: 0.48 });
});

test('traits go back towards the middle by the time that passed, missed runs made up, and fresh moves are not aged', async () => {
  const [once, often] = [newId('prb'), newId('prb')];
  await count(failed(once), failed(once), failed(often), failed(often));
  const age = (id: string, days: number) => database.root`
    update memory_traits set updated_at = updated_at - make_interval(days => ${days}::int) where entity = ${`endpoint:${id}`}`;
  await age(once, 10);
  expect(await ageMemory(database.log, 1000)).toBe(2);
  for (let day = 0; day < 10; day += 1) {
    await age(often, 1);
    await ageMemory(database.log, 1000);
  }
  const expected = 0.5 - 0.2 * keptPerDay ** 10;
  expect((await traitsOf(`endpoint:${once}`)).reliability).toBeCloseTo(expected, 4);
  expect((await traitsOf(`endpoint:${often}`)).reliability).toBeCloseTo(expected, 4);
  expect(await ageMemory(database.log, 1000)).toBe(0);
  await age(once, 10);
  await count(failed(once));
  expect((await traitsOf(`endpoint:${once}`)).reliability).toBeCloseTo(0.4 - 0.2 * keptPerDay ** 20, 4);
});

test('a mark is forgotten once the log has forgotten the event, and not before', async () => {
  const [kept, gone, young] = [failed(newId('prb')), failed(newId('prb')), failed(newId('prb'))];
  await appendEvents(database.log, [
    {
      id: kept.id,
      type: kept.type,
      source: { type: 'api', id: 'x' },
      severity: 'info',
      payload: {},
      metadata: {},
    },
  ]);
  await count(kept, gone, young);
  await database.root`
    update memory_marks set at = now() - interval '100 days' where event_id in (${kept.id}, ${gone.id})`;
  expect(await pruneMarks(database.log, 1000)).toBe(1);
  const marks = await database.root<{ event_id: string }[]>`
    select event_id from memory_marks where event_id in (${kept.id}, ${gone.id}, ${young.id})`;
  expect(marks.map(({ event_id }) => event_id).sort()).toEqual([kept.id, young.id].sort());
});

describe('the handler', () => {
  const deliveryOf = (event: Delivery['event']): Delivery => ({ event, part: '', attempt: 1, replay: null });
  const context = { subscription: 'memory', config: {}, signal: new AbortController().signal };

  test('says for a replay what an event would move, or that it was counted, and writes nothing', async () => {
    const handler = createMemoryHandler({ database });
    const [fresh, old, empty] = [failed(newId('prb')), failed(newId('prb')), aLoggedEvent()];
    await handler.deliver([deliveryOf(old)], context);
    const previews = await handler.preview([fresh, old, empty].map(deliveryOf), context);
    expect(previews.map(({ would }) => would)).toEqual([
      `move reliability of endpoint:${fresh.sourceId} by -0.1, latency of endpoint:${fresh.sourceId} by 0.05`,
      'do nothing: it was counted before',
      'do nothing: it says nothing of anybody known',
    ]);
    expect(await traitsOf(`endpoint:${fresh.sourceId}`)).toEqual({});
  });

  test('over the bus: every event of the log is counted once, by consumers that come and go', async () => {
    const id = newId('prb');
    const { key, anEvent } = await aSubscription(database, { match: { types: ['api.endpoint.success'] } });
    const wakeups = await listenForEvents(database.log);
    const { start } = consumersOf(database, wakeups, key, createMemoryHandler({ database }));
    const events = Array.from({ length: 300 }, () =>
      anEvent({ type: 'api.endpoint.success', source: { type: 'api', id } }),
    );
    const first = start();
    await appendEvents(database.log, events.slice(0, 150));
    await first.stop();
    await database.root`
      update subscription_lanes set cursor_seq = 0, cursor_tx = '0' where subscription = ${key}`;
    const second = start();
    await appendEvents(database.log, events.slice(150));
    await eventually(
      () => database.root`select count(*)::int as count from memory_marks
        where event_id in (select id from events where source_id = ${id})`,
    ).toEqual([{ count: 300 }]);
    await second.stop();
    expect(await traitsOf(`endpoint:${id}`)).toEqual({ reliability: 1, latency: 0 });
    expect(await historyOf(`endpoint:${id}`)).toHaveLength(25);
  });
});

test('moves of one entity from hundreds of events are one statement', async () => {
  const moves: Move[] = Array.from({ length: 500 }, () => failed('busy')).flatMap(movesOf);
  expect(await countMoves(database.log, moves)).toEqual({ counted: 500 });
  expect(await traitsOf('endpoint:busy')).toEqual({ reliability: 0, latency: 1 });
});
