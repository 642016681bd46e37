import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { createInstallation } from '../../db/installation.ts';
import { subscriptionSecret } from '../../db/signing-secret.ts';
import { getSubscription, listLanes } from '../../db/subscriptions.ts';
import { maxPayloadBytes } from '../../domain/events.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { signedHeaders } from '../support/signed.ts';

let database: TestDatabase;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  keys = await keysOf(database, await createPeople(database));
  api = createTestApi(database);
});

const url = 'https://there.example.com/v1/hooks/hok_0123456789abcdef/events';
const aName = (): string => newId('c').replace('_', '-');
const add = (body: object, as = keys.admin) => api.call('POST', '/v1/bridge/clusters', { as, body });

async function aCluster(given: object = {}): Promise<Untyped> {
  const { status, body } = await add({ name: aName(), url, ...given });
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
}

const broadcast = (body: object, as = keys.operator) => api.call('POST', '/v1/broadcasts', { as, body });
const viewOf = async (name: string): Promise<Untyped> =>
  (await api.call('GET', `/v1/bridge/clusters/${name}`, { as: keys.viewer })).body;
const act = (name: string, action: string) =>
  api.call('POST', `/v1/bridge/clusters/${name}/${action}`, { as: keys.admin });
const eventsFor = (name: string) => database.root<Untyped[]>`
  select id, type, payload, path, destination, correlation_id, metadata from events
  where destination = ${`cluster:${name}`} order by tx, seq`;

const subscriptionOf = (name: string) => getSubscription(database.db, `cluster-${name}`);

/** What the consumer of a cluster does once everything is handed over. */
async function drain(name: string): Promise<void> {
  await database.root`
    update subscription_lanes set cursor_tx = pg_snapshot_xmax(pg_current_snapshot()), cursor_seq = 0, last_delivered_at = now()
    where subscription = ${`cluster-${name}`}`;
}

describe('a cluster', () => {
  test('comes with the subscription that carries its events, and shows the secret for the other side once', async () => {
    const { cluster, signingSecret } = await aCluster({ backlogLimit: 5 });
    const { name } = cluster;
    expect(cluster).toMatchObject({
      ...{ url, state: 'open', paused: false, backlog: 0, backlogLimit: 5 },
      ...{ outboundPerMinute: 0, inboundPerMinute: null, failedAcks: 0, lastAckAt: null },
      subscription: `cluster-${name}`,
    });
    expect(signingSecret).toBe(subscriptionSecret(api.deps.agentRoot, `cluster-${name}`, 1));
    expect(await subscriptionOf(name)).toMatchObject({
      ...{ handler: 'webhook', strategy: 'direct', enabled: true, secretVersion: 1 },
      match: { types: [], destination: `cluster:${name}` },
      config: { origin: 'https://there.example.com', allowPrivateNetwork: false, timeoutMs: 10_000 },
    });
    const sealed = (await subscriptionOf(name))?.config.sealedUrl as string;
    expect(api.deps.secretBox.open(sealed, `subscription:cluster-${name}`)).toBe(url);
    expect(await listLanes(database.db, `cluster-${name}`)).toMatchObject([{ lane: 'all' }]);
    for (const path of ['/v1/bridge/clusters?limit=200', '/v1/audit?limit=200', '/v1/events?limit=200']) {
      const { body } = await api.call('GET', path, { as: keys.admin });
      expect(JSON.stringify(body)).not.toContain(signingSecret);
    }
  });

  test('writes nothing when the key of its subscription belongs to something else', async () => {
    const name = aName();
    await database.root`
      insert into subscriptions (key, handler, match) values (${`cluster-${name}`}, 'halo.trigger', '{"types": []}')`;
    expect((await add({ name, url })).status).toBe(409);
    expect((await api.call('GET', `/v1/bridge/clusters/${name}`, { as: keys.viewer })).status).toBe(404);
    expect((await subscriptionOf(name))?.handler).toBe('halo.trigger');
  });

  test.each<[string, object, number]>([
    ['an address without https', { url: url.replace('https', 'http') }, 400],
    ['an address that is no hook', { url: 'https://there.example.com/' }, 400],
    ['a query in its address', { url: `${url}?key=secret` }, 400],
    ['a password in its address', { url: url.replace('there', 'a:b@there') }, 400],
    ['a hook that there is not', { hookId: 'hok_0000000000000000' }, 400],
    ['a name with capitals', { name: 'EU' }, 400],
  ])('with %s is refused', async (_name, given, status) => {
    expect((await add({ name: aName(), url, ...given })).status).toBe(status);
  });

  test('of a name that is taken is refused', async () => {
    const { cluster } = await aCluster();
    expect((await add({ name: cluster.name, url })).status).toBe(409);
  });

  test('that was removed comes back with a new secret, and with what waited for it', async () => {
    const first = await aCluster();
    const { name } = first.cluster;
    expect((await broadcast({ clusters: [name], type: 'a.b' })).status).toBe(202);
    const gone = await api.call('DELETE', `/v1/bridge/clusters/${name}`, { as: keys.admin });
    expect(gone).toMatchObject({ status: 200, body: { name, deleted: true } });
    expect((await subscriptionOf(name))?.enabled).toBe(false);
    expect((await broadcast({ clusters: [name], type: 'a.b' })).status).toBe(404);
    const again = await aCluster({ name, url: url.replace('there', 'elsewhere') });
    expect(again.signingSecret).not.toBe(first.signingSecret);
    expect(again.cluster).toMatchObject({ backlog: 1, state: 'open' });
    expect(await subscriptionOf(name)).toMatchObject({ enabled: true, secretVersion: 2 });
  });

  test('gets a new secret with an overlap', async () => {
    const { cluster } = await aCluster();
    const { status, body } = await act(cluster.name, 'rotate-secret');
    expect(status).toBe(200);
    expect(body.signingSecret).toBe(subscriptionSecret(api.deps.agentRoot, `cluster-${cluster.name}`, 2));
    expect(Date.parse(body.cluster.previousSecretUntil)).toBeGreaterThan(Date.now());
  });

  test.each<[string, 'PATCH' | 'DELETE' | 'POST', string, object | undefined]>([
    ['edited', 'PATCH', '', { version: 1, description: 'mine' }],
    ['pointed elsewhere', 'PATCH', '', { version: 1, handler: { kind: 'webhook', url } }],
    ['removed', 'DELETE', '', undefined],
    ['given another secret', 'POST', '/secret', {}],
  ])('has a subscription that cannot be %s by itself', async (_what, method, path, body) => {
    const { name } = (await aCluster()).cluster;
    const before = await subscriptionOf(name);
    const answer = await api.call(method, `/v1/subscriptions/cluster-${name}${path}`, {
      as: keys.admin,
      ...(body === undefined ? {} : { body }),
    });
    expect(answer).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect(answer.body.detail).toContain('/v1/bridge/clusters');
    expect(await subscriptionOf(name)).toEqual(before);
  });

  test.each<[string, object]>([
    ['pause', {}],
    ['rewind', { to: 'start' }],
  ])('has a subscription that takes a %s', async (action, body) => {
    const { name } = (await aCluster()).cluster;
    const path = `/v1/subscriptions/cluster-${name}/${action}`;
    const { status } = await api.call('POST', path, { as: keys.operator, body });
    expect(status).toBe(202);
  });

  test('is switched off with its subscription, and on again', async () => {
    const { cluster } = await aCluster();
    expect((await act(cluster.name, 'disable')).body.state).toBe('off');
    expect((await subscriptionOf(cluster.name))?.enabled).toBe(false);
    expect((await broadcast({ clusters: [cluster.name], type: 'a.b' })).status).toBe(409);
    expect((await act(cluster.name, 'enable')).body.state).toBe('open');
    expect((await subscriptionOf(cluster.name))?.enabled).toBe(true);
  });
});

describe('a broadcast', () => {
  test('writes one event for each cluster, in one thread, marked with where it comes from', async () => {
    const names = [(await aCluster()).cluster.name, (await aCluster()).cluster.name];
    const { status, body } = await broadcast({
      ...{ clusters: names, type: 'shop.order.lost', payload: { n: 1 }, severity: 'critical' },
    });
    expect(status).toBe(202);
    const place = await createInstallation(database.db).place();
    for (const name of names) {
      const rows = await eventsFor(name);
      const said = body.clusters.find(({ cluster }: Untyped) => cluster === name);
      expect(rows).toEqual([
        {
          ...{ id: said.eventId, type: 'shop.order.lost', payload: { n: 1 }, path: [place] },
          ...{ destination: `cluster:${name}`, correlation_id: body.id },
          metadata: {
            cluster: { broadcastId: body.id, by: expect.stringMatching(/^prn_operator/) as string },
          },
        },
      ]);
      expect(await viewOf(name)).toMatchObject({ backlog: 1, outboundPerMinute: 0 });
    }
    const { body: audit } = await api.call('GET', '/v1/audit?limit=5', { as: keys.admin });
    expect(audit.items[0]).toMatchObject({ action: 'bridge.broadcast', subject: { id: body.id } });
  });

  test('of the same Idempotency-Key is written once', async () => {
    const { name } = (await aCluster()).cluster;
    const given = {
      as: keys.operator,
      body: { clusters: [name], type: 'a.b' },
      headers: { 'idempotency-key': name },
    };
    const first = await api.call('POST', '/v1/broadcasts', given);
    expect((await api.call('POST', '/v1/broadcasts', given)).body).toEqual(first.body);
    expect(await eventsFor(name)).toHaveLength(1);
  });

  test('is written for nobody when one cluster is full, and for the others when that is enough', async () => {
    const full = (await aCluster({ backlogLimit: 2 })).cluster.name;
    const open = (await aCluster()).cluster.name;
    for (let at = 0; at < 2; at += 1)
      expect((await broadcast({ clusters: [full], type: 'a.b' })).status).toBe(202);
    expect(await viewOf(full)).toMatchObject({ state: 'throttled', backlog: 2 });
    const refused = await broadcast({ clusters: [full, open], type: 'a.b' });
    expect(refused).toMatchObject({ status: 429, body: { code: 'LIMIT' } });
    expect(refused.headers.get('retry-after')).toBe('10');
    expect(refused.body.details.clusters).toContainEqual({
      ...{ name: full, state: 'throttled', backlog: 2, backlogLimit: 2 },
    });
    expect(await eventsFor(open)).toEqual([]);
    const partial = await broadcast({ clusters: [full, open], type: 'a.b', partial: true });
    expect(partial.status).toBe(202);
    expect(partial.body.clusters).toContainEqual({
      ...{ cluster: full, state: 'throttled', backlog: 2, backlogLimit: 2, eventId: null },
    });
    expect(await eventsFor(open)).toHaveLength(1);
    expect(await eventsFor(full)).toHaveLength(2);
    expect((await broadcast({ clusters: [full], type: 'a.b', partial: true })).status).toBe(429);
    await drain(full);
    expect(await viewOf(full)).toMatchObject({ state: 'open', backlog: 0, outboundPerMinute: 2 });
    expect((await broadcast({ clusters: [full, open], type: 'a.b' })).status).toBe(202);
  });

  test('counts what is tried again as waiting, and what was not taken as failed', async () => {
    const { name } = (await aCluster({ backlogLimit: 3 })).cluster;
    const { body } = await broadcast({ clusters: [name], type: 'a.b' });
    await drain(name);
    await database.root`
      insert into deliveries (id, subscription, event_id, event_recorded_at, state, attempts, due_at, last_error)
      values (${newId('dlv')}, ${`cluster-${name}`}, ${body.clusters[0].eventId}, now(), 'pending', 1, now(), 'It answered 503.')`;
    expect(await viewOf(name)).toMatchObject({ backlog: 1, failedAcks: 1, outboundPerMinute: 0 });
    await database.root`
      update deliveries set state = 'completed', ended_at = now() where subscription = ${`cluster-${name}`}`;
    expect(await viewOf(name)).toMatchObject({ backlog: 0, failedAcks: 0, outboundPerMinute: 1 });
    expect((await viewOf(name)).lastAckAt).not.toBeNull();
  });

  test('to all goes to those that are switched on', async () => {
    const off = (await aCluster()).cluster.name;
    await act(off, 'disable');
    const on = (await aCluster()).cluster.name;
    const { status, body } = await broadcast({ clusters: 'all', type: 'a.b' });
    expect(status).toBe(202);
    const reached = body.clusters.map(({ cluster }: Untyped) => cluster);
    expect(reached).toContain(on);
    expect(reached).not.toContain(off);
  });

  test.each<[string, object, number]>([
    ['to a cluster that there is not', { clusters: ['nowhere'] }, 404],
    ['to nobody', { clusters: [] }, 400],
    ['of what only this system says', { clusters: ['x'], type: 'security.login' }, 403],
    ['with a payload that is too large', { clusters: ['x'], payload: { a: 'x'.repeat(270_000) } }, 413],
  ])('%s is refused', async (_name, given, status) => {
    expect((await broadcast({ type: 'a.b', ...given })).status).toBe(status);
  });

  test('is for operators, and a cluster for admins', async () => {
    expect((await broadcast({ clusters: 'all', type: 'a.b' }, keys.viewer)).status).toBe(403);
    expect((await add({ name: aName(), url }, keys.operator)).status).toBe(403);
  });
});

describe('an event of another DreamNet', () => {
  let hook: Untyped;
  let secret: string;
  beforeAll(async () => {
    const { body } = await api.call('POST', '/v1/hooks', {
      as: keys.admin,
      body: { name: 'from-there', eventType: 'there', form: 'event' },
    });
    ({ hook, secret } = body);
  });
  const relayed = (given: object = {}) => ({
    ...{ id: 'evt_there', type: 'shop.order.lost', source: { type: 'api', id: 'bridge' } },
    ...{ severity: 'error', priority: 'high', payload: { n: 1 }, metadata: { a: 1 } },
    ...{ destination: 'cluster:here', correlationId: 'thread', causationId: null },
    ...{ path: ['cluster:there'], occurredAt: '2026-01-01T00:00:00.000Z' },
    ...given,
  });
  const send = (body: object) => {
    const raw = JSON.stringify(body);
    const headers = signedHeaders(secret, raw);
    return api.call('POST', `/v1/hooks/${hook.id}/events`, { raw, headers });
  };
  const rowOf = async (id: string): Promise<Untyped> =>
    (await database.root`select * from events where id = ${id}`)[0];

  test.each<[string, (event: object) => object]>([
    ['as it is', (event) => event],
    ['inside `data`', (data) => ({ type: 'x', timestamp: '2026-01-01T00:00:00Z', data })],
  ])(
    'arrives %s as what it was there, for everybody here, and has this place in its path',
    async (_name, wrap) => {
      const { status, body } = await send(wrap(relayed()));
      expect(status, JSON.stringify(body)).toBe(202);
      const place = await createInstallation(database.db).place();
      expect(await rowOf(body.id)).toMatchObject({
        ...{ type: 'shop.order.lost', severity: 'error', priority: 'high', payload: { n: 1 } },
        ...{ source_type: 'api', source_id: 'hook:from-there', destination: null, correlation_id: 'thread' },
        path: ['cluster:there', place],
        metadata: { a: 1, hook: { id: hook.id, relayed: 'evt_there' } },
      });
    },
  );

  test('that was here before is refused: a loop ends at its first turn', async () => {
    const place = await createInstallation(database.db).place();
    const answer = await send(relayed({ path: [place, 'cluster:there'] }));
    expect(answer).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    expect(answer.body.detail).toContain(place);
  });

  test('says where it came through in the envelope when the body does not', async () => {
    const place = await createInstallation(database.db).place();
    const raw = JSON.stringify(relayed({ path: undefined }));
    const arrive = (path: string) =>
      api.call('POST', `/v1/hooks/${hook.id}/events`, {
        raw,
        headers: { ...signedHeaders(secret, raw), 'x-dreamnet-path': path },
      });
    const { status, body } = await arrive(['cluster:x', 'wormhole:a,b'].map(encodeURIComponent).join(','));
    expect(status).toBe(202);
    expect((await rowOf(body.id)).path).toEqual(['cluster:x', 'wormhole:a,b', place]);
    expect((await arrive(`cluster%3Ax,${encodeURIComponent(place)}`)).status).toBe(409);
    expect((await arrive('%zz')).status).toBe(202);
  });

  test('that came through 16 places is refused', async () => {
    const path = Array.from({ length: 16 }, (_, at) => `cluster:${at}`);
    expect((await send(relayed({ path }))).status).toBe(409);
    expect((await send(relayed({ path: path.slice(1) }))).status).toBe(202);
  });

  test('does not speak as this system itself: its type stands behind that of the hook', async () => {
    const { body } = await send(relayed({ type: 'squad.task.failed' }));
    expect((await rowOf(body.id)).type).toBe('there.squad.task.failed');
  });

  test.each<[string, object]>([
    ['without a type', { type: undefined }],
    ['with a path of numbers', { path: [1] }],
    ['with another severity', { severity: 'loud' }],
    ['with a list as its payload', { payload: [] }],
  ])('%s is refused with the place of the mistake', async (_name, given) => {
    const answer = await send(relayed(given));
    expect(answer.status).toBe(400);
    expect(answer.body.details.issues[0].path[0]).toBe(Object.keys(given)[0]);
  });

  test.each(['payload', 'metadata'])('with too large a %s is refused', async (part) => {
    const answer = await send(relayed({ [part]: { a: 'x'.repeat(270_000) } }));
    expect(answer).toMatchObject({ status: 413, body: { code: 'PAYLOAD_TOO_LARGE' } });
    expect(answer.body.details.maxBytes).toBe(maxPayloadBytes);
  });

  test('counts as coming in at the cluster whose hook it is', async () => {
    const { cluster } = await aCluster({ hookId: hook.id });
    expect((await send(relayed())).status).toBe(202);
    expect((await viewOf(cluster.name)).inboundPerMinute).toBeGreaterThan(0);
  });
});
