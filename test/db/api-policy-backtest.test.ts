import { beforeAll, expect, test } from 'vitest';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

const many = 20_000;

/** Every tenth is of high risk with two votes, every fourth expired without one, the rest have one vote. */
beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  api = createTestApi(database);
  await database.root`
    insert into approvals (id, kind, subject_id, title, summary, risk, digest, target, type, policy_version, state,
                           requested_by, required_approvals, votes, workflow_id, expires_at, created_at, decided_at)
    select 'apr_g' || n, 'task', 'tsk_g' || n, 'Repair ' || n, '{}', case when n % 10 = 0 then 'high' else 'low' end,
           'd', case when n % 2 = 0 then 'shop:' else 'bank:' end || n, 'repair.app', 2,
           case when n % 4 = 1 then 'expired' else 'approved' end, ${people.requester},
           case when n % 10 = 0 then 2 else 1 end,
           case when n % 4 = 1 then '[]'::jsonb
                when n % 10 = 0 then jsonb_build_array(v.operator, v.admin)
                else jsonb_build_array(v.operator) end,
           'task/tsk_g' || n, t.opened + interval '72 hours', t.opened,
           t.opened + case when n % 4 = 1 then interval '72 hours' else interval '2 hours' end
    from generate_series(1, ${many}::int) n,
         -- Whole seconds, many to one: pages have to go on inside of one.
         lateral (select date_trunc('second', now()) - interval '1 day' - make_interval(secs => n / 50) as opened) t,
         lateral (select jsonb_build_object('principalId', ${people.operator}::text, 'name', 'operator',
                           'decision', 'approve', 'reason', null, 'at', t.opened + interval '1 hour') as operator,
                         jsonb_build_object('principalId', ${people.admin}::text, 'name', 'admin',
                           'decision', 'approve', 'reason', 'fine', 'at', t.opened + interval '2 hours') as admin) v`;
  await database.root`
    insert into tasks (id, type, title, payload, target, target_role, state, severity, risk, origin, requested_by,
                       dispatch_mode, timeout_ms, approval_id, digest, policy_version, workflow_id)
    select subject_id, type, title, '{}', target, 'DreamOps', 'success', 'low', risk, 'api', requested_by,
           'manual', 1000, id, 'd', 2, workflow_id
    from approvals where id like 'apr_g%'`;
});

const backTest = (body: object, as = keys.admin) => api.call('POST', '/v1/policies/back-test', { as, body });
const counts = async () => {
  const [row] = await database.root`
    select (select count(*)::int from policies) as policies, (select count(*)::int from audit_entries) as audit,
           (select count(*)::int from events) as events, (select count(*)::int from approvals) as approvals`;
  return row;
};

test('a draft is run over every approval of the window, each once, and writes nothing', async () => {
  const before = await counts();
  const answer = await backTest({
    match: { targets: ['shop:*'] },
    rule: { stages: [{ approvals: 2 }], dispatchMode: 'auto' },
  });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  const { totals, items, itemsLeftOut, complete, notes } = answer.body;
  expect(complete).toBe(true);
  // Of the even half every fifth had two votes already; none of the expired ones is even.
  expect(totals).toEqual({
    approvals: many,
    effects: {
      unchanged: many / 2,
      changed: many / 10,
      sooner: 0,
      slowed: many * 0.4,
      refused: 0,
      expired: 0,
    },
    morePeople: many * 0.4,
    fewerPeople: 0,
    votesNotCounted: 0,
    becomeAutomatic: many / 2,
    becomeManual: 0,
    medianWaitMs: 2 * 3_600_000,
    medianWouldWaitMs: 2 * 3_600_000,
  });
  expect(items).toHaveLength(200);
  expect(itemsLeftOut).toBe(many / 2 - 200);
  expect(items[0]).toMatchObject({
    effect: 'slowed',
    policy: { from: 'built-in', to: 'draft' },
    people: { from: 1, to: 2 },
    dispatch: { from: 'manual', to: 'auto' },
  });
  expect(notes.join(' ')).toMatch(/not known/);
  expect(await counts()).toEqual(before);
});

test('roles of today stand for those that a vote does not hold', async () => {
  const stage = { approvals: 1, approvers: { roles: ['admin'], groups: [] } };
  const { body } = await backTest({ rule: { stages: [stage] } });
  expect(body.totals.effects).toMatchObject({ refused: many * 0.65, changed: many * 0.35 });
  expect(body.items[0].votesNotCounted).toEqual([{ name: 'operator', because: 'not-eligible' }]);
});

test('the window is counted in days', async () => {
  const { body } = await backTest({ rule: { stages: [{ approvals: 1 }] }, days: 1 });
  expect(body.totals.approvals).toBe(0);
});

test('a stored policy is run by its id, and one that is in force against the set without it', async () => {
  const stored = await api.call('POST', '/v1/policies', {
    as: keys.admin,
    body: { name: 'two for all', rule: { stages: [{ approvals: 2 }] } },
  });
  const policyId = stored.body.id;
  const before = await backTest({ policyId }, keys.operator);
  expect(before.body).toMatchObject({ policy: { id: policyId, name: 'two for all' } });
  expect(before.body.totals.effects.slowed).toBe(many * 0.65);
  const { version } = stored.body;
  await api.call('POST', `/v1/policies/${policyId}/enable`, { as: keys.operator, body: { version } });
  expect((await backTest({ policyId })).body.totals).toEqual(before.body.totals);
  const next = await backTest({
    name: 'two for all',
    rule: { stages: [{ approvals: 2 }], reasonRequired: true },
  });
  expect(next.body.policy.id).toBe(policyId);
  expect(next.body.totals.effects).toMatchObject({ unchanged: 0, refused: many * 0.75 });
});

test.each<[string, object, RegExp]>([
  ['neither a draft nor an id', {}, /either/],
  ['both', { policyId: 'pol_1', rule: { stages: [{ approvals: 1 }] } }, /either/],
  ['91 days', { rule: { stages: [{ approvals: 1 }] }, days: 91 }, /1 to 90/],
  [
    'a role that does not exist',
    { rule: { stages: [{ approvals: 1, approvers: { roles: ['captain'] } }] } },
    /role captain/,
  ],
])('%s is refused', async (_name, body, message) => {
  const answer = await backTest(body);
  expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID' } });
  expect(answer.body.detail).toMatch(message);
});

test('an unknown policy is not found', async () => {
  expect(await backTest({ policyId: 'pol_unknown' })).toMatchObject({ status: 404 });
});
