import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import type { ApiDeps } from '../../api/context.ts';
import { endOfLog } from '../../db/event-tail.ts';
import { readMessages } from '../../cli/sse.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import type { EventInput } from '../../domain/events.ts';
import { aKey, createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { follow, type Follower } from '../support/event-stream.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;
const opened: (() => void)[] = [];
const servers: http.Server[] = [];

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
});
afterEach(() => {
  for (const close of opened.splice(0)) close();
});

/** An API that listens; every test has its own, as each counts its streams. */
async function listen(given: Partial<ApiDeps> = {}): Promise<string> {
  const server = createAdaptorServer({ fetch: createApp({ ...api.deps, ...given }).fetch }) as http.Server;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  opened.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const quick = { perPrincipal: 20, perProcess: 200, heartbeatMs: 30 };

async function open(
  url: string,
  query = '',
  given: { key?: string; lastId?: string } = {},
): Promise<Follower> {
  const follower = await follow(url, { key: keys.viewer, query, ...given });
  opened.push(() => follower.stop());
  return follower;
}

const anEvent = (more: Partial<EventInput> = {}): EventInput => ({
  ...{ type: 'shop.order.failed', source: { type: 'api', id: 'shop' }, severity: 'info' },
  ...{ payload: {}, metadata: {} },
  ...more,
});

async function send(count: number, more: Partial<EventInput> = {}, from = 0): Promise<void> {
  const batch = Array.from({ length: count }, (_, at) => anEvent({ payload: { at: from + at }, ...more }));
  await appendEvents(database.log, batch);
}

/** The ids of all events of one source in the order of the log: what a whole stream of it has. */
async function inLog(sourceId: string): Promise<string[]> {
  const rows =
    await database.root`select id from events where source_id = ${sourceId} order by events.tx, events.seq`;
  return rows.map((row) => row.id as string);
}
const idsOf = (follower: Follower): string[] => follower.events().map(({ id }: { id: string }) => id);
const ofSource = (id = newId('src')) => ({
  id,
  query: `sourceId=${id}`,
  source: { type: 'api' as const, id },
});

describe('a live stream', () => {
  test('shows each event as GET /v1/events does, with its cursor as id, and how soon to come again', async () => {
    const url = await listen();
    const { id, source, query } = ofSource();
    const follower = await open(url, `?${query}`);
    await send(1, { source, severity: 'error', correlationId: 'c', payload: { text: 'a\r\nb\u2028' } });
    await eventually(() => idsOf(follower)).toEqual(await inLog(id));
    const [seen] = follower.events();
    const { body } = await api.call('GET', `/v1/events/${seen.id}`, { as: keys.viewer });
    expect(seen).toEqual(body);
    const message = follower.messages.find(({ event }) => event === 'event');
    expect(message?.id).toBe(seen.cursor);
    const answer = await fetch(`${url}/v1/stream`, { headers: { authorization: `Bearer ${keys.viewer}` } });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const first = await answer.body?.getReader().read();
    expect(new TextDecoder().decode(first?.value)).toMatch(/^retry: 2000\nid: \S+\n\n$/);
  });

  test('resumes behind its last id, whichever way it is told', async () => {
    const url = await listen();
    const { id, source, query } = ofSource();
    const first = await open(url, `?${query}&after=now`);
    await send(5, { source });
    await eventually(() => idsOf(first)).toHaveLength(5);
    first.stop();
    await send(5, { source }, 5);
    const ids = await inLog(id);
    const middle = first.events()[2].cursor as string;
    const byHeader = await open(url, `?${query}&after=start`, { lastId: middle });
    const byQuery = await open(url, `?${query}&after=${middle}`);
    const fromStart = await open(url, `?${query}&after=start`);
    await eventually(() => idsOf(byHeader)).toEqual(ids.slice(3));
    await eventually(() => idsOf(byQuery)).toEqual(ids.slice(3));
    await eventually(() => idsOf(fromStart)).toEqual(ids);
  });

  test.each([
    ['type=a.one', ['a.one']],
    ['type=a.*', ['a.one', 'a.two']],
    ['category=b', ['b.one']],
    ['severity=warning', ['a.two']],
    ['minSeverity=warning', ['a.two', 'b.one']],
    ['sourceType=graft', ['b.one']],
    ['destination=agt_1', ['a.two']],
    ['correlationId=thread', ['a.one', 'b.one']],
    ['correlationId=thread&type=b.*', ['b.one']],
  ])('with %s has what GET /v1/events has for it', async (filter, types) => {
    const url = await listen();
    const { id, source } = ofSource();
    const caughtUp = await open(url, `?sourceId=${id}&${filter}`);
    await appendEvents(database.log, [
      anEvent({ source, type: 'a.one', correlationId: 'thread' }),
      anEvent({ source, type: 'a.two', severity: 'warning', destination: 'agt_1' }),
      anEvent({
        source: { type: 'graft', id },
        type: 'b.one',
        severity: 'critical',
        correlationId: 'thread',
      }),
    ]);
    const behind = await open(url, `?sourceId=${id}&${filter}&after=start`);
    for (const follower of [caughtUp, behind])
      await eventually(() => follower.events().map(({ type }: { type: string }) => type)).toEqual(types);
    const { body } = await api.call('GET', `/v1/events?sourceId=${id}&${filter}`, { as: keys.viewer });
    expect(body.items.map(({ type }: { type: string }) => type).reverse()).toEqual(types);
  });

  test('says that it lives, and moves its place over what its filter leaves out', async () => {
    const url = await listen({ streams: quick });
    const { source } = ofSource();
    const follower = await open(url, `?sourceId=${newId('nobody')}`);
    await send(3, { source });
    const end = await endOfLog(database.log);
    await eventually(() => {
      const place = JSON.parse(Buffer.from(follower.lastId() ?? 'e30', 'base64url').toString()) as object;
      return JSON.stringify(place);
    }).toBe(JSON.stringify(end));
    expect(follower.events()).toEqual([]);
  });

  test('a row that commits late is not skipped, by who waited for it and by who came meanwhile', async () => {
    const url = await listen();
    const { id, source, query } = ofSource();
    const waited = await open(url, `?${query}`);
    const holder = await database.root.reserve();
    await holder`select pg_advisory_lock(11)`;
    const late = database.root`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at)
      values ('evt_late_stream', 'late.event', 'late', 'api', ${id}, 'info', 'normal', '{}', '{}', now())
      returning pg_advisory_xact_lock(11)`.execute();
    await eventually(
      () => database.log`
        select 1 from pg_locks where locktype = 'advisory' and not granted
          and database = (select oid from pg_database where datname = current_database())`,
    ).toHaveLength(1);
    await send(3, { source });
    const cameMeanwhile = await open(url, `?${query}`);
    expect(idsOf(waited)).toEqual([]);
    await holder`select pg_advisory_unlock(11)`;
    holder.release();
    await late;
    const ids = await inLog(id);
    expect(ids[0]).toBe('evt_late_stream');
    await eventually(() => idsOf(waited)).toEqual(ids);
    await eventually(() => idsOf(cameMeanwhile)).toEqual(ids);
  });

  test('a reader that is slow holds nobody up, and gets everything in order; little of it is kept for it meanwhile', async () => {
    const url = await listen();
    const { id, source, query } = ofSource();
    const responses: http.ServerResponse[] = [];
    servers.at(-1)?.on('request', (_request, response: http.ServerResponse) => responses.push(response));
    const slow = http.get(`${url}/v1/stream?${query}`, {
      headers: { authorization: `Bearer ${keys.viewer}` },
    });
    const [answer] = (await once(slow, 'response')) as [http.IncomingMessage];
    opened.push(() => slow.destroy());
    const quickOne = await open(url, `?${query}`);
    const text = 'x'.repeat(20_000);
    for (let round = 0; round < 10; round += 1) await send(100, { source, payload: { text } }, round * 100);
    await eventually(() => idsOf(quickOne).length).toBe(1000);
    const [toSlow] = responses;
    expect(toSlow?.writableNeedDrain).toBe(true);
    expect(toSlow?.writableLength).toBeLessThan(3 * 1024 * 1024);
    const ids: string[] = [];
    void (async () => {
      for await (const { event, data } of readMessages(answer))
        if (event === 'event') ids.push((JSON.parse(data) as { id: string }).id);
    })().catch(() => undefined);
    await eventually(() => ids.length).toBe(1000);
    expect(ids).toEqual(await inLog(id));
  });

  test('a reader who waits misses nothing when more comes at once than is held for all', async () => {
    const url = await listen();
    const { id, source, query } = ofSource();
    const follower = await open(url, `?${query}`);
    await send(1, { source });
    await eventually(() => follower.events()).toHaveLength(1);
    await send(150, { source, payload: { text: 'x'.repeat(100_000) } });
    await eventually(() => idsOf(follower)).toHaveLength(151);
    expect(idsOf(follower)).toEqual(await inLog(id));
  });

  test('two processes show the same events in the same order', async () => {
    const urls = [await listen(), await listen()];
    const { id, source, query } = ofSource();
    const followers = await Promise.all(urls.map((url) => open(url, `?${query}`)));
    await Promise.all(Array.from({ length: 20 }, (_, writer) => send(5, { source }, writer * 5)));
    const ids = await inLog(id);
    for (const follower of followers) await eventually(() => idsOf(follower)).toEqual(ids);
  });
});

describe('a place', () => {
  const refused = async (query: string, headers: Record<string, string> = {}) =>
    api.call('GET', `/v1/stream${query}`, { as: keys.viewer, headers });

  test('that is none of this log is refused in words', async () => {
    const ahead = Buffer.from('{"tx":"99999999999","seq":"1"}').toString('base64url');
    expect(await refused('?after=abc')).toMatchObject({ status: 400, body: { code: 'INVALID' } });
    expect(await refused('', { 'last-event-id': 'e30' })).toMatchObject({ status: 400 });
    const answer = await refused('', { 'last-event-id': ahead });
    expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID' } });
    expect(answer.body.detail).toContain('ahead');
    expect(await refused('?colour=red')).toMatchObject({ status: 400 });
  });

  test('whose event retention has dropped begins with a notice that names where it goes on', async () => {
    const fresh = await openTestDatabase(4);
    const freshPeople = await createPeople(fresh);
    const { key } = await aKey(fresh, freshPeople.viewer);
    api = createTestApi(fresh);
    const url = await listen();
    await appendEvents(fresh.log, [
      anEvent({ id: 'evt_1' }),
      anEvent({ id: 'evt_2' }),
      anEvent({ id: 'evt_3' }),
    ]);
    const all = await open(url, '?after=start&type=shop.*', { key });
    await eventually(() => idsOf(all)).toEqual(['evt_1', 'evt_2', 'evt_3']);
    const [one] = all.events();
    await fresh.root`delete from events where events.type not like 'shop.%' or id in ('evt_1', 'evt_2')`;
    const resumed = await open(url, '?type=shop.*', { key, lastId: one.cursor });
    await eventually(() => idsOf(resumed)).toEqual(['evt_3']);
    const notice = resumed.messages.find(({ event }) => event === 'gap');
    expect(JSON.parse(notice?.data ?? '')).toMatchObject({
      after: one.cursor,
      goesOnAt: all.events()[2].cursor,
    });
    const unbroken = await open(url, '?type=shop.*', { key, lastId: all.events()[2].cursor });
    await appendEvents(fresh.log, [anEvent({ id: 'evt_4' })]);
    await eventually(() => idsOf(unbroken)).toEqual(['evt_4']);
    expect(unbroken.messages.filter(({ event }) => event === 'gap')).toEqual([]);
  });
});

describe('TRUST 4.38: a live stream', () => {
  test('is for those who may read events', async () => {
    expect(await api.call('GET', '/v1/stream')).toMatchObject({ status: 401 });
    expect(await api.call('GET', '/v1/stream', { as: keys.agent })).toMatchObject({ status: 403 });
  });

  const ends: [string, string, (id: string) => Promise<unknown>][] = [
    [
      'whose key is revoked',
      'revoked',
      (id) => database.root`update keys set revoked_at = now() where id = ${id}`,
    ],
    [
      'who may no longer read events',
      'events:read',
      (id) => database.root`update keys set scopes = '["tasks:read"]' where id = ${id}`,
    ],
  ];
  test.each(ends)('ends within a minute for a reader %s, and says why', async (_who, word, change) => {
    let now = Date.now();
    const url = await listen({ now: () => now, streams: quick });
    const { id, key } = await aKey(database, people.viewer);
    const { source, query } = ofSource();
    const follower = await open(url, `?${query}`, { key });
    await send(1, { source });
    await eventually(() => idsOf(follower)).toHaveLength(1);
    await change(id);
    now += 61_000;
    await follower.ended;
    const end = follower.messages.find(({ event }) => event === 'end');
    expect(JSON.parse(end?.data ?? '')).toMatchObject({
      reason: 'revoked',
      detail: expect.stringContaining(word),
    });
    await send(1, { source });
    expect(idsOf(follower)).toHaveLength(1);
  });

  test('goes on for a reader who still may', async () => {
    let now = Date.now();
    const url = await listen({ now: () => now, streams: quick });
    const { id, source, query } = ofSource();
    const follower = await open(url, `?${query}`);
    for (let minute = 0; minute < 3; minute += 1) {
      now += 61_000;
      await send(1, { source });
      await eventually(() => idsOf(follower)).toHaveLength(minute + 1);
    }
    expect(idsOf(follower)).toEqual(await inLog(id));
  });
});

describe('open streams', () => {
  test('are so many for a principal and for a process; a place that is given back is free', async () => {
    const url = await listen({ streams: { ...quick, perPrincipal: 2, perProcess: 3 } });
    const [first] = [await open(url), await open(url)];
    await expect(open(url)).rejects.toThrow(/429 .*2 are allowed/);
    await open(url, '', { key: keys.operator });
    await expect(open(url, '', { key: keys.admin })).rejects.toThrow(/503 .*All 3 streams/);
    first.stop();
    await eventually(() =>
      open(url).then(
        () => 'open',
        () => 'full',
      ),
    ).toBe('open');
  });

  test('a HEAD request opens none', async () => {
    const url = await listen({ streams: { ...quick, perPrincipal: 1 } });
    for (let round = 0; round < 3; round += 1) {
      const headers = { authorization: `Bearer ${keys.viewer}` };
      expect((await fetch(`${url}/v1/stream`, { method: 'HEAD', headers })).status).toBe(200);
    }
    await open(url);
  });

  test('cost no reads once all have gone', async () => {
    let reads = 0;
    const counted = new Proxy(database.db, {
      get(target, name, receiver) {
        if (name === 'select') reads += 1;
        return Reflect.get(target, name, receiver) as unknown;
      },
    });
    const url = await listen({ database: { ...database, db: counted } });
    const followers = await Promise.all([open(url), open(url), open(url)]);
    const { source } = ofSource();
    await send(1, { source });
    for (const follower of followers) await eventually(() => follower.events().length).toBeGreaterThan(0);
    for (const follower of followers) follower.stop();
    await Promise.all(followers.map(({ ended }) => ended));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = reads;
    await send(5, { source });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(reads).toBe(before);
  });

  test('that are told that the process ends say so, and none begins', async () => {
    const stopping = new AbortController();
    const url = await listen({ stopping: stopping.signal });
    const { source, query } = ofSource();
    const follower = await open(url, `?${query}`);
    await send(1, { source });
    await eventually(() => idsOf(follower)).toHaveLength(1);
    stopping.abort();
    await follower.ended;
    const end = follower.messages.find(({ event }) => event === 'end');
    expect(JSON.parse(end?.data ?? '')).toMatchObject({ reason: 'restart' });
    await expect(open(url)).rejects.toThrow(/503/);
  });
});
