import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { revokeKey, systemPrincipals } from '../../db/principals.ts';
import { builtInRoles } from '../../domain/access.ts';
import { permissionTable } from '../api/permission-table.ts';
import { aKey, createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

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

describe('a key', () => {
  const statusOf = async (as: string) => (await api.call('GET', '/v1/me', { as })).status;

  test('opens the door for its principal', async () => {
    const { body } = await api.call('GET', '/v1/me', { as: keys.viewer });
    expect(body).toMatchObject({ id: people.viewer, role: 'viewer', kind: 'human', agentId: null });
    expect(body.permissions).toContain('tasks:read');
    expect(body.permissions).not.toContain('tasks:write');
  });

  test('with another secret behind a known id is refused', async () => {
    const mine = await aKey(database, people.viewer);
    const other = await aKey(database, people.admin);
    const forged = other.key.replace(other.id, mine.id);
    expect(await statusOf(forged)).toBe(401);
  });

  test('that has expired is refused, also when it expires while it is used', async () => {
    const { key } = await aKey(database, people.viewer, { expiresAt: new Date(Date.now() - 1000) });
    const answer = await api.call('GET', '/v1/me', { as: key });
    expect(answer).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
    expect(answer.body.detail).toMatch(/expired/);
  });

  test('that was revoked is refused from the next request on', async () => {
    const { id, key } = await aKey(database, people.viewer);
    expect(await statusOf(key)).toBe(200);
    await revokeKey(database.db, { id, actor: 'test', opKey: newId('op') });
    expect(await statusOf(key)).toBe(401);
  });

  test('of a disabled principal is refused', async () => {
    const made = await api.call('POST', '/v1/principals', {
      as: keys.admin,
      body: { name: 'leaver', role: 'operator' },
    });
    const { key } = await aKey(database, made.body.id);
    expect(await statusOf(key)).toBe(200);
    await database.root`update principals set status = 'disabled' where id = ${made.body.id}`;
    expect(await statusOf(key)).toBe(401);
  });

  test('TRUST 4.1: cannot be found in the database, and nothing in it opens the door', async () => {
    const tables = await database.root<{ name: string }[]>`
      select tablename as name from pg_tables where schemaname = 'public'`;
    const values: string[] = [];
    for (const { name } of tables)
      for (const row of await database.root`select * from ${database.root(name)}`)
        for (const value of Object.values(row))
          values.push(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
    expect(values.length).toBeGreaterThan(100);
    for (const key of Object.values(keys)) {
      const secret = key.split('_')[3] ?? '';
      expect(values.some((value) => value.includes(secret))).toBe(false);
    }
    for (const value of values.filter((text) => /^[\x21-\x7e]{20,200}$/.test(text)))
      expect(await statusOf(value)).toBe(401);
  });
});

describe('every operation', () => {
  /** Its messages are signed: a key opens nothing there. */
  const signed = 'POST /v1/hooks/{id}/events';
  const operations = Object.entries(permissionTable).filter(
    ([name, allowed]) => allowed !== 'public' && name !== signed,
  );

  test('the door for signed messages takes no key at all', async () => {
    for (const as of Object.values(keys))
      expect(await api.call('POST', '/v1/hooks/unknown_id/events', { as, body: {} })).toMatchObject({
        status: 401,
      });
  });

  test.each(operations)('%s answers each role as the table says', async (name, allowed) => {
    const [method = '', template = ''] = name.split(' ');
    const path = template.replace('{id}', 'unknown_id');
    for (const role of builtInRoles) {
      const as = role === 'break-glass' ? keys.breakGlass : keys[role];
      const { status, body } = await api.call(method, path, {
        as,
        ...(method === 'GET' ? {} : { body: {} }),
      });
      expect(status, `${name} as ${role}`).toBeLessThan(500);
      if (allowed.includes(role)) expect([401, 403], `${name} as ${role}`).not.toContain(status);
      else
        expect({ status, code: body.code }, `${name} as ${role}`).toEqual({ status: 403, code: 'FORBIDDEN' });
    }
    const nobody = await api.call(method, path, method === 'GET' ? {} : { body: {} });
    expect(nobody.status).toBe(401);
  });
});

describe('an admin', () => {
  const post = (path: string, body: object) => api.call('POST', path, { as: keys.admin, body });

  test('creates a person, issues a key that is shown once, and revokes it', async () => {
    const person = await post('/v1/principals', { name: 'ada', role: 'operator' });
    expect(person).toMatchObject({
      status: 201,
      body: { kind: 'human', role: 'operator', status: 'active' },
    });
    const issued = await post('/v1/keys', {
      principalId: person.body.id,
      label: 'laptop',
      expiresInDays: 30,
    });
    expect(issued.status).toBe(201);
    expect((await api.call('GET', '/v1/me', { as: issued.body.key })).body.name).toBe('ada');
    const listed = await api.call('GET', `/v1/keys?principalId=${person.body.id}`, { as: keys.admin });
    expect(listed.body.items).toMatchObject([{ id: issued.body.id, label: 'laptop', revokedAt: null }]);
    expect(JSON.stringify(listed.body)).not.toContain(issued.body.key.split('_')[3]);
    for (let times = 0; times < 2; times += 1)
      expect((await post(`/v1/keys/${issued.body.id}/revoke`, {})).status).toBe(200);
    expect((await api.call('GET', '/v1/me', { as: issued.body.key })).status).toBe(401);
  });

  test.each([
    ['/v1/principals', { name: 'ada2', role: 'agent' }, 400],
    ['/v1/principals', { name: 'ada3', role: 'admin', kind: 'service' }, 400],
    ['/v1/principals', { name: 'agent:x', role: 'viewer' }, 400],
    ['/v1/principals', { name: 'ada4', role: 'viewer', status: 'active' }, 400],
    ['/v1/keys', { principalId: 'prn_unknown', label: 'x' }, 404],
    ['/v1/keys', { principalId: systemPrincipals.halo, label: 'x' }, 403],
    ['/v1/keys/unknown/revoke', {}, 404],
  ])('cannot POST %s %j', async (path, body, status) => {
    expect((await post(path, body)).status).toBe(status);
  });

  test('cannot give a name twice', async () => {
    await post('/v1/principals', { name: 'twice', role: 'viewer' });
    expect(await post('/v1/principals', { name: 'twice', role: 'viewer' })).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT' },
    });
  });
});
