import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { maxPayloadBytes } from '../../domain/events.ts';
import { createTestApi, keysOf, type RawBody, type TestApi, type Untyped } from '../support/api.ts';
import { countQueries } from '../support/count-queries.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { githubHeaders, signedHeaders } from '../support/signed.ts';

let database: TestDatabase;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  keys = await keysOf(database, await createPeople(database));
  api = createTestApi(database);
});

const aName = (): string => newId('hook').replace('_', '-');

async function aHook(given: object = {}): Promise<{ hook: Untyped; secret: string }> {
  const { status, body } = await api.call('POST', '/v1/hooks', {
    as: keys.admin,
    body: { name: aName(), eventType: 'ci.build', ...given },
  });
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
}

const send = (hook: { id: string }, raw: RawBody, headers: Record<string, string>, to = api) =>
  to.call('POST', `/v1/hooks/${hook.id}/events`, { raw, headers });

async function sendSigned(made: { hook: Untyped; secret: string }, body: unknown = { n: 1 }, id?: string) {
  const raw = JSON.stringify(body);
  return send(made.hook, raw, signedHeaders(made.secret, raw, id === undefined ? {} : { id }));
}

const eventOf = async (id: string): Promise<Untyped> =>
  (await api.call('GET', `/v1/events/${id}`, { as: keys.viewer })).body;

describe('a new hook', () => {
  test('shows its secret once, and neither list, audit nor log has it', async () => {
    const { hook, secret } = await aHook();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(hook).toMatchObject({ enabled: true, path: `/v1/hooks/${hook.id}/events`, received: 0 });
    for (const path of [`/v1/hooks/${hook.id}`, '/v1/hooks', '/v1/audit?limit=200', '/v1/events?limit=200']) {
      const { status, body } = await api.call('GET', path, { as: keys.admin });
      expect(status).toBe(200);
      expect(JSON.stringify(body)).not.toMatch(/whsec_|box1\./);
    }
    const [row] = await database.root`select sealed from hooks where id = ${hook.id}`;
    expect(row?.sealed).toMatch(/^box1\./);
  });

  test('takes a secret that the sender made, and does not show it', async () => {
    const secret = 'a-secret-made-elsewhere';
    const { hook, secret: shown } = await aHook({ scheme: 'github', secret });
    expect(shown).toBeNull();
    const raw = '{"zen":"x"}';
    expect((await send(hook, raw, githubHeaders(secret, raw))).status).toBe(202);
  });

  test.each<[string, object]>([
    ['a secret that could be guessed', { secret: 'whsec_c2hvcnQ=' }],
    ['a secret of the other scheme', { secret: 'a-secret-made-elsewhere' }],
    ['a name with spaces', { name: 'a b' }],
    ['a path that is none', { mapping: { type: 'a..b' } }],
    ['a scheme that there is not', { scheme: 'none' }],
  ])('with %s is refused', async (_name, given) => {
    const body = { name: aName(), eventType: 'ci.build', ...given };
    const answer = await api.call('POST', '/v1/hooks', { as: keys.admin, body });
    expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID' } });
    expect(JSON.stringify(answer.body)).not.toContain('c2hvcnQ');
  });

  test.each(['security', 'security.login', 'bus.hook', 'kill-switch'])(
    'may not say what only this system says: %s',
    async (eventType) => {
      const answer = await api.call('POST', '/v1/hooks', {
        as: keys.admin,
        body: { name: aName(), eventType },
      });
      expect(answer.status).toBe(403);
    },
  );

  test('of a name that is taken is refused', async () => {
    const { hook } = await aHook();
    const body = { name: hook.name, eventType: 'a.b' };
    expect((await api.call('POST', '/v1/hooks', { as: keys.admin, body })).status).toBe(409);
  });
});

describe('TRUST 4.42: a signed message', () => {
  test('becomes an event, and the hook counts it', async () => {
    const made = await aHook({ severity: 'warning', mapping: { correlationId: 'run' } });
    const { status, body } = await sendSigned(made, { run: 'r-7' }, 'msg_one');
    expect(status).toBe(202);
    expect(body.duplicate).toBe(false);
    expect(await eventOf(body.id)).toMatchObject({
      type: 'ci.build',
      source: { type: 'api', id: `hook:${made.hook.name}` },
      severity: 'warning',
      payload: { run: 'r-7' },
      correlationId: 'r-7',
      metadata: { hook: { id: made.hook.id, messageId: 'msg_one' } },
    });
    const view = async () => (await api.call('GET', `/v1/hooks/${made.hook.id}`, { as: keys.viewer })).body;
    await expect.poll(view, { timeout: 10_000 }).toMatchObject({ received: 1, refused: 0 });
    expect((await view()).lastReceivedAt).not.toBeNull();
  });

  test('is taken once for its id, also by another process and whatever it says then', async () => {
    const made = await aHook();
    const first = await sendSigned(made, { n: 1 }, 'msg_same');
    const raw = JSON.stringify({ n: 2 });
    const restarted = createTestApi(database);
    const again = await send(made.hook, raw, signedHeaders(made.secret, raw, { id: 'msg_same' }), restarted);
    expect(again).toMatchObject({ status: 202, body: { id: first.body.id, duplicate: true } });
    expect((await eventOf(first.body.id)).payload).toEqual({ n: 1 });
  });

  test('of the same id is another one for another hook', async () => {
    const [a, b] = [
      await sendSigned(await aHook(), {}, 'msg_1'),
      await sendSigned(await aHook(), {}, 'msg_1'),
    ];
    expect(b.body.duplicate).toBe(false);
    expect(b.body.id).not.toBe(a.body.id);
  });

  test('of GitHub is taken once for its delivery id, and its kind is part of the type', async () => {
    const { hook, secret } = await aHook({ scheme: 'github', mapping: { type: 'action' } });
    const raw = '{"action":"opened"}';
    const headers = githubHeaders(secret, raw, { id: 'g-1', event: 'pull_request' });
    const first = await send(hook, raw, headers);
    expect((await eventOf(first.body.id)).type).toBe('ci.build.pull-request.opened');
    expect((await send(hook, raw, headers)).body).toEqual({ id: first.body.id, duplicate: true });
  });

  test('cannot make a type that only this system says', async () => {
    const made = await aHook({ eventType: 'api', mapping: { type: 'kind' } });
    expect((await sendSigned(made, { kind: 'probe.changed' })).status).toBe(403);
  });
});

describe('TRUST 4.42: whoever cannot sign', () => {
  const raw = '{"n":1}';

  test('learns nothing of which hooks there are: same answer, same work', async () => {
    const { hook } = await aHook();
    const wrong = signedHeaders(`whsec_${Buffer.alloc(32).toString('base64')}`, raw);
    const seen = [];
    for (const id of [hook.id, 'hok_0000000000000000']) {
      const counted = countQueries(database);
      const where = createTestApi(counted.database);
      // The settings are read by the first request of a process.
      await where.call('GET', '/v1/me');
      const before = counted.count();
      const { status, body, headers } = await send({ id }, raw, wrong, where);
      const said = JSON.stringify({ ...body, requestId: '', traceId: '' });
      seen.push({ status, said, headers: [...headers.keys()].sort(), queries: counted.count() - before });
    }
    expect(seen[0]).toEqual(seen[1]);
    expect(seen[0]?.status).toBe(401);
  });

  test.each<[string, Record<string, string>]>([
    ['without headers', { 'content-type': 'application/json' }],
    ['with an old message', {}],
    ['with a key of an admin', {}],
  ])('is refused %s, and no event is written', async (name, given) => {
    const { hook, secret } = await aHook();
    const old = signedHeaders(secret, raw, { atMs: Date.now() - 400_000 });
    const headers =
      name === 'with an old message' ? old : { ...given, authorization: `Bearer ${keys.admin}` };
    expect((await send(hook, raw, headers)).status).toBe(401);
    const [row] = await database.root`
      select count(*)::int as n from events where source_id = ${`hook:${hook.name}`}`;
    expect(row?.n).toBe(0);
  });

  test('is told the same with an id that no hook could have', async () => {
    for (const id of ['x', '%00', 'hok_', "hok_'; drop table hooks"]) {
      const { status, body } = await api.call('POST', `/v1/hooks/${encodeURIComponent(id)}/events`, { raw });
      expect(status, id).toBe(401);
      expect(body.code).toBe('UNAUTHENTICATED');
    }
  });

  test('is in the audit, and counted at the hook', async () => {
    const { hook } = await aHook();
    await send(hook, raw, signedHeaders(`whsec_${Buffer.alloc(32).toString('base64')}`, raw));
    await api.deps.refusals.flush();
    const { body } = await api.call('GET', '/v1/audit?limit=50', { as: keys.admin });
    const subjects = body.items.map(({ subject }: Untyped) => subject.id);
    expect(subjects).toContain('POST /v1/hooks/{id}/events');
    const view = async () => (await api.call('GET', `/v1/hooks/${hook.id}`, { as: keys.viewer })).body;
    await expect.poll(view, { timeout: 10_000 }).toMatchObject({ received: 0, refused: 1 });
  });

  test('meets the limit of its address; whoever can sign does not', async () => {
    const limited = createTestApi(database, {
      http: { corsOrigins: [], trustedProxies: [], addressLimitPerMinute: 3 },
    });
    const made = await aHook();
    const post = (headers: Record<string, string>, from: string) =>
      limited.call('POST', `/v1/hooks/${made.hook.id}/events`, { raw, headers, from });
    for (let at = 0; at < 6; at += 1)
      expect((await post(signedHeaders(made.secret, raw), '203.0.113.1')).status).toBe(202);
    const statuses: number[] = [];
    for (let at = 0; at < 6; at += 1)
      statuses.push((await post({ 'content-type': 'application/json' }, '203.0.113.2')).status);
    expect(statuses.slice(0, 3)).toEqual([401, 401, 401]);
    expect(statuses.at(-1)).toBe(429);
  });
});

describe('a message that is signed and not good', () => {
  const signedRaw = async (made: { hook: Untyped; secret: string }, raw: string, more = {}) =>
    send(made.hook, raw, { ...signedHeaders(made.secret, raw), ...more });

  test.each<[string, string, number, Record<string, string>]>([
    ['broken JSON', '{"a":', 400, {}],
    ['a list', '[1]', 400, {}],
    ['a word', '"x"', 400, {}],
    ['nothing', '', 400, {}],
    ['a NUL', '{"a":"\\u0000"}', 400, {}],
    ['half a surrogate pair', '{"a":"\\ud800"}', 400, {}],
    ['depth 10,000', `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 400, {}],
    ['a payload that is too large', JSON.stringify({ a: 'x'.repeat(maxPayloadBytes) }), 413, {}],
    ['a body that is too large', JSON.stringify({ a: 'x'.repeat(600_000) }), 413, {}],
    ['another content type', '{}', 415, { 'content-type': 'text/plain' }],
  ])('%s is refused', async (_name, raw, status, headers) => {
    const made = await aHook();
    expect((await signedRaw(made, raw, headers)).status).toBe(status);
  });

  test('in invalid UTF-8 is refused', async () => {
    const { hook, secret } = await aHook({ scheme: 'github' });
    const raw = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
    const { createHmac } = await import('node:crypto');
    const headers = {
      ...githubHeaders(secret, ''),
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(raw).digest('hex')}`,
    };
    expect((await send(hook, raw, headers)).status).toBe(400);
  });
});

describe('a hook', () => {
  test('that is switched off says so to who can sign, and takes nothing until it is on again', async () => {
    const made = await aHook();
    const flip = (action: string) =>
      api.call('POST', `/v1/hooks/${made.hook.id}/${action}`, { as: keys.admin });
    expect((await flip('disable')).body.enabled).toBe(false);
    expect(await sendSigned(made)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect((await flip('enable')).body.enabled).toBe(true);
    expect((await sendSigned(made)).status).toBe(202);
  });

  test('takes both secrets while they are changed, and only the new one without an overlap', async () => {
    const made = await aHook();
    const rotate = (body?: object) =>
      api.call('POST', `/v1/hooks/${made.hook.id}/rotate-secret`, {
        as: keys.admin,
        ...(body === undefined ? {} : { body }),
      });
    const second = { hook: made.hook, secret: (await rotate()).body.secret };
    expect((await sendSigned(made)).status).toBe(202);
    expect((await sendSigned(second)).status).toBe(202);
    const given = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
    const { status, body } = await rotate({ overlapSeconds: 0, secret: given });
    expect({ status, secret: body.secret, until: body.hook.previousSecretUntil }).toEqual({
      ...{ status: 200, secret: null, until: null },
    });
    expect((await sendSigned(second)).status).toBe(401);
    expect((await sendSigned({ ...made, secret: given })).status).toBe(202);
  });

  test('forgets the secret before when the overlap is over', async () => {
    const made = await aHook();
    await api.call('POST', `/v1/hooks/${made.hook.id}/rotate-secret`, { as: keys.admin });
    await database.root`update hooks set previous_secret_until = now() - interval '1 second' where id = ${made.hook.id}`;
    expect((await sendSigned(made)).status).toBe(401);
  });

  test('takes so many messages a minute and no more', async () => {
    const made = await aHook({ perMinute: 2 });
    expect((await sendSigned(made)).status).toBe(202);
    expect((await sendSigned(made)).headers.get('ratelimit-remaining')).toBe('0');
    const over = await sendSigned(made);
    expect(over).toMatchObject({ status: 429, body: { code: 'LIMIT', details: { limitPerMinute: 2 } } });
    expect(over.headers.get('retry-after')).toMatch(/^\d+$/);
  });

  test('that is removed is as unknown as one that never was', async () => {
    const made = await aHook();
    const { status } = await api.call('DELETE', `/v1/hooks/${made.hook.id}`, { as: keys.admin });
    expect(status).toBe(200);
    expect((await sendSigned(made)).status).toBe(401);
    expect((await api.call('GET', `/v1/hooks/${made.hook.id}`, { as: keys.admin })).status).toBe(404);
    const { body } = await api.call('GET', '/v1/audit?limit=50', { as: keys.admin });
    expect(body.items.map(({ action }: Untyped) => action)).toEqual(
      expect.arrayContaining(['hook.created', 'hook.removed']),
    );
  });

  test('is closed with all others by the switchboard', async () => {
    const made = await aHook();
    const put = (enabled: boolean) =>
      api.call('PATCH', '/v1/control/hooks', { as: keys.admin, body: { enabled, reason: 'a flood' } });
    expect((await put(false)).status).toBe(200);
    expect((await sendSigned(made)).status).toBe(503);
    expect((await put(true)).status).toBe(200);
    expect((await sendSigned(made)).status).toBe(202);
  });
});
