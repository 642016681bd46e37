import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const check = (name: string, state: string, said: string) => ({ name, state, said, watches: ['x'] });
const body = {
  items: [
    {
      ...{ name: 'endpoint-health', about: 'answers', watches: 'every probe', modes: ['full', 'light'] },
      ...{ lastLook: null, checks: [], health: null },
    },
    {
      ...{ name: 'swarm-patrol', about: 'small checks', watches: 'what is named', modes: ['full'] },
      lastLook: { cycleId: 'cyc_9', at: '2026-01-01T00:00:00.000Z', state: 'done', tookMs: 42, issues: 1 },
      checks: [check('dns', 'green', 'all as it should be'), check('build', 'red', '/b: \u001b[31mgone')],
      health: 0.5,
    },
  ],
  planned: [{ name: 'graft-health', about: 'grafts', comesWith: 'issue 7' }],
};

beforeAll(async () => {
  api = await startFakeApi();
  api.on('GET /v1/halo/analyzers', () => ({ body }));
});
afterAll(() => api.close());

test('halo analyzers shows the last look of each, the checks of the patrol and what is to come', async () => {
  const { code, stdout } = await run(['halo', 'analyzers', '--url', api.url]);
  expect(code).toBe(0);
  const lines = stdout.split('\n');
  expect(lines.find((line) => line.startsWith('endpoint-health'))).toMatch(
    /full, light .*not yet .*every probe/,
  );
  expect(lines.find((line) => line.startsWith('swarm-patrol '))).toMatch(
    /done .*2026-01-01 .*1 .*42 ms .*cyc_9/,
  );
  expect(lines.find((line) => line.startsWith('swarm-patrol/dns'))).toMatch(/green/);
  expect(lines.find((line) => line.startsWith('swarm-patrol/build'))).toMatch(/red .*gone/);
  expect(stdout).toContain('swarm-patrol: 50 % of the configured checks are green');
  expect(stdout).toContain('to come: graft-health (grafts), with issue 7');
  expect(stdout).not.toContain('\u001b[31mgone');
});

test('halo analyzers --json is what the API said', async () => {
  const { stdout } = await run(['halo', 'analyzers', '--json', '--url', api.url]);
  expect(JSON.parse(stdout)).toEqual(body);
});
