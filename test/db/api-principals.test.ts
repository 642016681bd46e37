import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { changePrincipal } from '../../db/principal-change.ts';
import { getPrincipal, systemPrincipals } from '../../db/principals.ts';
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
  api = createTestApi(database);
});

const post = (path: string, body: object, as = keys.admin) => api.call('POST', path, { as, body });
const patch = (id: string, body: object, as = keys.admin) =>
  api.call('PATCH', `/v1/principals/${id}`, { as, body });
const make = (given: object) => post('/v1/principals', { name: newId('p'), role: 'viewer', ...given });

describe('a principal', () => {
  test('tells who made it, and who gave its role and when', async () => {
    const made = await make({ tier: 'builder' });
    expect(made).toMatchObject({
      status: 201,
      body: { kind: 'human', owner: null, tier: 'builder', createdBy: people.admin, roleBy: people.admin },
    });
    await database.root`update principals set role_since = '2000-01-01', role_by = 'x' where id = ${made.body.id}`;
    const tier = await patch(made.body.id, { tier: 'operator' });
    expect(tier.body).toMatchObject({ tier: 'operator', roleBy: 'x', roleSince: '2000-01-01T00:00:00.000Z' });
    const role = await patch(made.body.id, { role: 'operator' });
    expect(role.body).toMatchObject({ role: 'operator', roleBy: people.admin });
    expect(Date.parse(role.body.roleSince)).toBeGreaterThan(Date.parse('2020-01-01'));
    expect((await api.call('GET', `/v1/principals/${made.body.id}`, { as: keys.admin })).body).toEqual(
      role.body,
    );
    const types = await database.root<{ type: string }[]>`
      select type from events where payload->>'principalId' = ${made.body.id} order by seq`;
    expect(types.map(({ type }) => type)).toEqual([
      'security.principal.created',
      'security.principal.changed',
      'security.role.changed',
    ]);
  });

  test('that is changed to what it is stays untouched and leaves no trace', async () => {
    const { body } = await make({});
    expect((await patch(body.id, { role: 'viewer', status: 'active' })).body).toEqual(body);
    const [row] = await database.root<{ n: number }[]>`
      select count(*)::int as n from audit_entries where subject_id = ${body.id}`;
    expect(row?.n).toBe(1);
  });

  test('of kind service needs a person who answers for it', async () => {
    const service = { kind: 'service', role: 'operator' };
    expect((await make(service)).status).toBe(400);
    expect((await make({ ...service, owner: 'prn_unknown' })).status).toBe(404);
    expect((await make({ ...service, owner: people.agent })).status).toBe(400);
    expect((await make({ owner: people.viewer })).status).toBe(400);
    const made = await make({ ...service, owner: people.operator });
    expect(made).toMatchObject({ status: 201, body: { kind: 'service', owner: people.operator } });
    const { key } = await aKey(database, made.body.id);
    expect((await api.call('GET', '/v1/me', { as: key })).body).toMatchObject({ person: people.operator });
    expect((await patch(made.body.id, { role: 'admin' })).status).toBe(400);
    expect((await patch(made.body.id, { role: 'break-glass' })).status).toBe(400);
  });

  test.each([
    [{}, 400],
    [{ role: 'unheard-of' }, 400],
    [{ role: 'agent' }, 400],
    [{ status: 'gone' }, 400],
    [{ tier: 'Not A Tier' }, 400],
    [{ oidcSubject: 'kim' }, 400],
    [{ name: 'other' }, 400],
    [{ kind: 'service' }, 400],
    [{ owner: 'prn_x' }, 400],
    [{ roleBy: 'prn_x' }, 400],
    [{ permissions: ['access:write'] }, 400],
  ])('cannot be changed to %j', async (body, status) => {
    const before = await getPrincipal(database.db, people.viewer);
    expect((await patch(people.viewer, body)).status).toBe(status);
    expect(await getPrincipal(database.db, people.viewer)).toEqual(before);
  });

  test('that is an agent keeps its role; one that is part of this system keeps everything', async () => {
    expect((await patch(people.agent, { role: 'viewer' })).status).toBe(400);
    expect((await patch(systemPrincipals.halo, { status: 'disabled' })).status).toBe(403);
    expect((await patch('prn_unknown', { role: 'viewer' })).status).toBe(404);
  });

  test('that is disabled is refused with every key, until it is enabled', async () => {
    const { body } = await make({});
    const { key } = await aKey(database, body.id);
    const status = async () => (await api.call('GET', '/v1/me', { as: key })).status;
    expect(await status()).toBe(200);
    for (let times = 0; times < 2; times += 1)
      expect((await post(`/v1/principals/${body.id}/disable`, {})).body).toMatchObject({
        status: 'disabled',
      });
    expect(await status()).toBe(401);
    expect((await post(`/v1/principals/${body.id}/enable`, {})).body).toMatchObject({ status: 'active' });
    expect(await status()).toBe(200);
  });

  test('that changed meanwhile is not changed on an old look', async () => {
    const { body } = await make({});
    const before = await getPrincipal(database.db, body.id);
    if (before === null) throw new Error('it was just made');
    await patch(body.id, { role: 'operator' });
    const op = { actor: people.admin, opKey: newId('op') };
    expect(await changePrincipal(database.db, before, { status: 'disabled' }, op)).toMatchObject({
      refused: 'STALE',
    });
    expect(await getPrincipal(database.db, body.id)).toMatchObject({ status: 'active' });
  });
});

describe('the last active person with the role admin', () => {
  test.each([{ role: 'operator' }, { status: 'disabled' }])('cannot be changed to %j', async (body) => {
    const answer = await patch(people.admin, body);
    expect(answer).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    expect(answer.body.detail).toMatch(/last active person/);
    expect((await post(`/v1/principals/${people.admin}/disable`, {})).status).toBe(409);
  });

  test('does not count services, disabled admins or admins by grant', async () => {
    const disabled = await make({ role: 'admin' });
    await post(`/v1/principals/${disabled.body.id}/disable`, {});
    await post('/v1/grants', { principalId: people.viewer, role: 'admin', reason: 'x' });
    expect((await patch(people.admin, { role: 'viewer' })).status).toBe(409);
  });

  test('stays, also when all admins remove each other at the same moment', async () => {
    for (let round = 0; round < 10; round += 1) {
      const others = await Promise.all([0, 1, 2].map(() => make({ role: 'admin' })));
      const ids = [people.admin, ...others.map(({ body }) => body.id as string)];
      const rows = await Promise.all(ids.map((id) => getPrincipal(database.db, id)));
      const outcomes = await Promise.all(
        rows.map((row) => {
          if (row === null) throw new Error('it was just made');
          const op = { actor: 'test', opKey: newId('op') };
          return changePrincipal(database.db, row, { status: 'disabled' }, op);
        }),
      );
      const left = await database.root<{ id: string }[]>`
        select id from principals where kind = 'human' and role = 'admin' and status = 'active'`;
      expect(left).toHaveLength(1);
      expect(outcomes.filter((refusal) => refusal === null)).toHaveLength(3);
      await database.root`update principals set status = 'active' where id = ${people.admin}`;
      await database.root`
        update principals set status = 'disabled', role = 'viewer' where role = 'admin' and id <> ${people.admin}`;
    }
  });
});
