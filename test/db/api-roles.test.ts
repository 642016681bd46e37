import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { createPrincipal, systemPrincipals } from '../../db/principals.ts';
import { builtInRoles, permissionsOf } from '../../domain/access.ts';
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
const patch = (path: string, body: object, as = keys.admin) => api.call('PATCH', path, { as, body });
const aRole = async (permissions: string[]): Promise<string> => {
  const name = newId('role').replace('_', '-').slice(0, 20);
  const made = await post('/v1/roles', { name, description: 'of a test', permissions });
  expect(made.status).toBe(201);
  return name;
};
const aPerson = async (role: string): Promise<{ id: string; key: string }> => {
  const made = await post('/v1/principals', { name: newId('person'), role });
  expect(made.status).toBe(201);
  return { id: made.body.id, key: (await aKey(database, made.body.id)).key };
};
const permissionsBy = async (key: string): Promise<string[]> =>
  (await api.call('GET', '/v1/me', { as: key })).body.permissions;
const traceOf = async (subjectId: string) => ({
  audit: await database.root<{ action: string; actor: string; outcome: string }[]>`
    select action, actor, outcome from audit_entries where subject_id = ${subjectId} order by chain_no`,
  events: await database.root<{ type: string; payload: { change?: string } }[]>`
    select type, payload from events where (payload->>'role' = ${subjectId} and payload ? 'change') or payload->>'grantId' = ${subjectId}
      or payload->>'group' = ${subjectId} or payload->>'principalId' = ${subjectId}
    order by seq`,
});

describe('roles', () => {
  test('are listed, the built-in ones with what they permit', async () => {
    const { body } = await api.call('GET', '/v1/roles', { as: keys.admin });
    const builtIn = body.items.filter((item: { builtIn: boolean }) => item.builtIn);
    expect(builtIn.map(({ name }: { name: string }) => name)).toEqual([...builtInRoles]);
    for (const { name, permissions } of builtIn) expect(permissions).toEqual([...permissionsOf(name)]);
  });

  test('of a new name permit exactly what they list, from the next request on', async () => {
    const role = await aRole(['tasks:read', 'tasks:write@shop*']);
    const { key } = await aPerson(role);
    expect(await permissionsBy(key)).toEqual(['tasks:read', 'tasks:write@shop*']);
    const changed = await patch(`/v1/roles/${role}`, { permissions: ['probes:read'] });
    expect(changed.body).toMatchObject({ name: role, permissions: ['probes:read'], builtIn: false });
    expect(await permissionsBy(key)).toEqual(['probes:read']);
    expect(await traceOf(role)).toMatchObject({
      audit: [
        { action: 'role.created', actor: people.admin, outcome: 'ok' },
        { action: 'role.changed', actor: people.admin, outcome: 'ok' },
      ],
      events: [
        { type: 'security.role.changed', payload: { change: 'created' } },
        { type: 'security.role.changed', payload: { change: 'changed' } },
      ],
    });
  });

  test('that change count as rights given now, for those who have them and those they were granted to', async () => {
    const role = await aRole(['tasks:read']);
    const holder = await aPerson(role);
    const granted = await aPerson('viewer');
    const other = await aPerson('viewer');
    await post('/v1/grants', { principalId: granted.id, role, reason: 'helps out' });
    await database.root`update principals set role_since = '2000-01-01', role_by = 'somebody'
      where id in ${database.root([holder.id, granted.id, other.id])}`;
    await patch(`/v1/roles/${role}`, { permissions: ['tasks:read', 'tasks:write'] });
    const since = await database.root<{ id: string; by: string; fresh: boolean }[]>`
      select id, role_by as by, role_since > now() - interval '1 minute' as fresh from principals
      where id in ${database.root([holder.id, granted.id, other.id])}`;
    expect(Object.fromEntries(since.map(({ id, by, fresh }) => [id, [by, fresh]]))).toEqual({
      [holder.id]: [people.admin, true],
      [granted.id]: [people.admin, true],
      [other.id]: ['somebody', false],
    });
  });

  test('that nobody has can be deleted, others cannot', async () => {
    const role = await aRole(['tasks:read']);
    const remove = () => api.call('DELETE', `/v1/roles/${role}`, { as: keys.admin });
    const { id } = await aPerson(role);
    expect(await remove()).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
    const grant = await post('/v1/grants', { principalId: people.viewer, role, reason: 'x' });
    await patch(`/v1/principals/${id}`, { role: 'viewer' });
    expect((await remove()).status).toBe(409);
    await post(`/v1/grants/${grant.body.id}/revoke`, {});
    expect(await remove()).toMatchObject({ status: 200, body: { name: role, deleted: true } });
    expect((await remove()).status).toBe(404);
  });

  test('with an unknown name permit nothing', async () => {
    const id = newId('prn');
    await createPrincipal(database.db, {
      ...{ id, kind: 'human', name: id, role: 'gone', actor: 'test', opKey: id },
    });
    const { key } = await aKey(database, id);
    expect(await permissionsBy(key)).toEqual([]);
    expect((await api.call('GET', '/v1/tasks', { as: key })).status).toBe(403);
  });

  test.each([
    [{ name: 'x1', description: 'd', permissions: ['tasks:fly'] }, 400],
    [{ name: 'x1', description: 'd', permissions: ['halo:run@shop'] }, 400],
    [{ name: 'x1', description: 'd', permissions: ['agents:beat'] }, 400],
    [{ name: 'x1', description: 'd', permissions: [] }, 400],
    [{ name: 'X 1', description: 'd', permissions: ['tasks:read'] }, 400],
    [{ name: 'x1', description: 'd', permissions: ['tasks:read'], builtIn: true }, 400],
    [{ name: 'admin', description: 'd', permissions: ['tasks:read'] }, 409],
    [{ name: 'x1', description: 'd', permissions: ['approvals:break-glass'] }, 403],
  ])('cannot be created as %j', async (body, status) => {
    expect((await post('/v1/roles', body)).status).toBe(status);
    const [row] = await database.root`select 1 from roles where name = 'x1'`;
    expect(row).toBeUndefined();
  });

  test.each(builtInRoles)('%s is built in and stays as it is', async (name) => {
    expect((await patch(`/v1/roles/${name}`, { permissions: ['tasks:read'] })).status).toBe(403);
    expect((await api.call('DELETE', `/v1/roles/${name}`, { as: keys.admin })).status).toBe(403);
  });
});

describe('nobody gives more than they hold', () => {
  let clerk: { id: string; key: string };
  beforeAll(async () => {
    clerk = await aPerson(await aRole(['access:read', 'access:write', 'tasks:read', 'tasks:write@shop*']));
  });

  test.each([[['tasks:read']], [['tasks:write@shop']], [['tasks:write@shop:1', 'access:read']]])(
    'a role of %j is theirs to create',
    async (permissions) => {
      const name = newId('r').replace('_', '-');
      expect((await post('/v1/roles', { name, description: 'd', permissions }, clerk.key)).status).toBe(201);
    },
  );

  test.each([
    [['tasks:write']],
    [['tasks:write@s*']],
    [['tasks:read', 'approvals:decide@shop']],
    [['approvals:break-glass']],
  ])('a role of %j is not, and the refusal is on record', async (permissions) => {
    const name = newId('r').replace('_', '-');
    const answer = await post('/v1/roles', { name, description: 'd', permissions }, clerk.key);
    expect(answer).toMatchObject({
      status: 403,
      body: { code: 'FORBIDDEN', details: { lacking: expect.any(Array) } },
    });
    expect((await traceOf(name)).audit).toEqual([
      { action: 'role.create', actor: clerk.id, outcome: 'refused' },
    ]);
  });

  test('neither by a role of their own, nor by changing one that is above them', async () => {
    const above = await aRole(['approvals:decide']);
    for (const permissions of [['tasks:read'], ['approvals:decide']])
      expect((await patch(`/v1/roles/${above}`, { permissions }, clerk.key)).status).toBe(403);
    expect((await patch(`/v1/principals/${clerk.id}`, { role: 'admin' }, clerk.key)).status).toBe(403);
    expect((await patch(`/v1/principals/${clerk.id}`, { role: above }, clerk.key)).status).toBe(403);
  });

  test('neither by a grant, a new person, nor the key or login of somebody above them', async () => {
    const grant = { principalId: clerk.id, role: 'operator', reason: 'me' };
    expect((await post('/v1/grants', grant, clerk.key)).status).toBe(403);
    expect((await post('/v1/grants', { ...grant, scope: 'shop*' }, clerk.key)).status).toBe(403);
    expect((await post('/v1/principals', { name: 'tool', role: 'operator' }, clerk.key)).status).toBe(403);
    const operator = `/v1/principals/${people.operator}`;
    expect((await patch(operator, { oidcSubject: 'https://me.example|1' }, clerk.key)).status).toBe(403);
    expect((await post(`${operator}/disable`, {}, clerk.key)).status).toBe(403);
    expect((await post('/v1/keys', { principalId: people.operator, label: 'x' }, clerk.key)).status).toBe(
      403,
    );
    const { id } = await aKey(database, people.operator);
    expect((await post(`/v1/keys/${id}/rotate`, {}, clerk.key)).status).toBe(403);
  });

  test('an admin makes break-glass people, but does not become one', async () => {
    const other = await aPerson('viewer');
    expect((await patch(`/v1/principals/${other.id}`, { role: 'break-glass' })).status).toBe(200);
    const self = { principalId: people.admin, role: 'break-glass', reason: 'me' };
    expect((await post('/v1/grants', self)).status).toBe(403);
    await aPerson('admin');
    expect((await patch(`/v1/principals/${people.admin}`, { role: 'break-glass' })).status).toBe(403);
  });

  test('who may only register agents gets none that can do more than they', async () => {
    const registrar = await aPerson(await aRole(['agents:write', 'agents:read']));
    const agent = {
      ...{ name: newId('agent'), role: 'DeployKeeper', capabilities: ['a.*'] },
      ...{ executor: 'temporal', config: { taskQueue: 'q' } },
    };
    expect((await post('/v1/agents', agent, registrar.key)).status).toBe(403);
    const made = await post('/v1/agents', agent);
    expect(made.status).toBe(201);
    const owned = await api.call('GET', `/v1/principals/${made.body.agent.principalId}`, { as: keys.admin });
    expect(owned.body).toMatchObject({ kind: 'agent', owner: people.admin, createdBy: people.admin });
  });
});

describe('grants', () => {
  const grantTo = (principalId: string, given: object) =>
    post('/v1/grants', { principalId, role: 'operator', reason: 'on call', ...given });

  test('add the permissions of a role for their scope, until they are revoked', async () => {
    const { id, key } = await aPerson('viewer');
    const made = await grantTo(id, { scope: 'probe:*' });
    expect(made).toMatchObject({
      status: 201,
      body: { principalId: id, role: 'operator', scope: 'probe:*', grantedBy: people.admin, expiresAt: null },
    });
    const held = await permissionsBy(key);
    expect(held).toContain('tasks:dispatch@probe:*');
    expect(held).not.toContain('tasks:dispatch');
    const propose = (target: string) =>
      post('/v1/tasks', { type: 'a.b', title: 't', target, targetRole: 'Custom' }, key);
    expect((await propose('probe:1')).status).toBe(201);
    expect((await propose('shop')).status).toBe(403);
    const me = await api.call('GET', '/v1/me', { as: key });
    expect(me.body.grants).toMatchObject([{ id: made.body.id, scope: 'probe:*' }]);
    const revoked = await post(`/v1/grants/${made.body.id}/revoke`, {});
    expect(revoked.body.revokedAt).toEqual(expect.any(String));
    expect((await propose('probe:1')).status).toBe(403);
    expect((await post(`/v1/grants/${made.body.id}/revoke`, {})).body).toEqual(revoked.body);
    expect((await traceOf(made.body.id)).audit).toMatchObject([
      { action: 'grant.create', actor: people.admin },
      { action: 'grant.revoke', actor: people.admin },
    ]);
    expect((await traceOf(made.body.id)).events.map(({ payload }) => payload.change)).toEqual([
      'granted',
      'revoked',
    ]);
  });

  test('end by the clock of the database', async () => {
    const { id, key } = await aPerson('viewer');
    const made = await grantTo(id, { expiresInSeconds: 3600 });
    expect(await permissionsBy(key)).toContain('tasks:dispatch');
    await database.root`update grants set expires_at = now() where id = ${made.body.id}`;
    expect(await permissionsBy(key)).not.toContain('tasks:dispatch');
    const listed = await api.call('GET', `/v1/grants?principalId=${id}`, { as: keys.admin });
    expect(listed.body.items).toHaveLength(1);
    expect((await api.call('GET', '/v1/me', { as: key })).body.grants).toEqual([]);
  });

  test.each([
    [{ role: 'unheard-of' }, 400],
    [{ role: 'agent' }, 400],
    [{ scope: 'a*b' }, 400],
    [{ scope: '' }, 400],
    [{ reason: undefined }, 400],
    [{ expiresInSeconds: 0 }, 400],
    [{ grantedBy: 'prn_x' }, 400],
    [{ principalId: 'prn_unknown' }, 404],
    [{ principalId: systemPrincipals.halo }, 403],
  ])('of %j are refused', async (given, status) => {
    expect((await grantTo(people.viewer, given)).status).toBe(status);
  });

  test('of admin go to people only', async () => {
    expect((await grantTo(people.agent, { role: 'admin' })).status).toBe(400);
  });
});

describe('groups', () => {
  test('say of each member who added it and when; to add it again changes nothing', async () => {
    const name = newId('g').replace('_', '-');
    expect(await post('/v1/groups', { name, description: 'those on call' })).toMatchObject({
      status: 201,
      body: { name, members: [] },
    });
    const member = { principalId: people.operator };
    const once = await post(`/v1/groups/${name}/members`, member);
    expect(once.body.members).toEqual([
      { principalId: people.operator, addedBy: people.admin, addedAt: expect.any(String) },
    ]);
    const admin = await aPerson('admin');
    expect((await post(`/v1/groups/${name}/members`, member, admin.key)).body).toEqual(once.body);
    expect((await api.call('GET', '/v1/me', { as: keys.operator })).body.groups).toContain(name);
    const listed = await api.call('GET', '/v1/groups?limit=200', { as: keys.admin });
    expect(listed.body.items).toContainEqual(once.body);
    for (let times = 0; times < 2; times += 1)
      expect((await post(`/v1/groups/${name}/members/remove`, member)).body.members).toEqual([]);
    const { audit, events } = await traceOf(name);
    expect(audit.map(({ action }) => action)).toEqual(['group.create', 'group.add', 'group.remove']);
    expect(events.map(({ type, payload }) => [type, payload.change])).toEqual([
      ['security.group.changed', 'created'],
      ['security.group.changed', 'added'],
      ['security.group.changed', 'removed'],
    ]);
  });

  test.each([
    ['/v1/groups', { name: 'No', description: 'd' }, 400],
    ['/v1/groups', { name: 'ok', description: 'd', members: [] }, 400],
    ['/v1/groups/unheard-of/members', { principalId: 'prn_x' }, 404],
  ])('POST %s %j is refused', async (path, body, status) => {
    expect((await post(path, body)).status).toBe(status);
  });

  test('have names once and members that exist', async () => {
    const name = newId('g').replace('_', '-');
    await post('/v1/groups', { name, description: 'd' });
    expect((await post('/v1/groups', { name, description: 'e' })).status).toBe(409);
    expect((await post(`/v1/groups/${name}/members`, { principalId: 'prn_unknown' })).status).toBe(404);
  });
});
