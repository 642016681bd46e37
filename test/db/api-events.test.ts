import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let keys: Record<keyof People, string>;
let agentId: string;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  const people = await createPeople(database);
  keys = await keysOf(database, people);
  agentId = await anAgent(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
});

const event = { type: 'shop.order.failed', source: { type: 'api', id: 'shop' }, payload: { order: 7 } };
const send = (body: object, as = keys.operator) => api.call('POST', '/v1/events', { as, body });

describe('events', () => {
  test('one is answered as one, many as many, in the order they came', async () => {
    const one = await send(event);
    expect(one).toMatchObject({ status: 202, body: { duplicate: false } });
    const many = await send([
      { ...event, id: 'evt_a' },
      { ...event, id: 'evt_b' },
    ]);
    expect(many.body.accepted).toEqual([
      { id: 'evt_a', duplicate: false },
      { id: 'evt_b', duplicate: false },
    ]);
    const read = await api.call('GET', '/v1/events/evt_b', { as: keys.viewer });
    expect(read.body).toMatchObject({
      id: 'evt_b',
      type: event.type,
      category: 'shop',
      source: event.source,
      payload: event.payload,
      severity: 'info',
      priority: 'normal',
    });
  });

  test('of an id that the log has are marked and left as they were', async () => {
    await send({ ...event, id: 'evt_once', payload: { first: true } });
    const again = await send([
      { ...event, id: 'evt_once', payload: { first: false } },
      { ...event, id: 'evt_new' },
      { ...event, id: 'evt_new' },
    ]);
    expect(again.body.accepted.map((each: { duplicate: boolean }) => each.duplicate)).toEqual([
      true,
      false,
      true,
    ]);
    const read = await api.call('GET', '/v1/events/evt_once', { as: keys.viewer });
    expect(read.body.payload).toEqual({ first: true });
  });

  test('of an id that the log has with another content are left as they were and say that they differ', async () => {
    await send({ ...event, id: 'evt_kept', correlationId: 'c', payload: { order: 7, lines: [1] } });
    const again = await send([
      { ...event, id: 'evt_kept', correlationId: 'c', payload: { lines: [1], order: 7 } },
      { ...event, id: 'evt_kept', correlationId: 'c', payload: { order: 8 } },
      { ...event, id: 'evt_twice', severity: 'error' },
      { ...event, id: 'evt_twice', severity: 'critical' },
    ]);
    expect(again.body.accepted).toEqual([
      { id: 'evt_kept', duplicate: true },
      { id: 'evt_kept', duplicate: true, differs: true },
      { id: 'evt_twice', duplicate: false },
      { id: 'evt_twice', duplicate: true, differs: true },
    ]);
    expect((await send({ ...event, id: 'evt_kept' })).body).toEqual({
      id: 'evt_kept',
      duplicate: true,
      differs: true,
    });
  });

  test('posted many times at once under one id are stored once', async () => {
    const answers = await Promise.all([
      ...Array.from({ length: 20 }, () => send({ ...event, id: 'evt_race' })),
      ...Array.from({ length: 5 }, () => send([{ ...event, id: 'evt_race' }])),
    ]);
    const all = answers.flatMap(({ body }) => body.accepted ?? [body]);
    expect(all.filter(({ duplicate }: { duplicate: boolean }) => !duplicate)).toHaveLength(1);
    expect(await database.root`select from events where id = 'evt_race'`).toHaveLength(1);
  });

  test('for later are recorded at once, and a time that is over means now', async () => {
    const later = new Date(Date.now() + 3_600_000).toISOString();
    await send({ ...event, id: 'evt_later', deliverAt: later });
    await send({ ...event, id: 'evt_over', deliverAt: '2020-01-01T00:00:00Z' });
    const view = async (id: string) => (await api.call('GET', `/v1/events/${id}`, { as: keys.viewer })).body;
    expect(await view('evt_later')).toMatchObject({ deliverAt: later, path: [], schemaVersion: null });
    expect(await view('evt_over')).toMatchObject({ deliverAt: null });
    const tooLate = new Date(Date.now() + 366 * 86_400_000).toISOString();
    const refused = await send([event, { ...event, deliverAt: tooLate }]);
    expect(refused).toMatchObject({ status: 400, body: { code: 'INVALID', details: { index: 1 } } });
    expect(refused.body.detail).toContain('365 days');
  });

  test('by the line are all stored, in their order', async () => {
    const raw = ['evt_l1', 'evt_l2', 'evt_l1']
      .map((id) => `${JSON.stringify({ ...event, id })}\r\n`)
      .join('\n');
    const sent = await api.call('POST', '/v1/events', {
      as: keys.operator,
      raw,
      headers: { 'content-type': 'application/x-ndjson; charset=utf-8' },
    });
    expect(sent).toMatchObject({
      status: 202,
      body: {
        accepted: [
          { id: 'evt_l1', duplicate: false },
          { id: 'evt_l2', duplicate: false },
          { id: 'evt_l1', duplicate: true },
        ],
      },
    });
  });

  test('by the line with an Idempotency-Key are stored once', async () => {
    const post = () =>
      api.call('POST', '/v1/events', {
        as: keys.operator,
        raw: `${JSON.stringify(event)}\n`,
        headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': 'lines-once' },
      });
    const first = await post();
    expect(first.status).toBe(202);
    expect((await post()).body).toEqual(first.body);
  });

  test('a whole batch of a thousand is stored', async () => {
    const batch = Array.from({ length: 1000 }, (_, at) => ({ ...event, payload: { at } }));
    const { status, body } = await send(batch);
    expect(status).toBe(202);
    expect(body.accepted).toHaveLength(1000);
  });

  test('an agent speaks for itself only, and nobody but the system for HALO and Squad', async () => {
    const from = (type: string, id: string) => ({ ...event, source: { type, id } });
    expect(await send(from('agent', agentId), keys.agent)).toMatchObject({ status: 202 });
    expect(await send(from('agent', 'agt_other'), keys.agent)).toMatchObject({ status: 403 });
    expect(await send([from('agent', agentId), from('api', 'x')], keys.agent)).toMatchObject({ status: 403 });
    expect(await send(from('halo', 'halo'))).toMatchObject({ status: 403 });
    expect(await send(from('squad', 'x'), keys.admin)).toMatchObject({ status: 403 });
  });

  test('are found by type, prefix, source, severity and thread', async () => {
    await send([
      { ...event, type: 'found.me.one', severity: 'error', correlationId: 'thread-1' },
      { ...event, type: 'found.me.two', source: { type: 'graft', id: 'g' }, correlationId: 'thread-1' },
    ]);
    const countOf = async (query: string): Promise<number> => {
      const { body } = await api.call('GET', `/v1/events?${query}`, { as: keys.viewer });
      return body.items.length;
    };
    expect(await countOf('type=found.me.*')).toBe(2);
    expect(await countOf('type=found.me.one')).toBe(1);
    expect(await countOf('type=found.me.*&severity=error')).toBe(1);
    expect(await countOf('sourceType=graft&sourceId=g')).toBe(1);
    expect(await countOf('correlationId=thread-1')).toBe(2);
    expect(await countOf(`type=found.me.*&from=${new Date(Date.now() + 60_000).toISOString()}`)).toBe(0);
  });
});

describe('a reader that follows the log', () => {
  const follow = async (after: string, more = '') =>
    (await api.call('GET', `/v1/events?after=${after}&limit=200${more}`, { as: keys.viewer })).body;

  /** What there is behind a place once it is so much: transactions of other test files can hold the horizon back. */
  const followUntil = async (count: number, after: string) => {
    await eventually(async () => (await follow(after)).items.length).toBe(count);
    return follow(after);
  };

  /** A place behind everything sent so far: `now` is the log's horizon, which other test files can hold back. */
  const fromHere = async (): Promise<string> => {
    const id = `evt_${randomUUID()}`;
    let after = (await follow('now')).nextCursor;
    await send({ ...event, id });
    const reached = async (): Promise<boolean> => {
      const { items, nextCursor } = await follow(after);
      after = nextCursor;
      return items.some((each: { id: string }) => each.id === id);
    };
    await eventually(reached).toBe(true);
    const { items, nextCursor } = await follow('now');
    expect(items).toEqual([]);
    return nextCursor;
  };

  test('from now on sees what comes, once and in order', async () => {
    const nextCursor = await fromHere();
    for (let at = 0; at < 3; at += 1) await send({ ...event, type: 'followed.event', payload: { at } });
    const first = await followUntil(3, nextCursor);
    expect(first.items.map((each: { payload: { at: number } }) => each.payload.at)).toEqual([0, 1, 2]);
    const second = await follow(first.nextCursor);
    expect(second).toEqual({ items: [], nextCursor: first.nextCursor });
  });

  test('with a filter moves over what does not fit', async () => {
    const start = await fromHere();
    await send([
      { ...event, type: 'noise.one' },
      { ...event, type: 'signal.one' },
      { ...event, type: 'noise.two' },
    ]);
    await followUntil(3, start);
    const read = await follow(start, '&type=signal.*');
    expect(read.items).toHaveLength(1);
    expect((await follow(read.nextCursor)).items).toEqual([]);
  });

  test('never misses a row that commits late', async () => {
    const nextCursor = await fromHere();
    // A row whose statement waits for a lock after it was written: its transaction stays open until the lock is free.
    const holder = await database.root.reserve();
    await holder`select pg_advisory_lock(7)`;
    const late = database.root`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at)
      values ('evt_late', 'late.event', 'late', 'api', 'x', 'info', 'normal', '{}', '{}', now())
      returning pg_advisory_xact_lock(7)`.execute();
    await expect
      .poll(
        () => database.log`
        select 1 from pg_locks where locktype = 'advisory' and not granted
          and database = (select oid from pg_database where datname = current_database())`,
      )
      .toHaveLength(1);
    await send({ ...event, id: 'evt_early' });
    const during = await follow(nextCursor);
    expect(during.items).toEqual([]);
    await holder`select pg_advisory_unlock(7)`;
    holder.release();
    await late;
    const after = await followUntil(2, during.nextCursor);
    expect(after.items.map((each: { id: string }) => each.id)).toEqual(['evt_late', 'evt_early']);
  });

  test('from the start reads everything in pages', async () => {
    let cursor = 'start';
    let seen = 0;
    for (;;) {
      const { items, nextCursor } = await follow(cursor);
      if (items.length === 0) break;
      seen += items.length;
      cursor = nextCursor;
    }
    const [row] = await database.root`select count(*)::int as n from events`;
    expect(seen).toBe(row?.n);
  });
});
