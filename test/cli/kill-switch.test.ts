import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeApi, problem, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const held = { running: 2, waiting: 3, parked: 4 };
const killSwitch = {
  scope: 'target:probe:*',
  state: 'engaged',
  level: 'approve-only',
  epoch: 7,
  reason: 'it runs wild\u001b[31m',
  engagedBy: { id: 'prn_operator', name: 'olga' },
  engagedAt: '2026-01-01T00:15:00.000Z',
  release: null as object | null,
  held,
};
const release = {
  by: { id: 'prn_admin', name: 'anna' },
  at: '2026-01-01T01:15:00.000Z',
  reason: 'it is calm',
  perMinute: 12,
  drained: 5,
};
const draining = { ...killSwitch, state: 'draining', level: 'dispatch', release };

beforeEach(async () => {
  api = await startFakeApi();
  api.on('GET /v1/kill-switch', () => ({ body: { items: [killSwitch, draining], nextCursor: null } }));
  api.on('PUT /v1/kill-switch', () => ({ body: { killSwitch, told: 2 } }));
  api.on('POST /v1/kill-switch/release', () => ({ body: { killSwitch: draining } }));
});
afterEach(() => api.close());

const cli = (...args: string[]) => run(['kill-switch', ...args, '--url', api.url]);
const sent = () => api.asked.filter(({ method }) => method !== 'GET').map(({ body }) => body);
const engage = ['engage', '--scope', 'target:probe:*', '--level', 'approve-only', '--reason', 'it runs wild'];
const letGo = ['release', '--scope', 'target:probe:*', '--reason', 'it is calm'];

describe('kill-switch', () => {
  test('engage sends scope, level and reason, and says what it did and how it ends', async () => {
    const { code, stdout } = await cli(...engage, '--yes');
    expect(code).toBe(0);
    expect(sent()).toEqual([{ scope: 'target:probe:*', level: 'approve-only', reason: 'it runs wild' }]);
    for (const part of ['KILL SWITCH ENGAGED', 'olga', '2 runs', "release --scope 'target:probe:*'"])
      expect(stdout).toContain(part);
    expect(stdout).not.toContain('\u001b');
  });

  test.each([
    ['without a terminal to ask at', engage],
    ['with --json', [...engage, '--json']],
    ['of a release without a terminal', letGo],
  ])('nothing happens %s and without --yes', async (_, args) => {
    const { code, stderr } = await cli(...args);
    expect(code).toBe(2);
    expect(stderr).toContain('--yes');
    expect(sent()).toEqual([]);
  });

  test.each([
    [['engage', '--scope', 'all', '--reason', 'r', '--yes']],
    [['engage', '--scope', 'all', '--level', 'dispatch', '--reason', 'r', '--yes']],
    [['engage', '--scope', 'all', '--level', 'observe', '--yes']],
    [['engage', '--level', 'observe', '--reason', 'r', '--yes']],
    [['release', '--scope', 'all', '--yes']],
    [['release', '--scope', 'all', '--reason', 'r', '--per-minute', 'many', '--yes']],
  ])('%j is refused before anything is sent', async (args) => {
    expect((await cli(...args)).code).toBe(2);
    expect(api.asked).toEqual([]);
  });

  test('release sends the rate only where one is given, and shows how far it has got', async () => {
    const { stdout } = await cli(...letGo, '--yes');
    await cli(...letGo, '--per-minute', '12', '--yes');
    const said = { scope: 'target:probe:*', reason: 'it is calm' };
    expect(sent()).toEqual([said, { ...said, perMinute: 12 }]);
    for (const part of ['draining', 'anna', '4 parked', '5 let go', '12 a minute'])
      expect(stdout).toContain(part);
  });

  test('show lists engaged and draining switches; with --json exactly what the API said', async () => {
    const { stdout } = await cli('show');
    for (const part of ['engaged', 'draining', 'olga', '5 at 12/min', 'it is calm'])
      expect(stdout).toContain(part);
    const json = await cli('show', '--json');
    expect(JSON.parse(json.stdout)).toEqual({ items: [killSwitch, draining], nextCursor: null });
  });

  test('a refusal ends with its own code', async () => {
    api.on('PUT /v1/kill-switch', () => problem(403, 'FORBIDDEN', 'lacks kill-switch:engage'));
    const { code, stderr } = await cli(...engage, '--yes');
    expect(code).toBe(4);
    expect(stderr).toContain('kill-switch:engage');
  });
});

test('status shows an engaged switch loudly, before everything else', async () => {
  const status = {
    ...{ tasks: {}, openApprovals: 0, agents: {}, probes: {}, lastCycle: null, rawSignals: 'refuse' },
    ...{ killSwitches: [killSwitch], readiness: { ready: true, checks: {} } },
  };
  api.on('GET /v1/status', () => ({ body: status }));
  const { stdout } = await run(['status', '--url', api.url]);
  expect(stdout).toMatch(/^ready\nKILL SWITCH ENGAGED over target:probe:\*/);
  expect(stdout).toContain('by olga');
});
