import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeIssue } from '../../cli/halo-issue.ts';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

const cli = (...args: string[]) => run([...args, '--url', api.url]);

const probe = {
  ...{ id: 'prb_1', name: 'shop', method: 'GET', url: 'http://shop/', state: 'failed', enabled: true },
  ...{ intervalSeconds: 60, consecutiveFailures: 2, dependsOn: ['prb_db', 'prb_cache'] },
  lastResult: {
    ...{ ok: false, status: 503, latencyMs: 12, failures: ['status 503'] },
    at: '2026-01-01T00:00:00.000Z',
  },
};

test('probe show tells what it depends on and how it last answered', async () => {
  api.on('GET /v1/probes/prb_1', () => ({ body: probe }));
  const { stdout } = await cli('probe', 'show', 'prb_1');
  expect(stdout).toMatch(/depends on +prb_db, prb_cache/);
  expect(stdout).toMatch(/last result +failed: status 503 \(status 503, 12 ms/);
  expect(JSON.parse((await cli('probe', 'show', 'prb_1', '--json')).stdout)).toEqual(probe);
});

test.each([
  ['db, cache', ['db', 'cache']],
  ['none', []],
])('probe edit --depends-on "%s" says it is %j from now on', async (given, dependsOn) => {
  api.on('PATCH /v1/probes/prb_1', () => ({ body: probe }));
  await cli('probe', 'edit', 'prb_1', '--depends-on', given);
  expect(api.asked.find(({ method }) => method === 'PATCH')?.body).toEqual({ dependsOn });
});

test('probe create passes on what it depends on', async () => {
  api.on('POST /v1/probes', () => ({ status: 201, body: probe }));
  await cli('probe', 'create', 'shop', 'http://shop/', '--depends-on', 'db');
  expect(api.asked.find(({ method }) => method === 'POST')?.body).toMatchObject({ dependsOn: ['db'] });
});

test('an issue of a cycle is shown with its figures and events', () => {
  const lines = describeIssue({
    ...{ id: 'iss_1', analyzer: 'endpoint-health', entityKind: 'probe', entityId: 'prb_1' },
    ...{ severity: 'high', title: 'answers in 430 ms', evidence: ['evt_2', 'evt_1'] },
    observed: { normal: 100, now: 430, change: { score: 9 }, lastLatencyMs: null },
  });
  expect(lines).toEqual([
    'issue       high      probe prb_1: answers in 430 ms',
    '            normal 100, now 430, change {"score":9}, lastLatencyMs none',
    '            shown by evt_2, evt_1',
  ]);
});

test('what others wrote cannot move the cursor', () => {
  const title = 'status \u001b[2J';
  const issue = { id: 'i', analyzer: 'a', entityKind: 'probe', entityId: 'p', severity: 'low', title };
  expect(describeIssue({ ...issue, evidence: [], observed: {} }).join('')).not.toContain('\u001b');
});
