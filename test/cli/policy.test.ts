import { afterEach, beforeEach, expect, test } from 'vitest';
import { builtInPolicy } from '../../domain/policy.ts';
import { backTestEffects, backTestLimits } from '../../domain/policy-backtest.ts';
import { type FakeApi, problem, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const policyId = 'pol_0123456789abcdef';
const policy = (more: object = {}) => ({
  ...builtInPolicy('high'),
  ...{ id: policyId, name: 'shop', version: 107, place: 10, enabled: false, builtIn: false },
  ...{ editedBy: 'prn_admin', enabledBy: null, createdAt: null, updatedAt: null },
  ...more,
});
const draft = { name: 'shop', rule: { stages: [{ approvals: 2 }] } };

beforeEach(async () => {
  api = await startFakeApi();
  api.on('GET /v1/policies', () => ({ body: { items: [policy()], nextCursor: null } }));
  api.on(`GET /v1/policies/${policyId}`, () => ({ body: policy() }));
  api.on('POST /v1/policies', () => ({ status: 201, body: policy() }));
  api.on(`PATCH /v1/policies/${policyId}`, () => ({ body: policy({ version: 108 }) }));
  for (const action of ['enable', 'disable'])
    api.on(`POST /v1/policies/${policyId}/${action}`, () => ({ body: policy({ enabled: true }) }));
});
afterEach(() => api.close());

const cli = (args: string[], input = '') => run([...args, '--url', api.url], {}, input);
const sent = () => api.asked.filter(({ method }) => method !== 'GET');

test('policy list shows the order, what each is for and how many people it asks', async () => {
  const ended = await cli(['policy', 'list']);
  expect(ended.code).toBe(0);
  for (const part of [policyId, 'shop', '107', 'everything', '3d']) expect(ended.stdout).toContain(part);
});

test('policy create sends the file and says who has to enable it', async () => {
  const ended = await cli(['policy', 'create', '-'], JSON.stringify(draft));
  expect(ended.code).toBe(0);
  expect(sent()).toMatchObject([{ method: 'POST', path: '/v1/policies', body: draft }]);
  expect(ended.stderr).toContain(`dreamnet policy enable ${policyId} --version 107`);
});

test('policy create refuses what is no object, and sends nothing', async () => {
  expect((await cli(['policy', 'create', '-'], '[1]')).code).toBe(2);
  expect((await cli(['policy', 'create', '/nonexistent/policy.json'])).code).toBe(2);
  expect(api.asked).toEqual([]);
});

test('policy change changes the version that is there, or the one that is given', async () => {
  await cli(['policy', 'change', policyId, '-'], JSON.stringify({ place: 5 }));
  await cli(['policy', 'change', policyId, '-', '--version', '99'], JSON.stringify({ place: 5 }));
  expect(sent().map(({ method, body }) => [method, body])).toEqual([
    ['PATCH', { version: 107, place: 5 }],
    ['PATCH', { version: 99, place: 5 }],
  ]);
});

test('policy enable and disable name the version; disable needs a reason', async () => {
  expect((await cli(['policy', 'enable', policyId])).code).toBe(0);
  expect((await cli(['policy', 'disable', policyId])).code).toBe(2);
  expect((await cli(['policy', 'disable', policyId, '--reason', 'too strict'])).code).toBe(0);
  expect(sent().map(({ body }) => body)).toEqual([{ version: 107 }, { version: 107, reason: 'too strict' }]);
});

test('what the four-eyes rule refuses is forbidden', async () => {
  api.on(`POST /v1/policies/${policyId}/enable`, () => problem(403, 'FORBIDDEN', 'admin wrote version 107'));
  const ended = await cli(['policy', 'enable', policyId]);
  expect(ended.code).toBe(4);
  expect(ended.stderr).toContain('admin wrote version 107');
});

const tested = {
  policy: { id: 'draft', name: 'shop' },
  days: 7,
  complete: true,
  totals: {
    approvals: 1200,
    effects: Object.fromEntries(backTestEffects.map((effect, index) => [effect, index * 11])),
    ...{ morePeople: 40, fewerPeople: 2, votesNotCounted: 3, becomeAutomatic: 4, becomeManual: 5 },
    ...{ medianWaitMs: 7_200_000, medianWouldWaitMs: 10_800_000 },
  },
  items: [
    {
      ...{ id: 'apr_1', title: 'Repair', effect: 'refused', policy: { from: 'built-in', to: 'shop' } },
      ...{ people: { from: 1, to: 2 }, votesNotCounted: [{ name: 'ada', because: 'not-eligible' }] },
      ...{ dispatch: { from: 'manual', to: 'auto' }, waitedMs: 1, wouldWaitMs: null },
    },
  ],
  itemsLeftOut: 7,
  notes: [...backTestLimits],
};

test('policy back-test prints what would differ, the totals, and what cannot be known', async () => {
  api.on('POST /v1/policies/back-test', () => ({ body: tested }));
  const ended = await cli(['policy', 'back-test', '-', '--days', '7'], JSON.stringify(draft));
  expect(ended.code).toBe(0);
  expect(sent()[0]?.body).toEqual({ ...draft, days: 7 });
  for (const part of [
    ...['apr_1', 'built-in -> shop', '1 -> 2', 'ada (not-eligible)', 'manual -> auto', 'and 7 more'],
    ...['1200 in 7 days', '2h -> 3h', 'Silence is not recorded'],
  ])
    expect(ended.stdout).toContain(part);
});

test('policy back-test with --json prints the answer only; by id it sends the id', async () => {
  api.on('POST /v1/policies/back-test', () => ({ body: tested }));
  const ended = await cli(['policy', 'back-test', '--id', policyId, '--json']);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ended.stdout)).toEqual(tested);
  expect(sent()[0]?.body).toEqual({ policyId });
  expect((await cli(['policy', 'back-test'])).code).toBe(2);
});
