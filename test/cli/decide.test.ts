import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  approval,
  approvalId,
  digest,
  type FakeApi,
  problem,
  run,
  startFakeApi,
  task,
  taskId,
} from './fake-api.ts';

let api: FakeApi;
const decision = `POST /v1/approvals/${approvalId}/decision`;
const decided = {
  approval: approval({ state: 'approved' }),
  outcome: {
    accepted: true,
    approvalId,
    state: 'approved',
    votesLeft: 0,
    decidedAt: '2026-01-01T00:00:00.000Z',
  },
};

beforeEach(async () => {
  api = await startFakeApi();
  api.on(`GET /v1/approvals/${approvalId}`, () => ({ body: approval() }));
  api.on('GET /v1/approvals', () => ({ body: { items: [approval()], nextCursor: null } }));
  api.on(decision, () => ({ body: decided }));
});
afterEach(() => api.close());

const cli = (...args: string[]) => run([...args, '--url', api.url]);
const sent = () => api.asked.filter(({ method }) => method === 'POST');

test('approve shows the content and sends the digest that was shown', async () => {
  const ended = await cli('approve', approvalId, '--reason', 'looks right');
  expect(ended.code).toBe(0);
  for (const part of ['Repair shop', '"restart": true', digest, 'approved', 'http://ui/task/'])
    expect(ended.stdout).toContain(part);
  expect(sent().map(({ body }) => body)).toEqual([{ decision: 'approve', digest, reason: 'looks right' }]);
});

test('approve with a digest from before sends that one, so that changed content is refused', async () => {
  api.on(decision, () => problem(412, 'STALE', 'The content changed after you looked at it.'));
  const ended = await cli('approve', approvalId, '--digest', 'e'.repeat(64));
  expect(ended.code).toBe(6);
  expect(sent()[0]?.body?.digest).toBe('e'.repeat(64));
});

test('with --json approve prints the answer only', async () => {
  const ended = await cli('approve', approvalId, '--json');
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ended.stdout)).toEqual(JSON.parse(JSON.stringify(decided)));
});

test('a decision that is stored but not recorded yet says so and has its own exit code', async () => {
  const temporal = approval().temporal;
  api.on(decision, () => ({
    status: 202,
    body: { status: 'accepted-for-delivery', requestId: 'dec_1', temporal },
  }));
  const ended = await cli('approve', approvalId, '--dispatch');
  expect(ended.code).toBe(9);
  expect(ended.stderr).toContain('relay');
  expect(sent()).toHaveLength(1);
});

test('approve with --dispatch hands the task over after the approval', async () => {
  api.on(`GET /v1/tasks/${taskId}`, () => ({
    body: { task: task({ state: 'pending' }), approval: null, attempts: [] },
  }));
  api.on(`POST /v1/tasks/${taskId}/dispatch`, () => ({ body: { task: task() } }));
  const ended = await cli('approve', approvalId, '--dispatch', '--json');
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  const lines = ended.stdout.trimEnd().split('\n');
  expect(lines.map((line) => Object.keys(JSON.parse(line)))).toEqual([['approval', 'outcome'], ['task']]);
  expect(sent().map(({ path }) => path.split('/').at(-1))).toEqual(['decision', 'dispatch']);
});

test('approve with --dispatch leaves a task alone that still needs another person', async () => {
  api.on(decision, () => ({
    body: { ...decided, outcome: { ...decided.outcome, state: 'open', votesLeft: 1 } },
  }));
  expect((await cli('approve', approvalId, '--dispatch')).code).toBe(6);
  expect(sent()).toHaveLength(1);
});

test.each([[[]], [['--reason', '']], [['--reason', '  ']]])(
  'reject with the reason %j is a mistake of usage',
  async (args) => {
    expect((await cli('reject', approvalId, ...args)).code).toBe(2);
    expect(api.asked).toEqual([]);
  },
);

test('reject sends the reason and the digest that was read', async () => {
  await cli('reject', approvalId, '--reason', 'not today');
  expect(sent()[0]?.body).toEqual({ decision: 'reject', digest, reason: 'not today' });
});

test('what the requester may not do is forbidden, with the reason of the API', async () => {
  api.on(decision, () => problem(403, 'FORBIDDEN', 'admin requested this (four-eyes rule).'));
  const ended = await cli('approve', approvalId);
  expect(ended.code).toBe(4);
  expect(ended.stderr).toContain('four-eyes rule');
});

test('ticket prints the ready line alone', async () => {
  const command = `temporal workflow signal --workflow-id task/${taskId} --name approval --input '{"ticket":"x.y"}'`;
  const answer = {
    ticket: 'x.y',
    expiresAt: '2026-01-01T00:15:00.000Z',
    workflowId: `task/${taskId}`,
    command,
  };
  api.on(`POST /v1/approvals/${approvalId}/tickets`, () => ({ status: 201, body: answer }));
  const ended = await cli('ticket', approvalId, 'approve');
  expect(ended).toMatchObject({ code: 0, stdout: `${command}\n` });
  expect(sent()[0]?.body).toEqual({ decision: 'approve', digest });
  expect((await cli('ticket', approvalId, 'maybe')).code).toBe(2);
});

test('approve says what more it takes, and names the findings that were taken', async () => {
  const stage = {
    number: 1,
    of: 2,
    approvals: 1,
    given: 0,
    approvers: { roles: ['admin'], groups: ['sre'] },
  };
  const item = approval({
    rule: { ...approval().rule, stage },
    findings: [{ id: 'F1', level: 'warn', text: 'writes outside' }],
    handovers: [{ fromName: 'ann', toName: 'ben' }],
  });
  api.on(`GET /v1/approvals/${approvalId}`, () => ({ body: item }));
  const ended = await cli(
    'approve',
    approvalId,
    '--acknowledge',
    'F1, F2',
    '--break-glass',
    '--reason',
    'fire',
  );
  expect(ended.code).toBe(0);
  for (const part of ['1 of 2: 0/1 by role admin or group sre', 'warn F1: writes outside', 'ann to ben'])
    expect(ended.stdout).toContain(part);
  expect(sent()[0]?.body).toEqual({
    ...{ decision: 'approve', digest, reason: 'fire', breakGlass: true },
    acknowledgedFindings: ['F1', 'F2'],
  });
});

test('reject carries what should be different', async () => {
  await cli('reject', approvalId, '--reason', 'wrong port', '--guidance', 'use 8080');
  expect(sent()[0]?.body).toMatchObject({ decision: 'reject', reason: 'wrong port', guidance: 'use 8080' });
});

describe('edit', () => {
  const route = `POST /v1/approvals/${approvalId}/edit`;
  beforeEach(() => {
    api.on(route, () => ({ body: { approval: approval({ id: 'apr_new' }), replaces: approvalId } }));
  });
  const edit = (args: string[], input = '') =>
    run(['edit', approvalId, ...args, '--url', api.url], {}, input);

  test('shows what changes, asks, and sends it with the digest that was read', async () => {
    const ended = await edit(['--payload', '{"restart": false}', '--title', 'Stop shop'], 'y\n');
    expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining('Send this edit?') });
    for (const part of [
      '-   "restart": true',
      '+   "restart": false',
      '- Repair shop',
      '+ Stop shop',
      'apr_new',
    ])
      expect(ended.stdout).toContain(part);
    expect(sent()[0]?.body).toEqual({ digest, payload: { restart: false }, title: 'Stop shop' });
  });

  test.each(['n\n', '\n', ''])('sends nothing without a yes (%j)', async (input) => {
    const ended = await edit(['--title', 'Stop shop'], input);
    expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining('Nothing was changed') });
    expect(sent()).toEqual([]);
  });

  test('with --yes nobody is asked; a script that gives neither is told to', async () => {
    expect(await edit(['--title', 'x', '--json', '--yes'])).toMatchObject({ code: 0, stderr: '' });
    expect((await edit(['--title', 'x', '--json'])).code).toBe(2);
    expect((await edit([])).code).toBe(2);
    expect((await edit(['--payload', '-'], '{}')).code).toBe(2);
    expect((await edit(['--payload', '-', '--yes'], '{"a": 1}')).code).toBe(0);
    expect(sent()).toHaveLength(2);
  });
});

test('hand-over names who decides instead', async () => {
  api.on(`POST /v1/approvals/${approvalId}/hand-over`, () => ({
    body: { approval: approval({ handovers: [{ fromName: 'admin', toName: 'operator' }] }) },
  }));
  const ended = await cli('hand-over', approvalId, 'operator', '--reason', 'away');
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('operator now decides') });
  expect(sent()[0]?.body).toEqual({ to: 'operator', reason: 'away' });
});

test('the first six characters are enough while they name one approval', async () => {
  expect((await cli('approve', '012345')).code).toBe(0);
  const twin = approval({ id: 'apr_0123456789zzzzzz' });
  api.on('GET /v1/approvals', () => ({ body: { items: [approval(), twin], nextCursor: null } }));
  const ended = await cli('approve', 'apr_0123456');
  expect(ended.code).toBe(2);
  expect(ended.stderr).toContain(twin.id);
  expect((await cli('approve', 'apr_01234')).code).toBe(2);
  expect((await cli('approve', taskId)).code).toBe(2);
  expect(sent()).toHaveLength(1);
});

test('what a title or a payload would make a terminal do is shown instead', async () => {
  const evil = 'ok\u001b[2J\u009b31m\u202eevil\r\nnext\u0007';
  const item = approval({ title: evil, summary: { target: evil, payload: { [evil]: evil } } });
  api.on('GET /v1/approvals', () => ({ body: { items: [item], nextCursor: null } }));
  api.on(`GET /v1/approvals/${approvalId}`, () => ({ body: item }));
  for (const args of [['inbox'], ['approve', approvalId], ['inbox', '--json']]) {
    const ended = await cli(...args);
    expect(ended.code).toBe(0);
    // eslint-disable-next-line no-control-regex
    expect(ended.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(ended.stdout).toContain('\\u001b[2J');
  }
  const asJson = JSON.parse((await cli('inbox', '--json')).stdout);
  expect(asJson.items[0].title).toBe(evil);
  api.on('GET /v1/approvals', () => problem(400, 'INVALID', evil));
  const ended = await cli('inbox');
  expect(ended.stderr).toContain('\\u001b[2J');
  expect(ended.stderr).not.toContain('\u001b');
});
