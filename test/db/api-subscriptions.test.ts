import { beforeAll, describe, expect, test } from 'vitest';
import { createSubscriptionRequestActivities } from '../../activities/subscription-requests.ts';
import { encodeCursor } from '../../api/paging.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { subscriptionSecret } from '../../db/signing-secret.ts';
import { createRole } from '../../db/roles.ts';
import { ensureSubscription, listLanes } from '../../db/subscriptions.ts';
import { eventInputSchema } from '../../domain/events.ts';
import { sealContext } from '../../domain/subscription-request.ts';
import { haloSubscription } from '../../domain/subscription.ts';
import { aKey, createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { eventually } from './eventually.ts';
import { aPerson } from './flow.ts';

let database: TestDatabase;
let people: People;
let api: TestApi;
let keys: Record<keyof People, string>;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  api = createTestApi(database);
  await ensureSubscription(database.log, haloSubscription);
  // The run of a subscription as workflows/subscription.ts is: it hands what it was told to the record.
  const { applySubscriptionRequest } = createSubscriptionRequestActivities({ database });
  api.temporal.tell = (ask) => applySubscriptionRequest({ ...ask, opKey: newId('op') });
});

const url = 'https://hooks.example.com/very/secret-path?key=secret-query';
const webhook = { kind: 'webhook', url };
const newKey = () => newId('sub').replace('_', '-');

const post = (body: unknown, as = keys.admin) => api.call('POST', '/v1/subscriptions', { as, body });
const seen = async (key: string) =>
  (await api.call('GET', `/v1/subscriptions/${key}`, { as: keys.viewer })).body;
const act = (key: string, action: string, body?: unknown, as = keys.operator) =>
  api.call('POST', `/v1/subscriptions/${key}/${action}`, { as, ...(body === undefined ? {} : { body }) });

async function aSubscription(given: object = {}): Promise<Untyped> {
  const { status, body } = await post({ key: newKey(), handler: webhook, ...given });
  expect(body).not.toHaveProperty('detail');
  expect(status).toBe(201);
  return body;
}

async function append(type: string, given: object = {}): Promise<string> {
  const event = eventInputSchema.parse({ type, source: { type: 'api', id: 'shop' }, ...given });
  const [stored] = await appendEvents(database.log, [event]);
  return stored?.id ?? '';
}

async function changesOf(key: string): Promise<string[]> {
  const rows = await database.root<{ change: string }[]>`
    select payload ->> 'change' as change from events
    where type = 'bus.subscription.changed' and correlation_id = ${`subscription:${key}`}
    order by events.tx, events.seq`;
  return rows.map(({ change }) => change);
}

describe('a new subscription', () => {
  test('to a webhook shows its signing secret once, and its address never again', async () => {
    const { subscription, signingSecret } = await aSubscription();
    const { key } = subscription;
    expect(signingSecret).toBe(subscriptionSecret(api.deps.agentRoot, key, 1));
    expect(subscription).toMatchObject({
      state: 'active',
      builtIn: false,
      owner: people.admin,
      handler: {
        kind: 'webhook',
        origin: 'https://hooks.example.com',
        allowPrivateNetwork: false,
        timeoutMs: 10_000,
      },
      match: { types: [], minSeverity: 'info', excludeSourceTypes: [] },
      strategy: 'broadcast',
      retry: { maxAttempts: 5, backoffMs: 1_000, maxBackoffMs: 60_000 },
      pendingDeliveries: 0,
      openDeadLetters: 0,
      version: 1,
    });
    expect(api.temporal.subscriptions).toContain(key);
    const answers = [
      await api.call('GET', `/v1/subscriptions/${key}`, { as: keys.viewer }),
      await api.call('GET', '/v1/subscriptions?limit=200', { as: keys.viewer }),
      await api.call('GET', '/v1/audit?limit=200', { as: keys.admin }),
      await api.call('GET', '/v1/events?limit=200', { as: keys.admin }),
    ];
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(JSON.stringify(body)).not.toMatch(/secret-path|secret-query|whsec_|box1|sealed/);
    }
    const [row] = await database.root<{ config: { sealedUrl: string } }[]>`
      select config from subscriptions where key = ${key}`;
    expect(JSON.stringify(row)).not.toContain('secret-path');
    expect(api.deps.secretBox.open(row?.config.sealedUrl ?? '', sealContext(key))).toBe(url);
  });

  test('is written with its lanes, its event and its audit entry', async () => {
    const { subscription } = await aSubscription({ strategy: 'balanced', consumers: 3 });
    expect(subscription.lanes.map(({ lane }: Untyped) => lane)).toEqual(['0', '1', '2']);
    expect(await changesOf(subscription.key)).toEqual(['created']);
    const rows = await database.root`
      select actor, action, outcome from audit_entries where subject_id = ${subscription.key}`;
    expect([...rows]).toEqual([{ actor: people.admin, action: 'subscription.create', outcome: 'ok' }]);
  });

  test('that signals a workflow has no secret', async () => {
    const handler = { kind: 'signal', workflowId: 'orders/{payload.order.id}', signal: 'event' };
    const { subscription, signingSecret } = await aSubscription({ handler });
    expect(signingSecret).toBeNull();
    expect(subscription.handler).toEqual(handler);
    expect(await act(subscription.key, 'secret', undefined, keys.admin)).toMatchObject({ status: 409 });
  });

  test('is stored while Temporal is down, and its run left to the relay', async () => {
    const key = newKey();
    api.temporal.down = true;
    const { status } = await post({ key, handler: webhook });
    api.temporal.down = false;
    expect(status).toBe(201);
    expect(api.temporal.subscriptions).not.toContain(key);
  });

  test.each([
    ['its key', async () => (await aSubscription()).subscription.key as string],
    ['the key of a built-in one', () => Promise.resolve('halo')],
    ['the key of a built-in one that is yet to come', () => Promise.resolve('wormholes')],
  ])('under %s that is taken is refused', async (_, taken) => {
    const key = await taken();
    const before = await changesOf(key);
    expect(await post({ key, handler: webhook })).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    expect(await changesOf(key)).toEqual(before);
  });

  test.each<[string, object, RegExp]>([
    ['no handler', { handler: undefined }, /handler/],
    ['a registered handler', { handler: { kind: 'halo.trigger' } }, /handler/],
    ['another registered handler', { handler: { kind: 'notify.queue' } }, /handler/],
    ['a key with capitals', { key: 'Shop' }, /key/],
    ['a key of one letter', { key: 's' }, /key/],
    ['a key with a hyphen at its end', { key: 'shop-' }, /key/],
    [
      'an open address',
      { handler: { ...webhook, url: 'http://example.com' } },
      /handler\.url: must be https/,
    ],
    [
      'an address with a password',
      { handler: { ...webhook, url: 'https://u:p@a.b' } },
      /without user and password/,
    ],
    ['a type with a star inside', { match: { types: ['a.*.b'] } }, /match\.types\.0/],
    ['a source without a type', { match: { sources: ['shop'] } }, /match\.sources\.0/],
    ['direct without a destination', { strategy: 'direct' }, /match\.destination/],
    ['a destination without direct', { match: { destination: 'x' } }, /match\.destination/],
    ['filtered without a filter', { strategy: 'filtered' }, /match\.filter/],
    ['a filter without filtered', { match: { filter: 'true' } }, /match\.filter/],
    ['consumers of what is not shared', { consumers: 2 }, /consumers/],
    ['too many consumers', { strategy: 'balanced', consumers: 100 }, /consumers/],
    ['no attempts', { retry: { maxAttempts: 0 } }, /retry\.maxAttempts/],
    ['a longest wait below the shortest', { retry: { backoffMs: 500, maxBackoffMs: 200 } }, /maxBackoffMs/],
    ['a cursor that was made up', { from: 'abc' }, /cursor/],
    [
      'a place that the log has not reached',
      { from: encodeCursor({ tx: '999999999999', seq: '1' }) },
      /behind the end/,
    ],
    [
      'a signal to a task',
      { handler: { kind: 'signal', workflowId: 'task/tsk_1', signal: 'x' } },
      /run of this system/,
    ],
    [
      'a signal to HALO',
      { handler: { kind: 'signal', workflowId: 'halo', signal: 'trigger' } },
      /run of this system/,
    ],
    [
      'an unknown placeholder',
      { handler: { kind: 'signal', workflowId: '{id}', signal: 'x' } },
      /no placeholder/,
    ],
    ['more than it may name', { owner: 'me' }, /owner|body/i],
  ])('with %s is refused, and nothing is written', async (_, given, message) => {
    const key = newKey();
    const answer = await post({ key, handler: webhook, ...given });
    expect(answer.status).toBe(answer.body.code === 'FORBIDDEN' ? 403 : 400);
    expect(answer.body.detail).toMatch(message);
    expect(await changesOf(key)).toEqual([]);
  });
});

describe('where a subscription stands', () => {
  test('its backlog counts what matches behind the horizon, and its lag how long the oldest waits', async () => {
    const type = `shop.${newKey()}`;
    const { subscription } = await aSubscription({ match: { types: [`${type}.*`], minSeverity: 'warning' } });
    await append(`${type}.paid`);
    await append(`${type}.paid`, { severity: 'error' });
    await append(`${type}.lost`, { severity: 'warning' });
    await append('other.thing', { severity: 'error' });
    await eventually(async () => (await seen(subscription.key)).backlog).toEqual({
      events: 2,
      isMore: false,
    });
    expect((await seen(subscription.key)).lagSeconds).toBeGreaterThanOrEqual(0);
    const [lane] = await listLanes(database.db, subscription.key);
    await database.root`
      update subscription_lanes set cursor_tx = pg_snapshot_xmin(pg_current_snapshot()), cursor_seq = 0, delivered = 2
      where subscription = ${subscription.key} and lane = ${lane?.lane ?? ''}`;
    await eventually(async () => (await seen(subscription.key)).backlog.events).toBe(0);
    expect(await seen(subscription.key)).toMatchObject({ delivered: 2, lagSeconds: 0 });
  });

  test('sources, destination, priority and share each leave out what is not theirs', async () => {
    const type = `mail.${newKey()}`;
    const match = { types: [type] };
    const by = {
      source: await aSubscription({ match: { ...match, sources: ['api:shop-*'] } }),
      direct: await aSubscription({ match: { ...match, destination: 'squad-1' }, strategy: 'direct' }),
      priority: await aSubscription({ match, strategy: 'priority' }),
      balanced: await aSubscription({ match, strategy: 'balanced', consumers: 4 }),
    };
    await append(type, { source: { type: 'api', id: 'shop-1' }, destination: 'squad-1' });
    await append(type, { source: { type: 'api', id: 'bank' }, severity: 'critical' });
    const waiting = async (which: keyof typeof by) => (await seen(by[which].subscription.key)).backlog.events;
    for (const which of ['source', 'direct'] as const) await eventually(() => waiting(which)).toBe(1);
    for (const which of ['priority', 'balanced'] as const) await eventually(() => waiting(which)).toBe(2);
    const { lanes } = await seen(by.priority.subscription.key);
    expect(lanes.map(({ lane, backlog }: Untyped) => [lane, backlog.events])).toEqual([
      ['critical', 1],
      ['high', 0],
      ['low', 0],
      ['normal', 1],
    ]);
  });

  test('the list has built-in ones too, page after page', async () => {
    await aSubscription();
    const found: string[] = [];
    let cursor = '';
    do {
      const { body } = await api.call('GET', `/v1/subscriptions?limit=3${cursor}`, { as: keys.viewer });
      found.push(...body.items.map(({ key }: Untyped) => key));
      cursor = body.nextCursor === null ? '' : `&cursor=${body.nextCursor}`;
    } while (cursor !== '');
    expect(found).toEqual([...new Set(found)].sort());
    expect(found).toContain('halo');
    expect(await seen('halo')).toMatchObject({
      builtIn: true,
      owner: null,
      handler: { kind: 'halo.trigger' },
    });
  });
});

describe('a change', () => {
  const patch = (key: string, body: object, as = keys.admin) =>
    api.call('PATCH', `/v1/subscriptions/${key}`, { as, body });

  test('of the version that was seen is made, once', async () => {
    const { key } = (await aSubscription()).subscription;
    const change = { version: 1, description: 'orders', retry: { maxAttempts: 2 }, strategy: 'priority' };
    const { status, body } = await patch(key, change);
    expect(status).toBe(200);
    expect(body).toMatchObject({ version: 2, description: 'orders', strategy: 'priority' });
    expect(body.retry).toEqual({ maxAttempts: 2, backoffMs: 1_000, maxBackoffMs: 60_000 });
    expect(await patch(key, { version: 1, description: 'late' })).toMatchObject({
      status: 412,
      body: { code: 'STALE' },
    });
    expect((await seen(key)).description).toBe('orders');
    expect(await changesOf(key)).toEqual(['created', 'changed']);
  });

  test('keeps the address unless it is given anew', async () => {
    const { key } = (await aSubscription()).subscription;
    await patch(key, { version: 1, deadlineMs: 5_000 });
    expect((await seen(key)).handler.origin).toBe('https://hooks.example.com');
    await patch(key, { version: 2, handler: { ...webhook, url: 'https://other.example.com/x' } });
    expect((await seen(key)).handler.origin).toBe('https://other.example.com');
  });

  test('to a strategy that does not fit the match is refused', async () => {
    const { key } = (await aSubscription()).subscription;
    expect(await patch(key, { version: 1, strategy: 'direct' })).toMatchObject({ status: 400 });
    expect(await patch(key, { version: 1 })).toMatchObject({ status: 400 });
  });

  test('of a built-in one, or its removal, is refused', async () => {
    expect(await patch('halo', { version: 1, description: 'x' })).toMatchObject({ status: 403 });
    const removed = await api.call('DELETE', '/v1/subscriptions/halo', { as: keys.admin });
    expect(removed).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect(await seen('halo')).toMatchObject({ state: 'active' });
  });
});

describe('a removed subscription', () => {
  test('keeps its key and its history, and goes on from where it is told to when it is created again', async () => {
    const { subscription, signingSecret } = await aSubscription({ strategy: 'priority' });
    const { key } = subscription;
    const removed = await api.call('DELETE', `/v1/subscriptions/${key}`, { as: keys.admin });
    expect(removed).toMatchObject({ status: 200, body: { state: 'removed' } });
    expect(await api.call('DELETE', `/v1/subscriptions/${key}`, { as: keys.admin })).toMatchObject({
      status: 409,
    });
    expect(await act(key, 'pause')).toMatchObject({ status: 409 });
    const again = await post({ key, handler: webhook, from: 'start' });
    expect(again.status).toBe(201);
    expect(again.body.signingSecret).not.toBe(signingSecret);
    expect(again.body.subscription).toMatchObject({ state: 'active', strategy: 'broadcast' });
    expect(again.body.subscription.lanes).toMatchObject([
      { lane: 'all', cursor: encodeCursor({ tx: '0', seq: '0' }) },
    ]);
    expect(await changesOf(key)).toEqual(['created', 'removed', 'created']);
  });
});

describe('a rotated secret', () => {
  test('is shown once, and the old one signs until the overlap is over', async () => {
    const { key } = (await aSubscription()).subscription;
    const rotated = await act(key, 'secret', { overlapSeconds: 60 }, keys.admin);
    expect(rotated).toMatchObject({
      status: 200,
      body: { signingSecret: subscriptionSecret(api.deps.agentRoot, key, 2) },
    });
    const [row] = await database.root<{ left: number }[]>`
      select extract(epoch from previous_secret_until - now())::float8 as left from subscriptions where key = ${key}`;
    expect(row?.left).toBeGreaterThan(30);
    expect(row?.left).toBeLessThanOrEqual(60);
    const bare = await act(key, 'secret', undefined, keys.admin);
    expect(bare.body.signingSecret).toBe(subscriptionSecret(api.deps.agentRoot, key, 3));
  });
});

describe('private addresses', () => {
  test('are for admins to allow, whatever else another role may do', async () => {
    const handler = { kind: 'webhook', url: 'http://10.0.0.1/hook', allowPrivateNetwork: true };
    const { subscription } = await aSubscription({ handler });
    expect(subscription.handler).toMatchObject({ allowPrivateNetwork: true });
    const by = { actor: people.admin };
    const permissions = ['bus:read', 'bus:write'];
    await createRole(database.db, { name: 'wirer', description: '', permissions, ...by, opKey: newId('op') });
    const id = await aPerson(database, { role: 'wirer' });
    const { key } = await aKey(database, id);
    expect(await post({ key: newKey(), handler: webhook }, key)).toMatchObject({ status: 201 });
    const refused = await post({ key: newKey(), handler }, key);
    expect(refused).toMatchObject({
      status: 403,
      body: { detail: expect.stringContaining('Only an admin') },
    });
    const change = { as: key, body: { version: 1, handler } };
    expect(await api.call('PATCH', `/v1/subscriptions/${subscription.key}`, change)).toMatchObject({
      status: 403,
    });
  });
});

describe('pausing, resuming and rewinding', () => {
  test('a pause is done by the run, with who and why, and a resume undoes it', async () => {
    const { key } = (await aSubscription()).subscription;
    const paused = await act(key, 'pause', { reason: 'the shop moves' });
    expect(paused).toMatchObject({
      status: 200,
      body: {
        status: 'done',
        note: null,
        subscription: { state: 'paused', pause: { by: people.operator, reason: 'the shop moves' } },
      },
    });
    expect(await act(key, 'pause')).toMatchObject({ status: 409 });
    expect(await act(key, 'resume')).toMatchObject({
      status: 200,
      body: { subscription: { state: 'active', pause: null } },
    });
    expect(await act(key, 'resume')).toMatchObject({ status: 409 });
    expect(await changesOf(key)).toEqual(['created', 'paused', 'resumed']);
    const rows = await database.root`
      select actor, action from audit_entries where subject_id = ${key} order by chain_no`;
    expect(rows.map(({ actor, action }) => [actor, action])).toEqual([
      [people.admin, 'subscription.create'],
      [people.operator, 'request.pause'],
      [people.operator, 'subscription.pause'],
      [people.operator, 'request.resume'],
      [people.operator, 'subscription.resume'],
    ]);
  });

  test('a built-in one can be paused and resumed too', async () => {
    expect(await act('halo', 'pause')).toMatchObject({
      status: 200,
      body: { subscription: { state: 'paused' } },
    });
    expect(await act('halo', 'resume')).toMatchObject({
      status: 200,
      body: { subscription: { state: 'active' } },
    });
  });

  test('a run that does not answer leaves the request on its way', async () => {
    const { key } = (await aSubscription()).subscription;
    api.temporal.down = true;
    const { status, body } = await act(key, 'pause');
    api.temporal.down = false;
    expect(status).toBe(202);
    expect(body).toMatchObject({
      status: 'accepted-for-delivery',
      temporal: { workflowId: `subscription/${key}` },
    });
    expect((await seen(key)).state).toBe('active');
    const [row] =
      await database.root`select state, action from decision_requests where id = ${body.requestId}`;
    expect(row).toEqual({ state: 'open', action: 'pause' });
  });

  async function passed(key: string): Promise<void> {
    await database.root`
      update subscription_lanes set cursor_tx = pg_snapshot_xmax(pg_current_snapshot()), cursor_seq = 0, lease_epoch = 7
      where subscription = ${key}`;
  }

  test.each<[string, (place: { id: string; recordedAt: string; before: string }) => string]>([
    ['the id of an event', ({ id }) => id],
    ['the moment of an event', ({ recordedAt }) => recordedAt],
    ['the cursor in front of it', ({ before }) => before],
    ['the start', () => 'start'],
  ])('a rewind to %s hands it over again, and says so', async (_, to) => {
    const { key } = (await aSubscription({ strategy: 'priority' })).subscription;
    const id = await append('rewound.event');
    const [row] = await database.root<{ tx: string; seq: string; recordedAt: Date }[]>`
      select tx::text, seq::text, recorded_at as "recordedAt" from events where id = ${id}`;
    const { tx = '', seq = '', recordedAt = new Date() } = row ?? {};
    await passed(key);
    const before = encodeCursor({ tx, seq: String(BigInt(seq) - 1n) });
    const answer = await act(key, 'rewind', { to: to({ id, recordedAt: recordedAt.toISOString(), before }) });
    expect(answer.body).toMatchObject({ status: 'done', note: expect.stringContaining('handed over again') });
    for (const lane of await listLanes(database.db, key)) {
      const isBefore =
        BigInt(lane.cursorTx) < BigInt(tx) || (lane.cursorTx === tx && BigInt(lane.cursorSeq) < BigInt(seq));
      expect(isBefore).toBe(true);
      expect(lane.leaseEpoch).toBe(8);
    }
  });

  test('a rewind never goes forward, and a place that is none is refused', async () => {
    const { key } = (await aSubscription({ from: 'start' })).subscription;
    const id = await append('rewound.event');
    expect(await act(key, 'rewind', { to: id })).toMatchObject({ status: 409 });
    expect(await act(key, 'rewind', { to: 'evt_unknown' })).toMatchObject({ status: 404 });
    expect(await act(key, 'rewind', { to: 'last week' })).toMatchObject({ status: 400 });
    expect(await act(key, 'rewind', { to: 'eyJub25lIjoxfQ' })).toMatchObject({ status: 400 });
    expect(await act(key, 'rewind')).toMatchObject({ status: 400 });
    expect(await changesOf(key)).toEqual(['created']);
  });

  test('is for people who may operate the bus', async () => {
    expect(await act('halo', 'pause', undefined, keys.viewer)).toMatchObject({ status: 403 });
    expect(await act(newKey(), 'pause')).toMatchObject({ status: 404 });
  });
});

describe('trying a webhook out', () => {
  /** A consumer as part of the bus: takes the due delivery and ends it. */
  async function consume(
    key: string,
    set: { state: string; attempts: number; error: string | null },
  ): Promise<void> {
    const ended = set.state === 'pending' ? null : new Date();
    await eventually(async () => {
      const rows = await database.root`
        update deliveries set state = ${set.state}, attempts = ${set.attempts}, last_error = ${set.error}, ended_at = ${ended}
        where subscription = ${key} and state = 'pending' and attempts = 0 returning id`;
      return rows.length;
    }).toBe(1);
  }

  test.each([
    ['completed', 1, null],
    ['failed', 1, 'It answered 404.'],
    ['pending', 1, 'It answered 500.'],
  ])('sends an event the way every event goes, and answers that it is %s', async (state, attempts, error) => {
    const { key } = (await aSubscription({ match: { types: ['nothing.like.it'] } })).subscription;
    const [answer] = await Promise.all([
      act(key, 'test', undefined, keys.admin),
      consume(key, { state, attempts, error }),
    ]);
    expect(answer).toMatchObject({ status: 200, body: { state, attempts, error } });
    const event = await api.call('GET', `/v1/events/${answer.body.eventId}`, { as: keys.viewer });
    expect(event.body).toMatchObject({
      type: 'bus.subscription.changed',
      payload: { change: 'tested', subscription: key },
    });
    const [row] = await database.root`
      select event_id, event_recorded_at from deliveries where id = ${answer.body.deliveryId}`;
    expect(row).toEqual({ event_id: event.body.id, event_recorded_at: new Date(event.body.recordedAt) });
    const rows = await database.root`
      select actor from audit_entries where subject_id = ${key} and action = 'subscription.test'`;
    expect([...rows]).toEqual([{ actor: people.admin }]);
  });

  test('that is paused, removed, built in or no webhook is refused, and nothing is sent', async () => {
    const { key } = (await aSubscription()).subscription;
    await act(key, 'pause');
    expect(await act(key, 'test', undefined, keys.admin)).toMatchObject({ status: 409 });
    const signal = { kind: 'signal', workflowId: 'orders', signal: 'event' };
    const other = (await aSubscription({ handler: signal })).subscription;
    expect(await act(other.key, 'test', undefined, keys.admin)).toMatchObject({ status: 409 });
    expect(await act('halo', 'test', undefined, keys.admin)).toMatchObject({ status: 403 });
    expect(await act(key, 'test')).toMatchObject({ status: 403 });
    expect(await changesOf(key)).toEqual(['created', 'paused']);
  });
});
