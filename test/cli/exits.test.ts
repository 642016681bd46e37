import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeApi, problem, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
beforeAll(async () => {
  api = await startFakeApi();
});
afterAll(() => api.close());

const me = {
  id: 'prn_admin',
  kind: 'human',
  name: 'admin',
  role: 'admin',
  permissions: ['tasks:read'],
  agentId: null,
};

test.each([
  [400, 'INVALID', 2],
  [401, 'UNAUTHENTICATED', 3],
  [403, 'FORBIDDEN', 4],
  [404, 'NOT_FOUND', 5],
  [405, 'METHOD_NOT_ALLOWED', 1],
  [409, 'CONFLICT', 6],
  [410, 'EXPIRED', 6],
  [412, 'STALE', 6],
  [413, 'PAYLOAD_TOO_LARGE', 2],
  [429, 'LIMIT', 7],
  [500, 'INTERNAL', 1],
  [503, 'UNAVAILABLE', 8],
])('an answer %i %s ends with its own exit code %i', async (status, code, exit) => {
  api.on('GET /v1/me', () => problem(status, code, `this is ${code}`));
  const ended = await run(['me', '--url', api.url]);
  expect(ended).toMatchObject({ code: exit, stdout: '' });
  expect(ended.stderr).toContain(`this is ${code}`);
  expect(ended.stderr).toContain('req_1');
});

test('with --json an error is the problem object on stderr, and stdout stays empty', async () => {
  const answer = problem(409, 'CONFLICT', 'already decided');
  api.on('GET /v1/me', () => answer);
  const ended = await run(['me', '--json', '--url', api.url]);
  expect(ended).toMatchObject({ code: 6, stdout: '' });
  expect(JSON.parse(ended.stderr)).toEqual(answer.body);
});

test('with --json an answer is exactly what the API said, on one line, and nothing else', async () => {
  const body = { ...me, extra: { '2': 'b', '1': 'a', big: '\u202e\u001b[31m' } };
  api.on('GET /v1/me', () => ({ body }));
  const ended = await run(['me', '--json', '--url', api.url]);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(ended.stdout.split('\n')).toHaveLength(2);
  expect(JSON.parse(ended.stdout)).toEqual(body);
});

test('a server that cannot be reached is unavailable, in JSON too', async () => {
  const closed = await startFakeApi();
  await closed.close();
  expect(await run(['me', '--url', closed.url])).toMatchObject({ code: 8, stdout: '' });
  const ended = await run(['--json', '--url', closed.url, 'me']);
  expect(ended.code).toBe(8);
  expect(JSON.parse(ended.stderr)).toMatchObject({ code: 'CLI_UNAVAILABLE' });
});

test('an answer that is not of this API is a fault, and a redirect is never followed with the key', async () => {
  api.on('GET /v1/me', () => ({ body: '<html>' }));
  expect(await run(['me', '--url', api.url])).toMatchObject({ code: 1, stdout: '' });
  const other = await startFakeApi();
  api.on('GET /v1/me', () => ({ status: 307, body: {}, headers: { location: `${other.url}/v1/me` } }));
  expect(await run(['me', '--url', api.url])).toMatchObject({ code: 1, stdout: '' });
  expect(other.asked).toEqual([]);
  await other.close();
});

test.each([
  [['nothing']],
  [['task']],
  [['task', 'nothing']],
  [['me', '--unknown']],
  [['me', 'extra']],
  [['task', 'list', '--state', 'asleep']],
  [['task', 'show']],
  [['probe', 'run', '..']],
  [['event', 'send', 'a.b', '--source', 'nobody']],
  [['event', 'send', 'a.b', '--payload', '[1]']],
  [['event', 'send', 'a.b', '--payload', '@/nonexistent']],
  [['me', '--url', 'ftp://x']],
])('%j is a mistake of usage, and nothing is sent', async (args) => {
  const before = api.asked.length;
  const ended = await run(args, { DREAMNET_URL: api.url });
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).not.toBe('');
  expect(api.asked).toHaveLength(before);
});

test('help lists every exit code and needs no server', async () => {
  for (const args of [['--help'], ['task', '--help'], ['approve', '--help']]) {
    const ended = await run(args);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    for (let code = 0; code <= 10; code += 1)
      expect(ended.stdout).toMatch(new RegExp(`^ {2}${code} {2}`, 'm'));
  }
});

test('a status with a part that is down is shown, and ends as unavailable', async () => {
  const readiness = { ready: false, checks: { temporal: { ok: false, message: 'no answer' } } };
  const body = {
    tasks: {},
    openApprovals: 0,
    agents: {},
    probes: {},
    lastCycle: null,
    rawSignals: 'refuse',
    killSwitches: [],
    readiness,
  };
  api.on('GET /v1/status', () => ({ body }));
  const ended = await run(['status', '--url', api.url]);
  expect(ended.code).toBe(8);
  expect(ended.stdout).toContain('temporal: no answer');
});
