import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { deleteExpired } from '../../db/limits.ts';
import { parseKey } from '../../domain/key.ts';
import { aKey, type Answer, createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;
let other: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
  other = createTestApi(database);
});

let used = 0;
const newKey = (): string => `key-${(used += 1)}`;
const event = { type: 'shop.order.failed', source: { type: 'api', id: 'shop' }, payload: { order: 7 } };

function send(given: TestApi, key: string, body: object, as = keys.operator, path = '/v1/events') {
  return given.call('POST', path, { as, body, headers: { 'idempotency-key': key } });
}

async function eventCount(): Promise<number> {
  const [row] = await database.root<{ n: number }[]>`
    select count(*)::int as n from events where type = ${event.type}`;
  return row?.n ?? 0;
}

const isReplay = ({ headers }: Answer) => headers.get('idempotency-replayed') === 'true';

describe('TRUST 4.36: a request with an Idempotency-Key', () => {
  test('is answered the same when it comes again, on any process, and carried out once', async () => {
    const key = newKey();
    const before = await eventCount();
    const first = await send(api, key, event);
    expect(first.status).toBe(202);
    expect(isReplay(first)).toBe(false);
    for (const each of [api, other]) {
      const again = await send(each, key, event);
      expect({ status: again.status, body: again.body }).toEqual({ status: 202, body: first.body });
      expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'));
      expect(isReplay(again)).toBe(true);
    }
    expect(await eventCount()).toBe(before + 1);
  });

  test('is the same request however the members of its body are ordered', async () => {
    const key = newKey();
    const first = await send(api, key, { type: 'a.b', source: { type: 'api', id: 'x' } });
    const again = await send(api, key, { source: { id: 'x', type: 'api' }, type: 'a.b' });
    expect(again.body).toEqual(first.body);
  });

  test('under another body is a 409 that carries out nothing', async () => {
    const key = newKey();
    await send(api, key, event);
    const before = await eventCount();
    const conflict = await send(other, key, { ...event, payload: { order: 8 } });
    expect(conflict).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    expect(await eventCount()).toBe(before);
  });

  test('at another path of the same route is another request under the same key: a 409', async () => {
    const key = newKey();
    const revoke = async (id: string) => send(api, key, {}, keys.admin, `/v1/keys/${id}/revoke`);
    const [one, two] = [await aKey(database, people.viewer), await aKey(database, people.viewer)];
    expect((await revoke(one.id)).status).toBe(200);
    expect((await revoke(two.id)).status).toBe(409);
    expect((await api.call('GET', '/v1/me', { as: two.key })).status).toBe(200);
  });

  test('of another principal, or on another route, has nothing to do with it', async () => {
    const key = newKey();
    const mine = await send(api, key, event);
    const theirs = await send(api, key, { ...event, payload: {} }, keys.admin);
    expect(theirs.status).toBe(202);
    expect(theirs.body.id).not.toBe(mine.body.id);
    const task = { type: 'a.b', title: 'T', target: 'x', targetRole: 'Custom' };
    expect((await send(api, key, task, keys.operator, '/v1/tasks')).status).toBe(201);
  });

  test('that comes many times at once to two processes is carried out by one', async () => {
    for (let round = 0; round < 10; round += 1) {
      const key = newKey();
      const before = await eventCount();
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, at) => send(at % 2 === 0 ? api : other, key, event)),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
      expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
      expect(answers.filter((each) => !isReplay(each))).toHaveLength(1);
      expect(await eventCount()).toBe(before + 1);
    }
  });

  test('that still runs is told so, and can be taken over once its process is gone for good', async () => {
    const key = newKey();
    await send(api, key, event);
    await database.root`
      update idempotency_keys set state = 'running', answer = null, locked_until = now() + interval '1 minute'
      where key = ${key}`;
    const waiting = await send(other, key, event);
    expect(waiting).toMatchObject({ status: 409, body: { details: { stillRunning: true } } });
    expect(waiting.headers.get('retry-after')).toBe('1');
    await database.root`update idempotency_keys set locked_until = now() where key = ${key}`;
    expect((await send(other, key, { ...event, payload: {} })).status).toBe(409);
    const taken = await send(other, key, event);
    expect(taken.status).toBe(202);
    expect(isReplay(taken)).toBe(false);
    expect(isReplay(await send(api, key, event))).toBe(true);
  });

  test('that is large is answered the same as well', async () => {
    const key = newKey();
    const batch = Array.from({ length: 1000 }, (_, at) => ({
      ...event,
      payload: { at, text: 'x'.repeat(100) },
    }));
    const first = await send(api, key, batch);
    expect(first.body.accepted).toHaveLength(1000);
    const again = await send(api, key, batch);
    expect(isReplay(again)).toBe(true);
    expect(again.body).toEqual(first.body);
    expect((await send(api, key, batch.slice(1))).status).toBe(409);
  });
});

describe('what is kept of an answer', () => {
  test('a refusal of the route is, as it was an answer to this request', async () => {
    const key = newKey();
    const refused = await send(api, key, { ...event, type: 'NOT A TYPE' });
    expect(refused.status).toBe(400);
    const again = await send(api, key, { ...event, type: 'NOT A TYPE' });
    expect(again).toMatchObject({ status: 400, body: { detail: refused.body.detail } });
    expect(isReplay(again)).toBe(true);
  });

  test('a fault of ours is not: the next try is the first', async () => {
    const key = newKey();
    const probe = await api.call('POST', '/v1/probes', {
      as: keys.operator,
      body: { name: 'keeps', url: 'https://a/' },
    });
    const run = () => send(api, key, {}, keys.operator, `/v1/probes/${probe.body.id}/run`);
    api.temporal.down = true;
    expect((await run()).status).toBe(503);
    api.temporal.down = false;
    const second = await run();
    expect(second.status).toBe(200);
    expect(isReplay(second)).toBe(false);
  });

  test('a refusal before the route is not: over a limit now is not over it in a minute', async () => {
    const key = newKey();
    await database.root`update principals set tier = 'seed' where id = ${people.requester}`;
    for (let at = 0; at < 11; at += 1) await api.call('GET', '/v1/me', { as: keys.requester });
    expect((await send(api, key, event, keys.requester)).status).toBe(429);
    await database.root`update limit_counters set expire = now() - interval '1 second'`;
    expect((await send(api, key, event, keys.requester)).status).toBe(202);
    await database.root`update principals set tier = 'unmetered' where id = ${people.requester}`;
  });

  test('one with a secret is not: who asks again is told that it was shown once', async () => {
    const key = newKey();
    const issue = () => send(api, key, { principalId: people.viewer, label: 'l' }, keys.admin, '/v1/keys');
    const first = await issue();
    expect(first.status).toBe(201);
    const again = await issue();
    expect(again).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    expect(again.body.detail).toContain('shown once');
    const secret = parseKey(first.body.key)?.secret ?? 'none';
    const rows = await database.root<{ text: string }[]>`select i::text as text from idempotency_keys i`;
    expect(rows.length).toBeGreaterThan(0);
    for (const { text } of rows) expect(text).not.toContain(secret);
  });

  test('every route that shows a secret is marked as such in the document', async () => {
    const { body } = await api.call('GET', '/openapi.json');
    const marked = Object.entries<Record<string, Record<string, unknown>>>(body.paths).flatMap(
      ([path, item]) =>
        Object.entries(item).flatMap(([method, operation]) =>
          operation['x-secret-answer'] === true ? [`${method.toUpperCase()} ${path}`] : [],
        ),
    );
    expect(marked).toEqual(
      expect.arrayContaining(['POST /v1/keys', 'POST /v1/agents', 'POST /v1/approvals/{id}/tickets']),
    );
  });

  test('who may not call a route is told that, with a key as without one, and nothing is kept', async () => {
    const key = newKey();
    expect((await send(api, key, event, keys.viewer)).status).toBe(403);
    const rows = await database.root`select 1 from idempotency_keys where key = ${key}`;
    expect(rows).toHaveLength(0);
  });

  test.each(['has space', '', 'x'.repeat(201), 'ümlaut'])('the key %j is refused', async (key) => {
    // What a header cannot carry at all does not reach the API.
    const headers = { 'idempotency-key': Buffer.from(key, 'utf8').toString('latin1') };
    const answer = await api.call('POST', '/v1/events', { as: keys.operator, body: event, headers });
    expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID' } });
  });

  test('is forgotten after 24 hours, a bounded number at a time', async () => {
    const [kept] = await database.root<{ hours: number }[]>`
      select extract(epoch from max(expires_at) - now())::float8 / 3600 as hours from idempotency_keys`;
    expect(kept?.hours).toBeGreaterThan(23.9);
    const key = newKey();
    await send(api, key, event);
    await database.root`update idempotency_keys set expires_at = now() - interval '1 second'`;
    const fresh = await send(api, key, event);
    expect(isReplay(fresh)).toBe(false);
    expect(await deleteExpired(database.db, 2)).toBeLessThanOrEqual(4);
    while ((await deleteExpired(database.db, 100)) > 0);
    const rows = await database.root<{ key: string }[]>`select key from idempotency_keys`;
    expect(rows.map((row) => row.key)).toEqual([key]);
  });
});
