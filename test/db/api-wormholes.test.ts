import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createWormholesHandler } from '../../activities/wormholes.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { getLoggedEvent } from '../../db/recorded-events.ts';
import { wormholeSecret } from '../../db/signing-secret.ts';
import { ensureWormholePresets } from '../../db/wormholes.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aDelivery } from '../support/wormholes.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let api: TestApi;
let people: People;
let keys: Record<'admin' | 'operator' | 'viewer' | 'agent', string>;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  const { admin, operator, viewer, agent } = people;
  keys = await keysOf(database, { admin, operator, viewer, agent });
});
beforeEach(async () => {
  api = createTestApi(database);
  await database.root`update wormholes set enabled = false`;
});

const call = (method: string, path: string, body?: object, as = keys.admin) =>
  api.call(method, `/v1/wormholes${path}`, { as, ...(body === undefined ? {} : { body }) });

const draft = (given: object = {}) => ({
  name: newId('w').replace('_', '-'),
  match: { types: ['shop.order.*'], minSeverity: 'warning' },
  action: { kind: 'log' },
  ...given,
});

async function made(given: object = {}): Promise<Untyped> {
  const { status, body } = await call('POST', '', draft(given));
  expect(status, JSON.stringify(body)).toBe(201);
  return body.wormhole;
}

const task = {
  type: 'repair.shop',
  title: 'Repair {{payload.shop}}',
  target: 'shop:{{payload.shop}}',
  targetRole: 'DeployKeeper',
};

/** Events in the log and below its horizon. */
async function recorded(type: string, payloads: object[]): Promise<string[]> {
  const stored = await appendEvents(
    database.log,
    payloads.map((payload) => ({
      ...{ type, source: { type: 'api' as const, id: 'shop' }, severity: 'error' as const, metadata: {} },
      payload: payload as Record<string, string>,
    })),
  );
  const ids = stored.map(({ id }) => id);
  await eventually(async () => {
    const [row] = await database.root`
      select count(*)::int as count from events where id in ${database.root(ids)} and tx < pg_snapshot_xmin(pg_current_snapshot())`;
    return row?.count as number;
  }).toBe(ids.length);
  return ids;
}

describe('a wormhole', () => {
  test('is stored switched off, listed, found by its name, changed into a next version, and removed', async () => {
    const wormhole = await made({ description: 'first' });
    expect(wormhole).toMatchObject({
      enabled: false,
      version: 1,
      owner: people.admin,
      maxHops: 16,
      backTest: null,
    });
    expect((await call('GET', `/${wormhole.name}`, undefined, keys.viewer)).body).toMatchObject({
      id: wormhole.id,
    });
    const listed = await call('GET', '?limit=200', undefined, keys.viewer);
    expect(listed.body.items.map(({ id }: Untyped) => id)).toContain(wormhole.id);
    const changed = await call('PATCH', `/${wormhole.id}`, { description: 'second', maxHops: 3 });
    expect(changed.body.wormhole).toMatchObject({
      version: 2,
      description: 'second',
      maxHops: 3,
      enabled: false,
    });
    expect((await call('DELETE', `/${wormhole.id}`)).status).toBe(200);
    expect((await call('GET', `/${wormhole.id}`)).status).toBe(404);
    // Its name is free again.
    expect((await call('POST', '', draft({ name: wormhole.name }))).status).toBe(201);
  });

  test.each<[string, object, RegExp]>([
    ['a name that is taken', { name: 'api-failure' }, /already a wormhole named/],
    ['a filter that cannot be read', { match: { filter: 'payload.total >' } }, /line 1, column/],
    [
      'a transform that takes what it emits',
      { action: { kind: 'transform', emit: { type: 'shop.order.again' } } },
      /meets its own match/,
    ],
    ['an action of another kind', { action: { kind: 'shell', command: 'rm' } }, /action/],
    ['a pattern with a star in the middle', { match: { types: ['shop.*.failed'] } }, /types/],
    [
      'a template that begins with nothing known',
      { action: { kind: 'notify', title: '{{secrets.key}}' } },
      /begins with nothing known/,
    ],
    [
      'an address without https',
      { action: { kind: 'forward', to: { url: 'http://example.com/x' } } },
      /https/,
    ],
    [
      'a subscription of this system',
      { action: { kind: 'forward', to: { subscription: 'halo' } } },
      /no subscription/,
    ],
    ['a name that is no part of a type', { name: 'Über' }, /name/],
    ['a member that does not exist', { enabled: true }, /enabled/],
  ])('is refused with %s, and nothing is stored', async (_what, given, why) => {
    await ensureWormholePresets(database.db);
    const before = await database.root`select count(*)::int as count from wormholes`;
    const { status, body } = await call('POST', '', draft(given));
    expect([400, 409]).toContain(status);
    expect(JSON.stringify(body)).toMatch(why);
    expect(await database.root`select count(*)::int as count from wormholes`).toEqual(before);
  });

  test('that forwards shows its secret once and its address never', async () => {
    const url = 'https://hooks.example.com/very/secret-path';
    const { body } = await call('POST', '', draft({ action: { kind: 'forward', to: { url } } }));
    expect(body.signingSecret).toBe(wormholeSecret(api.deps.agentRoot, body.wormhole.id, 1));
    expect(body.wormhole.action).toEqual({
      kind: 'forward',
      to: { kind: 'webhook', origin: 'https://hooks.example.com', allowPrivateNetwork: false },
    });
    const seen = await Promise.all([
      call('GET', `/${body.wormhole.id}`),
      api.call('GET', '/v1/audit?limit=200', { as: keys.admin }),
      api.call('GET', '/v1/events?limit=200', { as: keys.admin }),
    ]);
    for (const each of seen) expect(JSON.stringify(each.body)).not.toMatch(/secret-path|whsec_|box1/);
    const again = await call('PATCH', `/${body.wormhole.id}`, { description: 'x' });
    expect(again.body.signingSecret).toBeNull();
  });
});

describe('enabling', () => {
  test('needs a back-test of this version, or a reason why not', async () => {
    const wormhole = await made();
    const refused = await call('POST', `/${wormhole.id}/enable`);
    expect(refused).toMatchObject({ status: 409 });
    expect(refused.body.detail).toContain('back-test');
    expect((await call('POST', `/${wormhole.id}/enable`, { withoutBackTest: true })).status).toBe(400);
    const reasoned = await call('POST', `/${wormhole.id}/enable`, {
      withoutBackTest: true,
      reason: 'new events',
    });
    expect(reasoned.body).toMatchObject({ enabled: true, enabledBy: people.admin });
    expect((await call('POST', `/${wormhole.id}/enable`)).body).toMatchObject({ enabled: true });

    expect((await call('POST', `/${wormhole.id}/disable`)).body).toMatchObject({ enabled: false });
    const tested = await call('POST', '/back-test', { id: wormhole.id, last: 10 }, keys.operator);
    expect(tested.body).toMatchObject({ countsForEnabling: true });
    expect((await call('POST', `/${wormhole.id}/enable`)).body).toMatchObject({ enabled: true });

    const changed = await call('PATCH', `/${wormhole.id}`, { description: 'other' });
    expect(changed.body.wormhole).toMatchObject({ enabled: false, version: 2 });
    expect((await call('POST', `/${wormhole.id}/enable`)).status).toBe(409);
  });

  test('a back-test that is an hour old counts no more', async () => {
    const wormhole = await made();
    await call('POST', '/back-test', { id: wormhole.id, last: 1 });
    await database.root`update wormholes set back_tested_at = now() - interval '61 minutes' where id = ${wormhole.id}`;
    expect((await call('POST', `/${wormhole.id}/enable`)).status).toBe(409);
  });

  test('a preset belongs to whoever enables it first', async () => {
    await ensureWormholePresets(database.db);
    const enabled = await call('POST', '/heartbeat-lost/enable', { withoutBackTest: true, reason: 'try' });
    expect(enabled.body).toMatchObject({ enabled: true, owner: people.admin });
  });
});

describe('a dry run', () => {
  const event = {
    type: 'shop.order.failed',
    source: { type: 'api', id: 'shop' },
    severity: 'error',
    payload: { shop: 'berlin' },
  };

  test('says what would be done with a sample, by a draft that is stored nowhere', async () => {
    const { status, body } = await call(
      'POST',
      '/dry-run',
      { draft: draft({ action: { kind: 'create-task', task } }), event },
      keys.viewer,
    );
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body).toMatchObject({
      ...{ matched: true, outcome: 'acts', why: null },
      would: 'propose repair.shop for shop:berlin: Repair berlin',
      effect: { kind: 'task', task: { title: 'Repair berlin', risk: 'medium', severity: 'high' } },
    });
    const [{ count } = {}] = await database.root`select count(*)::int from tasks where origin = 'wormhole'`;
    expect(count).toBe(0);
  });

  test('says why an event is not taken', async () => {
    const { body } = await call('POST', '/dry-run', {
      draft: draft({ match: { filter: 'payload.total > 1' } }),
      event,
    });
    expect(body).toMatchObject({ matched: false, outcome: 'unmatched', would: null });
    expect(body.why).toContain("no field 'total'");
  });

  test('takes a recorded event, and says that nobody would be told', async () => {
    const [eventId] = await recorded('shop.order.failed', [{ shop: 'kiel' }]);
    const wormhole = await made({ action: { kind: 'notify', title: 'Look at {{payload.shop}}' } });
    const { body } = await call('POST', '/dry-run', { id: wormhole.id, eventId });
    expect(body).toMatchObject({ would: 'tell the channels: Look at kiel' });
    expect(body.notes[0]).toContain('nobody would be told');
  });
});

describe('a back-test', () => {
  test('says what a draft would have made of the recorded log, folded as it would be', async () => {
    const type = `shop.order.${newId('t').replace('_', '-')}`;
    await recorded(type, [
      ...Array.from({ length: 1200 }, () => ({ shop: 'paris', total: 7 })),
      ...Array.from({ length: 3 }, () => ({ shop: 'rome', total: 100.5 })),
      { total: 5 },
    ]);
    const match = { types: [type], filter: 'payload.total > 6 || !has(payload.shop)' };
    const { status, body } = await call('POST', '/back-test', {
      draft: draft({ match, action: { kind: 'create-task', task: { ...task, target: '{{payload.shop}}' } } }),
      last: 10_000,
    });
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body).toMatchObject({
      outcomes: { acts: 2, folded: 1201, failed: 1 },
      would: { tasks: 2, foldedIntoTasks: 1201, notifications: 0, haloTriggers: 0 },
      tasks: [
        { title: 'Repair paris', events: 1200, openTaskId: null },
        { title: 'Repair rome', events: 3, openTaskId: null },
      ],
      ...{ compared: null, countsForEnabling: false },
    });
    expect(body.samples).toHaveLength(20);
  });

  test('of a count says how many events it would have emitted', async () => {
    const type = `shop.order.${newId('t').replace('_', '-')}`;
    await recorded(
      type,
      Array.from({ length: 10 }, () => ({})),
    );
    const action = { kind: 'aggregate', count: 4, windowSeconds: 600, emit: { type: 'many.orders' } };
    const { body } = await call('POST', '/back-test', {
      draft: draft({ match: { types: [type] }, action }),
      last: 10_000,
    });
    expect(body).toMatchObject({ outcomes: { acts: 1, folded: 9 }, would: { events: 1 } });
  });

  test('of a changed wormhole is held against what the enabled one really did', async () => {
    const type = `shop.order.${newId('t').replace('_', '-')}`;
    const wormhole = await made({ match: { types: [type], filter: 'payload.n > 2' } });
    await call('POST', `/${wormhole.id}/enable`, { withoutBackTest: true, reason: 'test' });
    const ids = await recorded(
      type,
      [1, 2, 3, 4, 5].map((n) => ({ n })),
    );
    const handler = createWormholesHandler({
      ...{
        database,
        agentRoot: api.deps.agentRoot,
        secretBox: api.deps.secretBox,
        log: { warn: () => undefined },
      },
      runs: { triggerHalo: () => Promise.resolve(), startTask: () => Promise.resolve() },
    });
    const events = await Promise.all(ids.map((id) => getLoggedEvent(database.log, id)));
    await handler.deliver(
      events.map((event) => aDelivery(event!)),
      { subscription: 'wormholes', config: {}, signal: new AbortController().signal },
    );
    const results = await call('GET', `/${wormhole.name}/results`, undefined, keys.viewer);
    expect(results.body.items.map(({ eventId }: Untyped) => eventId).sort()).toEqual(ids.slice(2).sort());

    const changed = draft({ name: wormhole.name, match: { types: [type], filter: 'payload.n < 4' } });
    const { body } = await call('POST', '/back-test', { draft: changed, last: 10_000 });
    expect(body.compared.changes).toEqual({ added: 2, gone: 2, 'ended-otherwise': 0 });
    expect(body.compared.samples).toMatchObject([
      { eventId: ids[0], change: 'added', then: null },
      { eventId: ids[1], change: 'added' },
      { eventId: ids[3], change: 'gone', then: 'acted', outcome: 'unmatched' },
      { eventId: ids[4], change: 'gone' },
    ]);
    const same = await call('POST', '/back-test', { id: wormhole.id, last: 10_000 });
    expect(same.body.compared.changes).toEqual({ added: 0, gone: 0, 'ended-otherwise': 0 });
  });

  test('takes the newest events of a time only, and says so', async () => {
    const type = `shop.order.${newId('t').replace('_', '-')}`;
    await recorded(
      type,
      Array.from({ length: 5 }, () => ({})),
    );
    const from = new Date(Date.now() - 3_600_000).toISOString();
    const { body } = await call('POST', '/back-test', {
      draft: draft({ match: { types: [type] } }),
      from,
      last: 3,
    });
    expect(body).toMatchObject({ events: 3, window: { complete: false } });
  });
});

test('results are listed page by page, and by outcome', async () => {
  const wormhole = await made();
  for (const n of [1, 2, 3])
    await database.root`
      insert into wormhole_results (wormhole, event_id, version, outcome, detail, at)
      values (${wormhole.id}, ${`evt_${n}`}, 1, ${n === 2 ? 'failed' : 'acted'}, '{}', now() - make_interval(secs => ${n}))`;
  const first = await call('GET', `/${wormhole.id}/results?limit=2`);
  expect(first.body.items.map(({ eventId }: Untyped) => eventId)).toEqual(['evt_1', 'evt_2']);
  const rest = await call('GET', `/${wormhole.id}/results?limit=2&cursor=${first.body.nextCursor}`);
  expect(rest.body).toMatchObject({ items: [{ eventId: 'evt_3' }], nextCursor: null });
  const failed = await call('GET', `/${wormhole.id}/results?outcome=failed`);
  expect(failed.body.items).toMatchObject([{ eventId: 'evt_2' }]);
});
