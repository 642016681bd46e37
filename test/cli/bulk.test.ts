import { afterEach, beforeEach, expect, test } from 'vitest';
import { approval, approvalId, type FakeApi, problem, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const path = 'POST /v1/approvals/bulk-decision';
const selection = `${'a'.repeat(64)},${approvalId}~dddddddddddd`;
const preview = {
  ...{ preview: true, decision: 'approve', count: 2, more: true, selection },
  items: [
    { id: approvalId, kind: 'task', title: 'Repair shop', risk: 'medium', target: 'shop', whyNot: null },
    { id: 'apr_2', kind: 'task', title: 'Mine', risk: 'low', target: 'shop', whyNot: 'you requested this' },
  ],
  leftOut: [{ id: 'apr_3', title: 'Drop all', why: 'Its risk is high' }],
};
const result = { id: approvalId, title: 'Repair shop', accepted: true, state: 'approved', delivered: true };
const done = {
  ...{ preview: false, decision: 'approve', count: 1, accepted: 1, refused: 0, pending: 0 },
  results: [result],
};
let answer: object;

beforeEach(async () => {
  api = await startFakeApi();
  answer = done;
  api.on('GET /v1/approvals', () => ({ body: { items: [approval()], nextCursor: null } }));
  api.on(path, ({ body }) => ({ body: body?.preview === true ? preview : answer }));
});
afterEach(() => api.close());

const cli = (...args: string[]) => run([...args, '--url', api.url]);
const sent = () => api.asked.filter(({ method }) => method === 'POST').map(({ body }) => body);

test('bulk approve shows the preview and then decides with its selection', async () => {
  const ended = await cli(
    'bulk',
    'approve',
    '--target',
    'shop*',
    '--risk',
    'medium',
    '--reason',
    'ok',
    '--yes',
  );
  expect(ended.code).toBe(0);
  const wanted = { decision: 'approve', filter: { target: 'shop*', risk: 'medium' }, reason: 'ok' };
  expect(sent()).toEqual([
    { ...wanted, preview: true },
    { ...wanted, selection },
  ]);
  for (const part of [approvalId, 'Drop all', 'Its risk is high', 'There are more', 'approved', '1 accepted'])
    expect(ended.stdout).toContain(part);
});

test('without a terminal and without --yes it shows the preview and decides nothing', async () => {
  const ended = await cli('bulk', 'approve', '--target', 'shop');
  expect(ended.code).toBe(2);
  expect(ended.stdout).toContain('Repair shop');
  expect(ended.stderr).toContain('--yes');
  expect(sent()).toHaveLength(1);
});

test('with --json it wants --yes or --preview, and prints one answer', async () => {
  expect((await cli('bulk', 'approve', '--all', '--json')).code).toBe(2);
  expect(sent()).toEqual([]);
  const shown = await cli('bulk', 'approve', '--all', '--json', '--preview');
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(shown.stdout)).toEqual(preview);
  const ended = await cli('bulk', 'approve', '--all', '--json', '--yes');
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ended.stdout)).toEqual(done);
});

test('ids may be short, and what is excepted goes along', async () => {
  await cli(
    'bulk',
    'reject',
    '--id',
    '012345',
    '--except',
    'apr_zzzzzzzzzzzzzzzz',
    '--reason',
    'no',
    '--yes',
  );
  expect(sent()[1]).toEqual({
    ...{ decision: 'reject', reason: 'no', ids: [approvalId], except: ['apr_zzzzzzzzzzzzzzzz'], selection },
  });
});

test.each([
  [['bulk', 'approve', '--yes']],
  [['bulk', 'approve', '--all', '--target', 'shop', '--yes']],
  [['bulk', 'approve', '--all', '--id', approvalId, '--yes']],
  [['bulk', 'reject', '--all', '--yes']],
])('%j is a mistake of usage, and sends nothing', async (args) => {
  expect((await cli(...args)).code).toBe(2);
  expect(sent()).toEqual([]);
});

test('a selection that moved is a conflict', async () => {
  api.on(path, ({ body }) =>
    body?.preview === true ? { body: preview } : problem(412, 'STALE', '1 appeared, 0 left, 0 changed'),
  );
  const ended = await cli('bulk', 'approve', '--all', '--yes');
  expect(ended.code).toBe(6);
  expect(ended.stderr).toContain('1 appeared');
});

test('one that was refused makes the whole a conflict, one on its way makes it accepted', async () => {
  const refused = {
    ...result,
    accepted: false,
    state: undefined,
    code: 'CONFLICT',
    message: 'already rejected',
  };
  answer = { ...done, accepted: 1, refused: 1, results: [result, refused] };
  const mixed = await cli('bulk', 'approve', '--all', '--yes');
  expect(mixed.code).toBe(6);
  expect(mixed.stdout).toContain('already rejected');
  answer = { ...done, pending: 1, results: [{ ...result, state: 'open', delivered: false }] };
  const late = await cli('bulk', 'approve', '--all', '--yes');
  expect(late.code).toBe(9);
  expect(late.stdout).toContain('on its way');
});
