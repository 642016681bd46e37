import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Screen, watchInbox } from '../../cli/inbox-watch.ts';
import { openSession } from '../../cli/session.ts';
import { approval, approvalId, type FakeApi, key, problem, run, start, startFakeApi } from './fake-api.ts';

let api: FakeApi;
let items: object[];
beforeEach(async () => {
  api = await startFakeApi();
  items = [approval()];
  api.on('GET /v1/approvals', () => ({ body: { items, nextCursor: null } }));
});
afterEach(() => api.close());

const cli = (...args: string[]) => run([...args, '--url', api.url]);

describe('inbox', () => {
  test('has one line for each approval with all that it takes to judge it', async () => {
    const past = { succeeded: 3, failed: 1, unknown: 0, rejected: 0, lastRunAt: null };
    items = [
      approval({
        ...{ reversible: true, groupSize: 4, risk: 'high', requiredApprovals: 2 },
        pastResults: { here: { ...past, succeeded: 1 }, anywhere: past },
      }),
    ];
    const ended = await cli('inbox');
    expect(ended.code).toBe(0);
    const [head, line] = ended.stdout.split('\n');
    expect(head?.split(/ {2,}/)).toEqual([
      ...['ID', 'AGE', 'EXPIRES IN', 'RISK', 'TITLE', 'TARGET', 'REVERSIBLE', 'VOTES', 'PAST RESULTS'],
    ]);
    expect(line?.split(/ {2,}/)).toEqual([
      ...[approvalId, '1m', '2d', 'high', 'Repair shop (4 proposals)', 'probe:shop', 'yes', '0/2'],
      '1 ok, 1 failed (anywhere: 3 ok, 1 failed)',
    ]);
  });

  test('says so when an action was never done before, or only elsewhere', async () => {
    expect((await cli('inbox')).stdout).toContain('first time');
    const none = { succeeded: 0, failed: 0, unknown: 0, rejected: 0, lastRunAt: null };
    items = [approval({ pastResults: { here: none, anywhere: { ...none, unknown: 2, rejected: 1 } } })];
    expect((await cli('inbox')).stdout).toContain('none here (anywhere: 2 unknown, 1 rejected)');
  });

  test('sends every filter as the API calls it', async () => {
    const ended = await cli(
      ...['inbox', '--kind', 'task', '--risk', 'high', '--target', 'shop:*', '--type', 'repair.*'],
      ...['--requested-by', 'prn_1', '--older-than', '2h', '--expires-within', '30m', '--text', 'shop'],
      ...['--state', 'any', '--sort', 'expiry', '--mine', '--limit', '7'],
    );
    expect(ended.code).toBe(0);
    expect(Object.fromEntries(api.asked[0]?.query ?? [])).toEqual({
      ...{ kind: 'task', risk: 'high', target: 'shop:*', type: 'repair.*', requestedBy: 'prn_1' },
      ...{ olderThan: '2h', expiresWithin: '30m', text: 'shop', state: 'any', sort: 'expiry', mine: 'true' },
      limit: '7',
    });
  });

  test('with an order that does not exist is a mistake of usage', async () => {
    expect((await cli('inbox', '--sort', 'title')).code).toBe(2);
    expect((await cli('inbox', '--watch', '--cursor', 'x')).code).toBe(2);
    expect(api.asked).toEqual([]);
  });
});

describe('inbox --watch', () => {
  test('without a terminal prints plain lines, until it is stopped', async () => {
    const running = start(['inbox', '--watch', '--url', api.url]);
    await running.printed(`+ ${approvalId}`);
    items = [];
    await running.printed(`- ${approvalId}`);
    running.kill('SIGINT');
    const ended = await running.ended;
    expect(ended.stdout).not.toContain('\u001b');
    expect(ended.stdout.match(/^\+/gm)).toHaveLength(1);
  });

  test('with --json prints a page for each look', async () => {
    const running = start(['inbox', '--watch', '--json', '--url', api.url]);
    await running.printed('\n');
    running.kill('SIGTERM');
    const { stdout } = await running.ended;
    for (const line of stdout.trimEnd().split('\n'))
      expect(JSON.parse(line)).toMatchObject({ items: [{ id: approvalId }] });
  });

  /** A screen in memory; `press` is the keyboard in front of it. */
  function fakeScreen() {
    const painted: string[] = [];
    const listeners = new Set<(key: string) => void>();
    const screen: Screen = {
      write: (text) => void painted.push(text),
      onKey(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    };
    return { screen, painted, listeners, press: (typed: string) => listeners.forEach((each) => each(typed)) };
  }

  const session = () =>
    openSession(
      { url: api.url, keyFile: null, as: null, json: false, isOffline: false },
      { url: api.url, key, keyFile: null, keysDir: '/nonexistent', color: false },
      new AbortController().signal,
    );

  test.each(['q', '\u0003'])(
    'on a screen paints anew, outlives an API that is away, and ends at %j',
    async (end) => {
      const { screen, painted, listeners, press } = fakeScreen();
      let looks = 0;
      api.on('GET /v1/approvals', () => {
        looks += 1;
        if (looks === 2) return problem(503, 'UNAVAILABLE', 'away');
        if (looks === 4) press(end);
        return { body: { items: looks < 3 ? items : [], nextCursor: null } };
      });
      await watchInbox(session(), {}, { screen, pauseMs: 5 });
      expect(painted).toHaveLength(3);
      for (const text of painted) expect(text.startsWith('\u001b[H\u001b[2J')).toBe(true);
      expect(painted[0]).toContain(approvalId);
      expect(painted[1]).toContain('Nothing waits.');
      expect(listeners.size).toBe(0);
    },
  );

  test('ends with the error when the first look is refused', async () => {
    api.on('GET /v1/approvals', () => problem(403, 'FORBIDDEN', 'not you'));
    const { screen, listeners } = fakeScreen();
    await expect(watchInbox(session(), {}, { screen, pauseMs: 5 })).rejects.toThrow('not you');
    expect(listeners.size).toBe(0);
  });
});
