import type * as crypto from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { touchKey } from '../../db/keys.ts';
import { newId } from '../../db/ids.ts';
import { createPrincipal, systemPrincipals } from '../../db/principals.ts';
import { formatKey, parseKey } from '../../domain/key.ts';
import { aKey, createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { keys as keyTable } from '../../db/schema/index.ts';
import { countQueries } from '../support/count-queries.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

/** What the check of a key costs beside its query. */
const work = vi.hoisted(() => ({ hmac: 0, compare: 0 }));
vi.mock('node:crypto', async (original) => {
  const real = await original<typeof crypto>();
  return {
    ...real,
    createHmac: (...given: Parameters<typeof real.createHmac>) => {
      work.hmac += 1;
      return real.createHmac(...given);
    },
    timingSafeEqual: (...given: Parameters<typeof real.timingSafeEqual>) => {
      work.compare += 1;
      return real.timingSafeEqual(...given);
    },
  };
});

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
});

const post = (path: string, body: object, as = keys.admin) => api.call('POST', path, { as, body });
const me = (as: string) => api.call('GET', '/v1/me', { as });
const issue = (given: object, as = keys.admin) => post('/v1/keys', { label: 'test', ...given }, as);
const daysUntil = (instant: string): number => Math.round((Date.parse(instant) - Date.now()) / 86_400_000);
const aService = async (): Promise<string> => {
  const id = newId('prn');
  await createPrincipal(database.db, {
    ...{ id, kind: 'service', name: id, role: 'operator', owner: people.operator, actor: 'test', opKey: id },
  });
  return id;
};

describe('TRUST 4.2: a key', () => {
  test('is product, environment, id, at least 160 random bits and a checksum', async () => {
    const { body } = await issue({ principalId: people.viewer });
    const [product, environment, id, secret = '', checksum] = (body.key as string).split('_');
    expect({ product, environment, id }).toEqual({ product: 'dn', environment: 'live', id: body.id });
    expect(secret.length * Math.log2(62)).toBeGreaterThan(160);
    expect(checksum).toMatch(/^[0-9a-f]{8}$/);
  });

  test('with a wrong checksum is refused without looking for it and without a hash', async () => {
    const counted = countQueries(database, keyTable);
    const where = createTestApi(counted.database);
    const wrong = `${keys.viewer.slice(0, -1)}${keys.viewer.endsWith('0') ? '1' : '0'}`;
    const before = { ...work };
    expect((await where.call('GET', '/v1/me', { as: wrong })).status).toBe(401);
    expect({ queries: counted.count(), work }).toEqual({ queries: 0, work: before });
  });
});

describe('TRUST 4.3: an unknown id', () => {
  // Counted, not timed: on a shared machine the noise of a clock is larger than what it would have to show.
  test('takes the path of a known one with a wrong secret: one query, one HMAC, one compare, one answer', async () => {
    await database.root`update keys set last_used_at = now()`;
    const known = parseKey(keys.viewer);
    if (known === null) throw new Error('it is a key');
    const forged = {
      known: formatKey('live', known.id, 'A'.repeat(43)),
      unknown: formatKey('live', 'zzzzzzzzzzzz', 'A'.repeat(43)),
    };
    const cost = async (as: string) => {
      const counted = countQueries(database, keyTable);
      const where = createTestApi(counted.database);
      const before = { ...work };
      const { status, body } = await where.call('GET', '/v1/me', { as });
      return {
        answer: { status, ...body, requestId: '', traceId: '' },
        queries: counted.count(),
        hmac: work.hmac - before.hmac,
        compare: work.compare - before.compare,
      };
    };
    for (let times = 0; times < 20; times += 1) {
      const one = await cost(forged.known);
      expect(one).toMatchObject({ queries: 1, hmac: 1, compare: 1, answer: { status: 401 } });
      expect(await cost(forged.unknown)).toEqual(one);
    }
  });
});

describe('a rotation without a body', () => {
  test('overlaps for an hour, also for the key of a service', async () => {
    for (const principal of [people.viewer, await aService()]) {
      const { id } = await aKey(database, principal);
      const rotated = await api.call('POST', `/v1/keys/${id}/rotate`, { as: keys.admin });
      expect(rotated.status).toBe(201);
      const left = Date.parse(rotated.body.oldExpiresAt) - Date.now();
      expect(left).toBeGreaterThan(3_500_000);
      expect(left).toBeLessThanOrEqual(3_600_000);
    }
  });
});

describe('TRUST 4.5: the secret of a key', () => {
  test('is shown once, and no GET returns it or what is stored of it', async () => {
    const { body } = await issue({ principalId: people.viewer });
    const rotated = await post(`/v1/keys/${body.id}/rotate`, {});
    const stored = await database.root<{ hash: string }[]>`select hash from keys`;
    const secrets = [body.key, rotated.body.key].map((key: string) => parseKey(key)?.secret ?? 'none');
    const paths = [
      '/v1/me',
      `/v1/keys?principalId=${people.viewer}`,
      '/v1/audit?limit=200',
      '/v1/events?limit=200',
    ];
    for (const path of [...paths, `/v1/principals/${people.viewer}`, '/v1/principals']) {
      const { status, body: shown } = await api.call('GET', path, { as: keys.admin });
      expect(status, path).toBe(200);
      for (const text of [...secrets, ...stored.map(({ hash }) => hash)])
        expect(JSON.stringify(shown), path).not.toContain(text);
    }
  });

  test('is replaced by a rotation that keeps two valid keys for the stated time', async () => {
    const { id, key } = await aKey(database, people.operator, { scopes: ['tasks:read'] });
    const rotated = await post(`/v1/keys/${id}/rotate`, { overlapSeconds: 600 }, keys.operator);
    expect(rotated).toMatchObject({ status: 201, body: { principalId: people.operator, rotatedFrom: id } });
    const overlap = (Date.parse(rotated.body.oldExpiresAt) - Date.now()) / 1000;
    expect(overlap).toBeGreaterThan(570);
    expect(overlap).toBeLessThanOrEqual(601);
    for (const each of [key, rotated.body.key])
      expect((await me(each)).body).toMatchObject({ id: people.operator, permissions: ['tasks:read'] });
    await database.root`update keys set expires_at = now() where id = ${id}`;
    expect((await me(key)).status).toBe(401);
    expect((await me(rotated.body.key)).status).toBe(200);
    const trace = await database.root<{ action: string; actor: string }[]>`
      select action, actor from audit_entries where subject_id = ${rotated.body.id}`;
    expect(trace).toEqual([{ action: 'key.rotate', actor: people.operator }]);
  });
});

describe('rotation', () => {
  test('without an overlap ends the old key at once', async () => {
    const { id, key } = await aKey(database, people.viewer);
    const rotated = await post(`/v1/keys/${id}/rotate`, { overlapSeconds: 0 }, key);
    expect(rotated.status).toBe(201);
    expect((await me(key)).status).toBe(401);
    expect((await me(rotated.body.key)).status).toBe(200);
  });

  test('never prolongs the old key, and gives the new one the life of the old', async () => {
    const { id } = await aKey(database, people.viewer, { expiresAt: new Date(Date.now() + 60_000) });
    await database.root`update keys set created_at = now() - interval '9 days' where id = ${id}`;
    const { body } = await post(`/v1/keys/${id}/rotate`, { overlapSeconds: 3600 });
    expect(Date.parse(body.oldExpiresAt)).toBeLessThanOrEqual(Date.now() + 60_000);
    expect(daysUntil(body.expiresAt)).toBe(9);
  });

  test('gives a key without an end the default of its kind', async () => {
    const ofPerson = await aKey(database, people.viewer);
    expect(daysUntil((await post(`/v1/keys/${ofPerson.id}/rotate`, {})).body.expiresAt)).toBe(365);
    const ofService = await aKey(database, await aService());
    expect((await post(`/v1/keys/${ofService.id}/rotate`, {})).body.expiresAt).toBeNull();
  });

  test('of one key by many at once makes one new key; when that one is revoked it can be done again', async () => {
    const { id, key } = await aKey(database, people.viewer);
    const all = await Promise.all(Array.from({ length: 8 }, () => post(`/v1/keys/${id}/rotate`, {}, key)));
    expect(all.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(all.filter(({ status }) => status === 409)).toHaveLength(7);
    const made = all.find(({ status }) => status === 201);
    await post(`/v1/keys/${made?.body.id}/revoke`, {}, key);
    expect((await post(`/v1/keys/${id}/rotate`, {}, key)).status).toBe(201);
  });

  test('of a revoked or expired key is refused', async () => {
    const gone = await aKey(database, people.viewer);
    await post(`/v1/keys/${gone.id}/revoke`, {});
    const over = await aKey(database, people.viewer, { expiresAt: new Date(0) });
    for (const { id } of [gone, over])
      expect(await post(`/v1/keys/${id}/rotate`, {}, keys.viewer)).toMatchObject({ status: 409 });
  });

  test.each([
    [{ overlapSeconds: -1 }],
    [{ overlapSeconds: 7 * 86_400 + 1 }],
    [{ overlapSeconds: 0.5 }],
    [{ scopes: ['tasks:read'] }],
  ])('with %j is refused', async (body) => {
    const { id } = await aKey(database, people.viewer);
    expect((await post(`/v1/keys/${id}/rotate`, body)).status).toBe(400);
  });
});

describe('TRUST 4.6: a key', () => {
  test('can do what its scopes and its principal both permit, also when the principal loses rights', async () => {
    const id = newId('prn');
    await createPrincipal(database.db, {
      ...{ id, kind: 'human', name: id, role: 'operator', actor: 'test', opKey: id },
    });
    const { key } = await aKey(database, id, { scopes: ['tasks:read', 'tasks:write@shop*', 'access:write'] });
    expect((await me(key)).body.permissions).toEqual(['tasks:read', 'tasks:write@shop*']);
    const propose = (target: string) =>
      post('/v1/tasks', { type: 'a.b', title: 't', target, targetRole: 'Custom' }, key);
    expect((await propose('shop:1')).status).toBe(201);
    expect((await propose('bank')).status).toBe(403);
    expect((await api.call('GET', '/v1/probes', { as: key })).status).toBe(403);
    await database.root`update principals set role = 'viewer' where id = ${id}`;
    expect((await me(key)).body.permissions).toEqual(['tasks:read']);
  });

  test('cannot create a key with more than its own scopes', async () => {
    const { key } = await aKey(database, people.admin, {
      scopes: ['access:write', 'access:read', 'tasks:read', 'tasks:write@shop*'],
    });
    const forAdmin = (scopes: string[] | undefined) => issue({ principalId: people.admin, scopes }, key);
    expect((await forAdmin(['tasks:read'])).status).toBe(201);
    expect((await forAdmin(['tasks:write@shop:1', 'access:write'])).status).toBe(201);
    for (const scopes of [
      undefined,
      ['tasks:write'],
      ['tasks:write@s*'],
      ['halo:run'],
      ['tasks:read', 'audit:read'],
    ])
      expect(await forAdmin(scopes)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
  });

  test('cannot create, rotate or take over a key that can do more than it', async () => {
    const scopes = ['access:write', 'access:read', 'tasks:read'];
    const { key } = await aKey(database, people.admin, { scopes });
    for (const principalId of [people.operator, people.viewer, people.breakGlass, people.agent])
      expect((await issue({ principalId }, key)).status).toBe(403);
    expect((await issue({ principalId: people.operator, scopes: ['tasks:read'] }, key)).status).toBe(201);
    for (const owner of [people.admin, people.operator]) {
      const { id } = await aKey(database, owner);
      expect((await post(`/v1/keys/${id}/rotate`, {}, key)).status).toBe(403);
    }
  });

  test('without access:write cannot create any', async () => {
    for (const role of ['operator', 'viewer', 'agent', 'breakGlass'] as const)
      expect((await issue({ principalId: people[role] }, keys[role])).status).toBe(403);
  });

  test.each([[['tasks:fly']], [['*']], [[]], [['halo:run@shop']], [['agents:beat']]])(
    'with the scopes %j is refused for a person',
    async (scopes) => {
      expect((await issue({ principalId: people.viewer, scopes })).status).toBe(400);
    },
  );
});

describe('keys', () => {
  test('of people last 365 days unless said otherwise, those of services and agents until they are revoked', async () => {
    expect(daysUntil((await issue({ principalId: people.viewer })).body.expiresAt)).toBe(365);
    expect(daysUntil((await issue({ principalId: people.viewer, expiresInDays: 30 })).body.expiresAt)).toBe(
      30,
    );
    expect((await issue({ principalId: await aService() })).body.expiresAt).toBeNull();
    expect((await issue({ principalId: people.agent })).body.expiresAt).toBeNull();
    expect((await issue({ principalId: systemPrincipals.halo })).status).toBe(403);
  });

  test('tell who issued them, what for and from which they come', async () => {
    const { body } = await issue({ principalId: people.viewer, scopes: ['tasks:read'], label: 'laptop' });
    const next = await post(`/v1/keys/${body.id}/rotate`, {});
    const listed = await api.call('GET', `/v1/keys?principalId=${people.viewer}`, { as: keys.admin });
    const found = (id: string): Untyped => listed.body.items.find((item: Untyped) => item.id === id);
    const same = { label: 'laptop', scopes: ['tasks:read'], issuedBy: people.admin, revokedAt: null };
    expect(found(body.id)).toMatchObject({ ...same, rotatedFrom: null, lastUsedAt: null });
    expect(found(next.body.id)).toMatchObject({ ...same, rotatedFrom: body.id });
  });

  test('of oneself are listed, rotated and revoked by anybody; those of others are unknown', async () => {
    const own = await aKey(database, people.agent);
    const listed = await api.call('GET', '/v1/keys', { as: keys.agent });
    expect(listed.body.items.map((item: Untyped) => item.id)).toContain(own.id);
    expect((await post(`/v1/keys/${own.id}/revoke`, {}, keys.agent)).status).toBe(200);
    expect((await me(own.key)).status).toBe(401);
    const other = await aKey(database, people.operator);
    expect((await post(`/v1/keys/${other.id}/revoke`, {}, keys.agent)).status).toBe(404);
    expect((await me(other.key)).status).toBe(200);
  });

  test('show in /v1/me which one was used and when it ends', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000);
    const { id, key } = await aKey(database, people.viewer, { expiresAt, scopes: ['tasks:read'] });
    expect((await me(key)).body).toMatchObject({
      person: people.viewer,
      tier: 'unmetered',
      key: { id, scopes: ['tasks:read'], expiresAt: expiresAt.toISOString() },
    });
  });

  test('keep the time of their last use to the minute, by one write for many requests', async () => {
    const { id, key } = await aKey(database, people.viewer);
    const lastUse = async (): Promise<Date | null> => {
      const [row] = await database.root<
        { at: Date | null }[]
      >`select last_used_at as at from keys where id = ${id}`;
      return row?.at ?? null;
    };
    await me(key);
    await expect.poll(lastUse).toBeInstanceOf(Date);
    const first = await lastUse();
    const counted = countQueries(database, keyTable);
    const where = createTestApi(counted.database);
    const before = counted.count();
    await where.call('GET', '/v1/tasks', { as: key });
    // Looked up, and not written again.
    expect(counted.count() - before).toBe(1);
    await Promise.all(Array.from({ length: 5 }, () => touchKey(database.db, id)));
    expect(await lastUse()).toEqual(first);
    await database.root`update keys set last_used_at = now() - interval '61 seconds' where id = ${id}`;
    await me(key);
    await expect.poll(async () => ((await lastUse())?.getTime() ?? 0) >= (first?.getTime() ?? 0)).toBe(true);
  });

  test('whose use cannot be noted open the door all the same', async () => {
    const { key } = await aKey(database, people.viewer);
    const db = new Proxy(database.db, {
      get: (target, name, receiver) => {
        if (name === 'update') throw new Error('no room left');
        return Reflect.get(target, name, receiver) as unknown;
      },
    });
    const where = createTestApi({ ...database, db });
    expect((await where.call('GET', '/v1/me', { as: key })).status).toBe(200);
  });
});
