import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readSettings } from '../../api/settings.ts';
import { firstTiers } from '../../domain/tier.ts';
import { aKey, createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
/** Two API processes over one database. */
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

async function putOnTier(who: keyof People, tier: string): Promise<void> {
  await database.root`update principals set tier = ${tier} where id = ${people[who]}`;
  await database.root`delete from limit_counters`;
}

async function pointsOf(key: string): Promise<number> {
  const [row] = await database.root<
    { points: number }[]
  >`select points from limit_counters where key = ${key}`;
  return row?.points ?? 0;
}

const me = (given: TestApi, as: string) => given.call('GET', '/v1/me', { as });
const event = { type: 'shop.order.failed', source: { type: 'api', id: 'shop' } };

describe('TRUST 4.35: the limit of a tier', () => {
  test('of the migration are the ones of the code', async () => {
    const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name);
    const { tiers } = await readSettings(database.db);
    expect([...tiers].sort(byName)).toEqual([...firstTiers].sort(byName));
  });

  test('holds over two processes, is told in each answer, and ends with the minute', async () => {
    await putOnTier('viewer', 'seed');
    for (let at = 1; at <= 10; at += 1) {
      const { status, headers } = await me(at % 2 === 0 ? api : other, keys.viewer);
      expect(status).toBe(200);
      expect(headers.get('ratelimit-limit')).toBe('10');
      expect(headers.get('ratelimit-policy')).toBe('10;w=60');
      expect(headers.get('ratelimit-remaining')).toBe(String(10 - at));
      expect(Number(headers.get('ratelimit-reset'))).toBeLessThanOrEqual(60);
    }
    for (const each of [api, other]) {
      const { status, headers, body } = await me(each, keys.viewer);
      expect(status).toBe(429);
      expect(body).toMatchObject({ code: 'LIMIT', details: { tier: 'seed', limitPerMinute: 10 } });
      expect(headers.get('retry-after')).toMatch(/^[1-9]\d?$/);
      expect(headers.get('ratelimit-remaining')).toBe('0');
    }
    await database.root`update limit_counters set expire = now() - interval '1 second'`;
    expect((await me(api, keys.viewer)).status).toBe(200);
  });

  test('is one for all keys of a principal, and another for another principal', async () => {
    await putOnTier('viewer', 'seed');
    const second = await aKey(database, people.viewer);
    for (let at = 0; at < 10; at += 1) await me(api, at % 2 === 0 ? keys.viewer : second.key);
    expect((await me(api, second.key)).status).toBe(429);
    expect((await me(api, keys.operator)).status).toBe(200);
  });

  test('counts each request once, also where counting began before the key was checked', async () => {
    await putOnTier('viewer', 'operator');
    for (let at = 0; at < 25; at += 1) await me(api, keys.viewer);
    await Promise.all(Array.from({ length: 25 }, () => me(api, keys.viewer)));
    expect(await pointsOf(`tier:${people.viewer}`)).toBe(50);
  });

  test('cannot be used up by somebody who knows the id of a key', async () => {
    await putOnTier('viewer', 'operator');
    await me(api, keys.viewer);
    const { key: foreign } = await aKey(database, people.operator);
    for (let at = 0; at < 5; at += 1) await me(api, foreign);
    for (let at = 0; at < 5; at += 1)
      expect((await me(api, `${keys.viewer.slice(0, -1)}x`)).status).toBe(401);
    expect(await pointsOf(`tier:${people.viewer}`)).toBe(1);
  });

  test('of an unknown tier is that of the lowest', async () => {
    await putOnTier('viewer', 'platinum');
    expect((await me(api, keys.viewer)).headers.get('ratelimit-limit')).toBe('10');
  });

  test('is not there for a tier without one, and nothing is counted', async () => {
    await putOnTier('viewer', 'unmetered');
    const { status, headers } = await me(api, keys.viewer);
    expect(status).toBe(200);
    expect(headers.get('ratelimit-limit')).toBeNull();
    expect(await pointsOf(`tier:${people.viewer}`)).toBe(0);
  });

  test('leaves the switchboard open to whoever has spent everything elsewhere', async () => {
    await putOnTier('admin', 'seed');
    for (let at = 0; at < 11; at += 1) await me(api, keys.admin);
    expect((await me(api, keys.admin)).status).toBe(429);
    expect((await api.call('GET', '/v1/control', { as: keys.admin })).status).toBe(200);
    await putOnTier('admin', 'unmetered');
  });

  test('changed by an admin acts on every process within a second', async () => {
    await putOnTier('viewer', 'builder');
    await me(other, keys.viewer);
    const limits = { perMinute: 7, eventsPerMinute: null, bytesPerMinute: null, features: [] };
    const put = await api.call('PUT', '/v1/tiers/builder', { as: keys.admin, body: limits });
    expect(put).toMatchObject({ status: 200, body: { name: 'builder', perMinute: 7 } });
    const changedAt = performance.now();
    await expect
      .poll(async () => (await me(other, keys.viewer)).headers.get('ratelimit-limit'), { interval: 150 })
      .toBe('7');
    expect(performance.now() - changedAt).toBeLessThan(1500);
    expect((await me(api, keys.viewer)).headers.get('ratelimit-limit')).toBe('7');
    const [audit] = await database.root<{ actor: string }[]>`
      select actor from audit_entries where action = 'tier.put' and subject_id = 'builder'`;
    expect(audit?.actor).toBe(people.admin);
  });
});

describe('TRUST 4.35: what events cost', () => {
  const post = (count: number, as = keys.operator) =>
    api.call('POST', '/v1/events', { as, body: Array.from({ length: count }, () => event) });

  test('is limited by their number in a minute; a refused batch costs nothing', async () => {
    await putOnTier('operator', 'seed');
    expect((await post(60)).status).toBe(202);
    const refused = await post(60);
    expect(refused).toMatchObject({ status: 429, body: { code: 'LIMIT', details: { unit: 'events' } } });
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect((await post(40)).status).toBe(202);
    expect((await post(1)).status).toBe(429);
  });

  test('is limited by their bytes in a minute', async () => {
    await putOnTier('operator', 'seed');
    const large = { ...event, payload: { text: 'x'.repeat(150_000) } };
    const send = () => api.call('POST', '/v1/events', { as: keys.operator, body: large });
    expect((await send()).status).toBe(202);
    expect(await send()).toMatchObject({ status: 429, body: { details: { unit: 'bytes' } } });
    await putOnTier('operator', 'unmetered');
    expect((await send()).status).toBe(202);
  });
});

describe('TRUST 4.35: while the limiter does not answer', () => {
  test('writes are refused and reads go on, limited by this process alone', async () => {
    await putOnTier('operator', 'seed');
    const first = await me(api, keys.operator);
    expect(first.status).toBe(200);
    await database.root`alter table limit_counters rename to limit_counters_away`;
    try {
      const body = { ...event, correlationId: 'during-outage' };
      const write = await api.call('POST', '/v1/events', { as: keys.operator, body });
      expect(write).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
      expect(write.headers.get('retry-after')).not.toBeNull();
      const [stored] = await database.root<{ n: number }[]>`
        select count(*)::int as n from events where correlation_id = 'during-outage'`;
      expect(stored?.n).toBe(0);
      const statuses: number[] = [];
      for (let at = 0; at < 12; at += 1) statuses.push((await me(api, keys.operator)).status);
      expect(statuses).toEqual([...Array<number>(10).fill(200), 429, 429]);
    } finally {
      await database.root`alter table limit_counters_away rename to limit_counters`;
      await putOnTier('operator', 'unmetered');
    }
  });
});

describe('the switchboard (N-079)', () => {
  const set = (cluster: string, body: object, as = keys.admin) =>
    api.call('PATCH', `/v1/control/${cluster}`, { as, body: { reason: 'a test', ...body } });
  const tasks = (given: TestApi, as: string) => given.call('GET', '/v1/tasks', { as });

  test('lists every part of the API', async () => {
    const { body } = await api.call('GET', '/v1/control', { as: keys.viewer });
    const names = body.items.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(['tasks', 'events', 'approvals', 'control', 'security']));
    expect(body.items.find(({ name }: { name: string }) => name === 'control')).toMatchObject({
      alwaysOn: true,
    });
  });

  test('a part that is switched off is so for everyone, on every process, within a second', async () => {
    expect((await tasks(other, keys.operator)).status).toBe(200);
    expect((await set('tasks', { enabled: false, reason: 'an audit' })).status).toBe(200);
    const changedAt = performance.now();
    await expect.poll(async () => (await tasks(other, keys.operator)).status, { interval: 50 }).toBe(503);
    expect(performance.now() - changedAt).toBeLessThan(1500);
    for (const as of [keys.admin, keys.operator, keys.viewer, keys.agent]) {
      const { status, body } = await tasks(api, as);
      expect(status).toBe(503);
      expect(body.detail).toContain('an audit');
      expect(body.detail).toContain(people.admin);
    }
    expect((await me(api, keys.viewer)).status).toBe(200);
    expect((await api.call('GET', '/v1/events', { as: keys.viewer })).status).toBe(200);
    expect((await set('tasks', { enabled: true })).status).toBe(200);
    expect((await tasks(api, keys.viewer)).status).toBe(200);
  });

  test('what would lock everyone out cannot be switched off, limited or kept for a feature', async () => {
    for (const cluster of ['control', 'health'])
      for (const change of [{ enabled: false }, { perMinute: 1 }, { requiredFeature: 'x' }])
        expect(await set(cluster, change)).toMatchObject({ status: 403 });
    expect(await set('nothing-of-this', { enabled: false })).toMatchObject({ status: 404 });
    // Not even by a row that somebody wrote into the database.
    await database.root`insert into clusters (name, enabled, reason) values ('control', false, 'by hand')`;
    expect((await createTestApi(database).call('GET', '/v1/control', { as: keys.admin })).status).toBe(200);
  });

  test('a part kept for a feature is open to tiers that have it', async () => {
    const tier = { perMinute: null, eventsPerMinute: null, bytesPerMinute: null, features: ['beta'] };
    await api.call('PUT', '/v1/tiers/pioneer', { as: keys.admin, body: tier });
    await set('halo', { requiredFeature: 'beta' });
    const halo = (as: string) => api.call('GET', '/v1/halo/cycles', { as });
    expect(await halo(keys.viewer)).toMatchObject({
      status: 403,
      body: { details: { cluster: 'halo', because: 'missing-feature' } },
    });
    await putOnTier('viewer', 'pioneer');
    expect((await halo(keys.viewer)).status).toBe(200);
    expect((await halo(keys.admin)).status).toBe(403);
    await set('halo', { requiredFeature: null });
    expect((await halo(keys.admin)).status).toBe(200);
  });

  test('the stricter of the limits of part and tier counts, also for a tier without one', async () => {
    await set('agents', { perMinute: 3 });
    const agents = (as: string) => api.call('GET', '/v1/agents', { as });
    await putOnTier('viewer', 'unmetered');
    await putOnTier('operator', 'operator');
    for (const as of [keys.viewer, keys.operator]) {
      expect((await agents(as)).headers.get('ratelimit-limit')).toBe('3');
      await agents(as);
      expect((await agents(as)).headers.get('ratelimit-remaining')).toBe('0');
      expect(await agents(as)).toMatchObject({ status: 429, body: { details: { cluster: 'agents' } } });
    }
    expect((await tasks(api, keys.operator)).headers.get('ratelimit-limit')).toBe('200');
    await set('agents', { perMinute: null });
    await putOnTier('operator', 'unmetered');
  });

  test('each denial is an event, a flood of them a handful', async () => {
    await set('probes', { enabled: false });
    for (let at = 0; at < 12; at += 1) await api.call('GET', '/v1/probes', { as: keys.viewer });
    await set('probes', { enabled: true });
    const rows = await database.root<{ count: number }[]>`
      select (payload->>'count')::int as count from events
      where type = 'security.access.denied' and payload->>'principalId' = ${people.viewer}
        and payload->>'because' = 'switched-off' and payload->>'path' = '/v1/probes' order by seq`;
    expect(rows.map(({ count }) => count).at(-1)).toBe(10);
    expect(rows.length).toBeLessThanOrEqual(2);
  });
});
