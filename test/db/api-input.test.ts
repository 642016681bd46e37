import { beforeAll, describe, expect, test } from 'vitest';
import { createTestApi, keysOf, type RawBody, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let api: TestApi;
let keys: Record<keyof People, string>;

beforeAll(async () => {
  database = await openTestDatabase();
  keys = await keysOf(database, await createPeople(database));
  api = createTestApi(database);
});

/** Every row of the record but the ones that a refusal leaves on purpose. */
async function rows(): Promise<unknown> {
  const [row] = await database.root`
    select (select count(*) from events) as events, (select count(*) from tasks) as tasks,
           (select count(*) from approvals) as approvals, (select count(*) from probes) as probes,
           (select count(*) from agents) as agents, (select count(*) from principals) as principals,
           (select count(*) from keys) as keys, (select count(*) from decision_requests) as requests,
           (select count(*) from audit_entries where outcome = 'ok') as audit`;
  return row;
}

const json = { 'content-type': 'application/json' };
const task = { type: 'a.b', title: 'x', target: 'y', targetRole: 'Custom' };
const event = { type: 'a.b', source: { type: 'api', id: 'x' } };
const twoMegabytes = JSON.stringify({ ...task, payload: { text: 'x'.repeat(2 * 1024 * 1024) } });

const wrong: [string, string, RawBody, Record<string, string>, number, string][] = [
  ['an unknown field', '/v1/tasks', JSON.stringify({ ...task, approved: true }), json, 400, 'INVALID'],
  ['a missing field', '/v1/tasks', JSON.stringify({ type: 'a.b' }), json, 400, 'INVALID'],
  ['a wrong type', '/v1/tasks', JSON.stringify({ ...task, title: 7 }), json, 400, 'INVALID'],
  ['an array', '/v1/tasks', '[]', json, 400, 'INVALID'],
  ['null', '/v1/tasks', 'null', json, 400, 'INVALID'],
  ['nothing', '/v1/tasks', new Uint8Array(), {}, 400, 'INVALID'],
  ['a line break in a title', '/v1/tasks', JSON.stringify({ ...task, title: 'a\nb' }), json, 400, 'INVALID'],
  ['malformed JSON', '/v1/tasks', '{"type":', json, 400, 'INVALID'],
  ['a NUL', '/v1/tasks', JSON.stringify({ ...task, title: 'a\0b' }), json, 400, 'INVALID'],
  ['half a surrogate pair', '/v1/events', '{"type":"a.b","payload":{"a":"\\udead"}}', json, 400, 'INVALID'],
  [
    'a NUL in a payload key',
    '/v1/events',
    JSON.stringify({ ...event, payload: { 'a\0': 1 } }),
    json,
    400,
    'INVALID',
  ],
  ['2 MB', '/v1/tasks', twoMegabytes, json, 413, 'PAYLOAD_TOO_LARGE'],
  ['no content type', '/v1/tasks', new TextEncoder().encode('{}'), {}, 415, 'UNSUPPORTED_MEDIA_TYPE'],
  [
    'a form',
    '/v1/tasks',
    'a=b',
    { 'content-type': 'application/x-www-form-urlencoded' },
    415,
    'UNSUPPORTED_MEDIA_TYPE',
  ],
  ['an empty batch', '/v1/events', '[]', json, 400, 'INVALID'],
  ['a batch of 1,001', '/v1/events', JSON.stringify(Array(1001).fill(event)), json, 400, 'INVALID'],
  [
    'one bad event in a batch',
    '/v1/events',
    JSON.stringify([event, { ...event, colour: 1 }]),
    json,
    400,
    'INVALID',
  ],
  [
    'a date that the database cannot hold',
    '/v1/events',
    JSON.stringify({ ...event, occurredAt: '0000-01-01T00:00:00Z' }),
    json,
    400,
    'INVALID',
  ],
  [
    'a large event',
    '/v1/events',
    JSON.stringify({ ...event, payload: { t: 'x'.repeat(300_000) } }),
    json,
    413,
    'PAYLOAD_TOO_LARGE',
  ],
  [
    'a probe with a secret',
    '/v1/probes',
    JSON.stringify({ name: 'p', url: 'http://a/', headers: { Authorization: 'x' } }),
    json,
    400,
    'INVALID',
  ],
  [
    'a probe of a file',
    '/v1/probes',
    JSON.stringify({ name: 'p', url: 'file:///etc/passwd' }),
    json,
    400,
    'INVALID',
  ],
  [
    'an agent with a foreign configuration',
    '/v1/agents',
    JSON.stringify({
      name: 'a',
      role: 'Custom',
      capabilities: ['x'],
      executor: 'http',
      config: { taskQueue: 'q' },
    }),
    json,
    400,
    'INVALID',
  ],
  [
    'a bad idempotency key',
    '/v1/tasks',
    JSON.stringify(task),
    { ...json, 'idempotency-key': 'has space' },
    400,
    'INVALID',
  ],
  ['an unknown path', '/v1/nothing', '{}', json, 404, 'NOT_FOUND'],
];

describe('wrong input', () => {
  test.each(wrong)(
    '%s to %s is the right problem, and nothing is written',
    async (_what, path, raw, headers, status, code) => {
      const before = await rows();
      const answer = await api.call('POST', path, { as: keys.admin, raw, headers });
      expect(answer).toMatchObject({ status, body: { status, code } });
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(answer.body.requestId).toBe(answer.headers.get('x-request-id'));
      expect(await rows()).toEqual(before);
    },
  );

  test('names the member that is wrong, also inside a batch', async () => {
    const body = [event, { ...event, severity: 'loud' }];
    const answer = await api.call('POST', '/v1/events', { as: keys.admin, body });
    expect(answer.body.details.issues[0].path).toEqual([1, 'severity']);
  });

  test.each([
    '/v1/tasks/unknown',
    '/v1/tasks/unknown/logs',
    '/v1/tasks/%00',
    '/v1/tasks/a%20b',
    '/v1/approvals/unknown',
    '/v1/events/unknown',
    '/v1/halo/cycles/unknown',
    '/v1/probes/unknown',
    '/v1/agents/unknown',
    '/v1/keys?principalId=unknown',
  ])('GET %s is a 404', async (path) => {
    expect(await api.call('GET', path, { as: keys.admin })).toMatchObject({
      status: 404,
      body: { code: 'NOT_FOUND' },
    });
  });

  test.each([
    'tasks?target=%00',
    'events?correlationId=%00',
    'events?after=zzz',
    'events?from=yesterday',
    'principals?cursor=e30',
  ])('GET /v1/%s is a 400', async (path) => {
    expect(await api.call('GET', `/v1/${path}`, { as: keys.admin })).toMatchObject({
      status: 400,
      body: { code: 'INVALID' },
    });
  });
});

test('a database that is gone is a 503 that may be tried again', async () => {
  const gone = await import('../../db/client.ts').then(({ openDatabase }) =>
    openDatabase('postgres://x:y@127.0.0.1:1/z', { name: 'test' }),
  );
  const { call } = createTestApi(gone);
  const answer = await call('GET', '/v1/tasks', { as: keys.admin });
  expect(answer).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
  expect(answer.headers.get('retry-after')).toBe('2');
  const ready = await call('GET', '/readyz');
  expect(ready).toMatchObject({ status: 503, body: { ready: false, checks: { postgres: { ok: false } } } });
  await gone.close();
});
