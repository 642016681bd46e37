import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { policyFor } from '../../db/policies.ts';
import { createPrincipal } from '../../db/principals.ts';
import { aKey, createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
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
  await database.root`insert into groups (name, description) values ('squad-a', 'those who deploy')`;
});

const oneStage = { stages: [{ approvals: 1 }] };
let made = 0;
const draft = (given: object = {}) => ({
  name: `policy ${(made += 1)}`,
  place: 50,
  match: { targets: [`shop-${made}:*`] },
  rule: oneStage,
  ...given,
});

const post = (path: string, as: string, body: object) => api.call('POST', path, { as, body });
const create = async (given: object = {}): Promise<Untyped> => {
  const answer = await post('/v1/policies', keys.admin, draft(given));
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body;
};
const enable = ({ id, version }: Untyped, as = keys.operator) =>
  post(`/v1/policies/${id}/enable`, as, { version });
const patch = (id: string, body: object, as = keys.admin) =>
  api.call('PATCH', `/v1/policies/${id}`, { as, body });

const policyOf = async (target: string) =>
  policyFor(database.db, {
    ...{ kind: 'task', risk: 'low', target, type: 'deploy.app', requestedBy: people.requester },
  });

async function auditOf(id: string) {
  return database.root`
    select actor, action, outcome, body::jsonb -> 'detail' as detail from audit_entries
    where subject_kind = 'policy' and subject_id = ${id} order by chain_no`;
}

describe('a policy', () => {
  test('is stored out of force, with every member of its rule', async () => {
    const policy = await create();
    expect(policy).toMatchObject({
      enabled: false,
      builtIn: false,
      editedBy: people.admin,
      enabledBy: null,
      match: { kinds: [], risks: [], types: [], groups: [] },
      rule: {
        stages: [{ approvals: 1, approvers: { roles: [], groups: [] } }],
        expiresInMs: 259_200_000,
        remindEveryMs: null,
        escalateAfterMs: null,
        handOverAllowed: true,
        editAllowed: true,
        reasonRequired: false,
        freshLoginMs: null,
        dispatchMode: 'as-asked',
      },
    });
    expect(policy.version).toBeGreaterThanOrEqual(100);
    expect(await policyOf(policy.match.targets[0].replace('*', '1'))).toMatchObject({ id: 'built-in' });
  });

  test('counts once another person has enabled the version that was read', async () => {
    const policy = await create();
    const answer = await enable(policy);
    expect(answer).toMatchObject({ status: 200, body: { enabled: true, enabledBy: people.operator } });
    expect(await policyOf(policy.match.targets[0].replace('*', '1'))).toMatchObject({
      id: policy.id,
      version: policy.version,
    });
  });

  test('is not enabled by the person who wrote it, which the audit holds', async () => {
    const policy = await create();
    expect(await enable(policy, keys.admin)).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect((await auditOf(policy.id)).at(-1)).toMatchObject({
      actor: people.admin,
      action: 'policy.enable',
      outcome: 'refused',
      detail: { code: 'FORBIDDEN' },
    });
    expect((await api.call('GET', `/v1/policies/${policy.id}`, { as: keys.viewer })).body.enabled).toBe(
      false,
    );
  });

  test('is not enabled by the person behind the service that wrote it, nor by a service', async () => {
    const serviceId = newId('prn');
    await createPrincipal(database.db, {
      ...{ id: serviceId, kind: 'service', name: `bot-${serviceId}`, role: 'admin', owner: people.operator },
      ...{ actor: 'test', opKey: newId('op') },
    });
    const { key } = await aKey(database, serviceId);
    const written = await post('/v1/policies', key, draft());
    expect(written.status).toBe(201);
    expect(await enable(written.body, keys.operator)).toMatchObject({ status: 403 });
    expect(await enable(await create(), key)).toMatchObject({ status: 403 });
    expect(await enable(written.body, keys.requester)).toMatchObject({ status: 200 });
  });

  test('that changed after it was read is not enabled', async () => {
    const read = await create();
    const changed = await patch(read.id, { version: read.version, place: 49 });
    expect(changed.status).toBe(200);
    expect(await enable(read)).toMatchObject({
      status: 412,
      body: { code: 'STALE', details: { current: changed.body.version, yours: read.version } },
    });
    expect(await enable(changed.body)).toMatchObject({ status: 200 });
  });

  test('that is changed has a version no policy ever had, and is out of force again', async () => {
    const first = await create();
    await enable(first);
    const { status, body } = await patch(first.id, {
      version: first.version,
      rule: { stages: [{ approvals: 3 }] },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ name: first.name, match: first.match, enabled: false, enabledBy: null });
    expect(body.rule.stages[0].approvals).toBe(3);
    const [row] = await database.root`select max(version) as top from policies`;
    expect(body.version).toBe(row?.top);
    expect(body.version).toBeGreaterThan(first.version);
    expect(await policyOf(first.match.targets[0].replace('*', '1'))).toMatchObject({ id: 'built-in' });
  });

  test('is changed by one of twelve who read the same version', async () => {
    const { id, version } = await create();
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, place) => patch(id, { version, place })),
    );
    const codes = answers.map(({ status }) => status).sort();
    expect(codes).toEqual([200, ...Array<number>(11).fill(412)]);
  });

  test('is disabled with a reason, and disabling it twice is a conflict', async () => {
    const policy = await create();
    await enable(policy);
    const off = (as = keys.operator) =>
      post(`/v1/policies/${policy.id}/disable`, as, { version: policy.version, reason: 'too strict' });
    expect(await off()).toMatchObject({ status: 200, body: { enabled: false, enabledBy: null } });
    expect(await off()).toMatchObject({ status: 409 });
    expect((await auditOf(policy.id)).at(-1)).toMatchObject({
      action: 'policy.disable',
      detail: { reason: 'too strict' },
    });
    const events = await database.root`
      select severity, payload from events where type = 'policy.changed' order by events.tx desc, seq desc limit 1`;
    expect(events[0]).toMatchObject({
      severity: 'warning',
      payload: { policyId: policy.id, action: 'disabled', by: people.operator },
    });
  });

  test('has every version it ever had, in full, from the audit', async () => {
    const first = await create();
    await enable(first);
    const second = (await patch(first.id, { version: first.version, rule: { stages: [{ approvals: 2 }] } }))
      .body;
    const path = `/v1/policies/${first.id}/versions`;
    const { body } = await api.call('GET', path, { as: keys.viewer });
    expect(body.items).toMatchObject([
      { action: 'change', by: people.admin, version: second.version, rule: second.rule, match: second.match },
      { action: 'enable', by: people.operator, version: first.version, rule: first.rule },
      { action: 'create', by: people.admin, version: first.version, rule: first.rule, match: first.match },
    ]);
    const page = await api.call('GET', `${path}?limit=2`, { as: keys.viewer });
    const rest = await api.call('GET', `${path}?limit=2&cursor=${page.body.nextCursor}`, { as: keys.viewer });
    expect([...page.body.items, ...rest.body.items]).toEqual(body.items);
    expect(rest.body.nextCursor).toBeNull();
  });

  test('has a name of its own, also when it is changed', async () => {
    const one = await create();
    const other = await create();
    expect(await post('/v1/policies', keys.admin, draft({ name: one.name }))).toMatchObject({ status: 409 });
    expect(await patch(other.id, { version: other.version, name: one.name })).toMatchObject({ status: 409 });
  });

  test('that is built in can be read, and neither changed nor imitated', async () => {
    for (const id of ['built-in', 'built-in-high'])
      expect(await api.call('GET', `/v1/policies/${id}`, { as: keys.viewer })).toMatchObject({
        status: 200,
        body: { id, builtIn: true, enabled: true },
      });
    expect(await patch('built-in', { version: 2, place: 1 })).toMatchObject({ status: 404 });
    expect(await post('/v1/policies', keys.admin, draft({ name: 'built-in' }))).toMatchObject({
      status: 400,
    });
  });
});

describe('a rule that nobody could meet is refused with what is allowed', () => {
  const minute = 60_000;
  const ofRole = (role: string) => ({ approvals: 1, approvers: { roles: [role], groups: [] } });
  test.each<[string, object, RegExp]>([
    ['no stage', { rule: { stages: [] } }, /at least one stage/],
    ['nobody in a stage', { rule: { stages: [{ approvals: 0 }] } }, /1 to 10/],
    ['eleven people in a stage', { rule: { stages: [{ approvals: 11 }] } }, /1 to 10/],
    ['an unknown role', { rule: { stages: [ofRole('captain')] } }, /role captain/],
    ['a role that may not decide', { rule: { stages: [ofRole('viewer')] } }, /approvals:decide/],
    [
      'an unknown group',
      { rule: { stages: [{ approvals: 1, approvers: { roles: [], groups: ['squad-z'] } }] } },
      /group squad-z/,
    ],
    ['an unknown group of requesters', { match: { groups: ['squad-z'] } }, /group squad-z/],
    ['an expiry below a minute', { rule: { ...oneStage, expiresInMs: minute - 1 } }, /60000/],
    ['an expiry beyond 30 days', { rule: { ...oneStage, expiresInMs: 31 * 86_400_000 } }, /30 days/],
    [
      'a reminder after the expiry',
      { rule: { ...oneStage, expiresInMs: 5 * minute, remindEveryMs: 5 * minute } },
      /below expiresInMs/,
    ],
    [
      'an escalation after the expiry',
      {
        rule: {
          ...oneStage,
          expiresInMs: 5 * minute,
          escalateAfterMs: 6 * minute,
          escalateTo: { roles: ['admin'] },
        },
      },
      /below expiresInMs/,
    ],
    ['an escalation to nobody', { rule: { ...oneStage, escalateAfterMs: minute } }, /name a role or a group/],
    [
      'whom to escalate to but not when',
      { rule: { ...oneStage, escalateTo: { roles: ['admin'] } } },
      /escalateAfterMs/,
    ],
    ['an unknown member', { rule: { ...oneStage, colour: 'red' } }, /colour/],
    ['a scope with a star inside', { match: { targets: ['a*b'] } }, /at its end only/],
  ])('%s', async (_name, given, message) => {
    const answer = await post('/v1/policies', keys.admin, draft(given));
    expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID' } });
    expect(answer.body.detail).toMatch(message);
  });

  test('and a change to one is refused as well, which leaves the policy as it was', async () => {
    const policy = await create();
    const refused = await patch(policy.id, {
      version: policy.version,
      rule: { stages: [ofRole('captain')] },
    });
    expect(refused.status).toBe(400);
    expect(await patch(policy.id, { version: policy.version })).toMatchObject({ status: 400 });
    const { body } = await api.call('GET', `/v1/policies/${policy.id}`, { as: keys.viewer });
    expect(body).toEqual(policy);
  });

  test('while roles and groups that exist are taken', async () => {
    await database.root`
      insert into roles (name, description, permissions)
      values ('captain-of-shop', 'decides for the shop', '["approvals:decide@shop:*"]'::jsonb)`;
    const stage = { approvals: 1, approvers: { roles: ['admin', 'captain-of-shop'], groups: ['squad-a'] } };
    const policy = await create({ rule: { stages: [stage] } });
    expect(policy.rule.stages).toEqual([stage]);
  });
});

test('the list is in the order in which policies count, over any number of pages', async () => {
  for (const place of [7, 3, 7]) await create({ place });
  const whole = await api.call('GET', '/v1/policies?limit=200', { as: keys.viewer });
  const order = whole.body.items.map((each: Untyped) => [each.place, each.version]);
  expect(order).toEqual([...order].sort((a, b) => a[0] - b[0] || a[1] - b[1]));
  const paged: Untyped[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Untyped = await api.call(
      'GET',
      `/v1/policies?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`,
      { as: keys.viewer },
    );
    paged.push(...page.body.items);
    cursor = page.body.nextCursor;
  }
  expect(paged).toEqual(whole.body.items);
  const on = await api.call('GET', '/v1/policies?enabled=true', { as: keys.viewer });
  expect(on.body.items.every((each: Untyped) => each.enabled)).toBe(true);
  expect(on.body.items.length).toBeLessThan(whole.body.items.length);
});
