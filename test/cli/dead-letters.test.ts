import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeApi, problem, run, start, startFakeApi } from './fake-api.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

const cli = (...args: string[]) => run([...args, '--url', api.url]);
const sent = () => api.asked.filter(({ method }) => method === 'POST');

const letter = {
  ...{ id: 'ddl_1', deliveryId: 'dlv_1', subscription: 'shop', part: '', eventId: 'evt_1' },
  ...{ eventType: 'shop.order.failed', cause: 'UNREACHABLE', error: 'connection refused', attempts: 5 },
  ...{ state: 'open', handledBy: null, reason: null, handledAt: null, redriveId: null },
  createdAt: '2026-01-01T00:00:00.000Z',
};
const counts = { waiting: 41, released: 1, completed: 0, failed: 0, leftOut: 0 };
const redrive = (more: object = {}) => ({
  ...{ id: 'rdr_1', state: 'canary', requestedBy: 'prn_ada', reason: 'mended', filter: null, canary: true },
  ...{ perMinute: 60, total: 42, counts, endedBecause: null, cancelledBy: null, endedAt: null },
  createdAt: '2026-01-01T00:00:00.000Z',
  temporal: { workflowId: 'redrive/rdr_1', runId: null, url: 'http://ui/redrive' },
  odd: [],
  ...more,
});
const selection = `${'a'.repeat(64)}.42.1767225600000`;
const preview = {
  ...{ preview: true, count: 42, more: true, selection },
  heaps: [{ subscription: 'shop', cause: 'UNREACHABLE', count: 42 }],
  items: [{ ...letter }],
  leftOut: [{ id: 'ddl_9', why: 'The redrive rdr_7 has taken it up already.' }],
};

describe('dead-letter', () => {
  test('list passes its filters on and shows what was given up, and why', async () => {
    api.on('GET /v1/dead-letters', () => ({ body: { items: [letter], nextCursor: 'more' } }));
    const filters = [
      '--subscription',
      'shop',
      '--cause',
      'UNREACHABLE',
      '--type',
      'shop.*',
      '--text',
      'refused',
    ];
    const ended = await cli('dead-letter', 'list', ...filters, '--state', 'any', '--from', '2026-01-01');
    expect(ended.code).toBe(0);
    for (const part of ['ddl_1', 'UNREACHABLE', 'connection refused']) expect(ended.stdout).toContain(part);
    expect(ended.stderr).toContain('--cursor more');
    expect(Object.fromEntries(api.asked[0]?.query ?? [])).toEqual({
      ...{ subscription: 'shop', cause: 'UNREACHABLE', type: 'shop.*', text: 'refused', state: 'any' },
      from: '2026-01-01T00:00:00.000Z',
    });
  });

  test('show has the event, every attempt and what its delivery is now; what is hostile in it is made visible', async () => {
    const whole = {
      ...letter,
      error: 'broken \u001b[2J',
      event: { id: 'evt_1', payload: { order: 7 } },
      history: [{ at: '2026-01-01T00:00:00.000Z', cause: 'UNREACHABLE', error: 'no route' }],
      delivery: { state: 'failed', attempts: 5 },
      occurrences: [
        { id: 'ddl_0', state: 'requeued' },
        { id: 'ddl_1', state: 'open' },
      ],
    };
    api.on('GET /v1/dead-letters/ddl_1', () => ({ body: whole }));
    const ended = await cli('dead-letter', 'show', 'ddl_1');
    expect(ended.code).toBe(0);
    for (const part of ['{"order":7}', 'no route', 'failed, 5 attempts', 'ddl_0 (requeued)'])
      expect(ended.stdout).toContain(part);
    expect(ended.stdout).not.toContain('\u001b[2J');
    expect((await cli('dead-letter', 'show', 'ddl_2')).code).toBe(5);
  });

  test('summary says what grew and which alerts stand', async () => {
    api.on('GET /v1/dead-letters/summary', () => ({
      body: {
        open: 137,
        heaps: [
          {
            ...{ subscription: 'shop', cause: 'UNREACHABLE', open: 137, lastHour: 41, lastDay: 99 },
            oldestOpenAt: '2026-01-01T00:00:00.000Z',
          },
        ],
        alerts: [
          { subscription: 'shop', because: '137 open (limit 100)', raisedAt: '2026-01-01T00:00:00.000Z' },
        ],
      },
    }));
    const ended = await cli('dead-letter', 'summary');
    expect(ended.code).toBe(0);
    expect(ended.stdout).toMatch(/growing: shop: 137 open \(limit 100\)/);
    expect(ended.stdout).toMatch(/shop +UNREACHABLE +137 +41 +99/);
    expect((await cli('dead-letter', 'summary', '--json')).stdout).toContain('"lastHour":41');
  });
});

describe('dead-letter redrive', () => {
  const path = 'POST /v1/dead-letters/redrive';
  beforeEach(() => {
    api.on(path, ({ body }) =>
      body?.preview === true
        ? { body: preview }
        : { status: 201, body: { preview: false, redrive: redrive(), leftOut: [] } },
    );
  });

  test('shows what it is about and then does it with that selection', async () => {
    const options = ['--per-minute', '120', '--maximum', '42', '--reason', 'mended', '--yes'];
    const ended = await cli('dead-letter', 'redrive', '--subscription', 'shop', ...options);
    expect(ended.code).toBe(0);
    const wanted = { filter: { subscription: 'shop' }, maximum: 42, reason: 'mended', perMinute: 120 };
    expect(sent().map(({ body }) => body)).toEqual([
      { ...wanted, preview: true },
      { ...wanted, selection },
    ]);
    for (const part of ['42 ', 'and 41 more', 'over the maximum', 'left out: ddl_9', 'rdr_1', '60 a minute'])
      expect(ended.stdout).toContain(part);
    expect(ended.stderr).toContain('dreamnet redrive watch rdr_1');
  });

  test('of named ones and without a canary says so', async () => {
    await cli('dead-letter', 'redrive', '--ids', 'ddl_1, ddl_2', '--without-canary', '--yes');
    expect(sent()[0]?.body).toEqual({ ids: ['ddl_1', 'ddl_2'], canary: false, preview: true });
  });

  test('of one needs no preview', async () => {
    api.on('POST /v1/dead-letters/ddl_1/redrive', () => ({
      status: 202,
      body: { preview: false, redrive: redrive({ total: 1 }), leftOut: [] },
    }));
    const ended = await cli('dead-letter', 'redrive', 'ddl_1', '--reason', 'mended');
    expect(ended.code).toBe(9);
    expect(sent()).toMatchObject([{ path: '/v1/dead-letters/ddl_1/redrive', body: { reason: 'mended' } }]);
  });

  test('without a terminal and without --yes shows the preview and does nothing', async () => {
    const ended = await cli('dead-letter', 'redrive', '--all');
    expect(ended.code).toBe(2);
    expect(ended.stdout).toContain('UNREACHABLE');
    expect(sent()).toHaveLength(1);
    expect(sent()[0]?.body).toEqual({ filter: {}, preview: true });
  });

  test('with --json wants --yes or --preview, and prints one answer', async () => {
    expect((await cli('dead-letter', 'redrive', '--all', '--json')).code).toBe(2);
    expect(sent()).toEqual([]);
    const shown = await cli('dead-letter', 'redrive', '--all', '--json', '--preview');
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(shown.stdout)).toEqual(preview);
    const ended = await cli('dead-letter', 'redrive', '--all', '--json', '--yes');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toMatchObject({ redrive: { id: 'rdr_1' } });
  });

  test.each([
    [['redrive']],
    [['redrive', '--all', '--subscription', 'shop']],
    [['redrive', 'ddl_1', '--all']],
    [['redrive', '--all', '--ids', 'ddl_1']],
    [['redrive', '../../x']],
    [['redrive', '--all', '--per-minute', 'fast']],
    [['redrive', '--all', '--from', 'yesterday']],
    [['redrive', '--all', '--no-such-option']],
    [['discard', '--all']],
    [['discard', '--all', '--reason', ' ', '--yes']],
  ])('%j is a mistake of usage, and sends nothing', async (args) => {
    expect((await cli('dead-letter', ...args)).code).toBe(2);
    expect(sent()).toEqual([]);
  });

  test('of a selection that moved, and of one that is discarded, is a conflict', async () => {
    api.on(path, ({ body }) =>
      body?.preview === true ? { body: preview } : problem(412, 'STALE', 'it was 42, now it is 41'),
    );
    const moved = await cli('dead-letter', 'redrive', '--all', '--yes');
    expect(moved.code).toBe(6);
    expect(moved.stderr).toContain('now it is 41');
    api.on('POST /v1/dead-letters/ddl_1/redrive', () => problem(409, 'CONFLICT', 'It was discarded by ada'));
    const gone = await cli('dead-letter', 'redrive', 'ddl_1');
    expect(gone.code).toBe(6);
    expect(gone.stderr).toContain('discarded by ada');
  });

  test('of nothing is no fault, and of nothing that can be handled is a conflict', async () => {
    const nothing = { ...preview, count: 0, more: false, heaps: [], items: [] };
    api.on(path, () => ({ body: { ...nothing, leftOut: [] } }));
    expect(await cli('dead-letter', 'redrive', '--all', '--yes')).toMatchObject({ code: 0 });
    api.on(path, () => ({ body: nothing }));
    const ended = await cli('dead-letter', 'redrive', '--ids', 'ddl_9', '--yes');
    expect(ended.code).toBe(6);
    expect(ended.stdout).toContain('rdr_7 has taken it up');
  });
});

test('dead-letter discard shows, asks for a yes, and counts; what others handled makes it a conflict', async () => {
  let leftOut: object[] = [];
  api.on('POST /v1/dead-letters/discard', ({ body }) => ({
    body: body?.preview === true ? preview : { preview: false, count: 42, discarded: 41, leftOut },
  }));
  const discard = () => cli('dead-letter', 'discard', '--cause', 'REFUSED', '--reason', 'old', '--yes');
  const ended = await discard();
  expect(ended.code).toBe(0);
  expect(ended.stdout).toContain('41 discarded');
  expect(sent()[1]?.body).toEqual({ filter: { cause: 'REFUSED' }, reason: 'old', selection });
  leftOut = [{ id: 'ddl_3', why: 'It was handed over again by bob' }];
  expect(await discard()).toMatchObject({ code: 6, stdout: expect.stringContaining('by bob') });
  api.on('POST /v1/dead-letters/ddl_1/discard', () => ({ body: { ...letter, state: 'discarded' } }));
  const one = await cli('dead-letter', 'discard', 'ddl_1', '--reason', 'old');
  expect(one).toMatchObject({ code: 0, stdout: expect.stringContaining('ddl_1 is discarded') });
});

describe('redrive', () => {
  test('list, show and cancel', async () => {
    const odd = [{ deadLetterId: 'ddl_5', state: 'failed', because: 'UNREACHABLE' }];
    api.on('GET /v1/redrives', () => ({ body: { items: [redrive()], nextCursor: null } }));
    api.on('GET /v1/redrives/rdr_1', () => ({ body: redrive({ odd }) }));
    api.on('POST /v1/redrives/rdr_1/cancel', () => ({
      body: redrive({ state: 'cancelled', cancelledBy: 'prn_bob', endedBecause: 'wrong one' }),
    }));
    expect((await cli('redrive', 'list', '--state', 'canary')).stdout).toMatch(
      /rdr_1 +canary +0 +0 +1 +41 +42/,
    );
    const shown = await cli('redrive', 'show', 'rdr_1');
    for (const part of ['ddl_5', 'UNREACHABLE', '60 a minute, after a canary', 'http://ui/redrive'])
      expect(shown.stdout).toContain(part);
    const cancelled = await cli('redrive', 'cancel', 'rdr_1', '--reason', 'wrong one');
    expect(cancelled).toMatchObject({ code: 0, stdout: expect.stringContaining('prn_bob') });
    expect(sent()).toMatchObject([{ body: { reason: 'wrong one' } }]);
    expect((await cli('redrive', 'list', '--state', 'gone')).code).toBe(2);
  });

  test.each([
    ['done', 0],
    ['stopped', 6],
    ['cancelled', 6],
  ])('watch follows it to its end: %s is exit %i', async (state, code) => {
    const looks = [
      redrive(),
      redrive(),
      redrive({ state: 'releasing', counts: { ...counts, completed: 1 } }),
    ];
    let at = 0;
    api.on('GET /v1/redrives/rdr_1', () => {
      const body =
        looks[at++] ?? redrive({ state, endedBecause: 'so it is', endedAt: '2026-01-01T00:01:00.000Z' });
      // An API that is away for a moment is waited for.
      return at === 2 ? problem(503, 'UNAVAILABLE', 'The database does not answer.') : { body };
    });
    const ended = await cli('redrive', 'watch', 'rdr_1');
    expect(ended.code).toBe(code);
    expect(
      ended.stdout
        .trim()
        .split('\n')
        .map((line) => line.split(':')[0]),
    ).toEqual([...['canary', 'releasing', state]]);
    expect(ended.stderr).toContain('so it is');
  });

  test('watch with --json is one object for each change; Ctrl-C ends it, which is not done', async () => {
    api.on('GET /v1/redrives/rdr_1', () => ({ body: redrive() }));
    const watching = start(['redrive', 'watch', 'rdr_1', '--json', '--url', api.url]);
    await watching.printed('\n');
    watching.kill('SIGINT');
    const ended = await watching.ended;
    expect(ended).toMatchObject({ code: 130, stderr: '' });
    expect(JSON.parse(ended.stdout)).toMatchObject({ id: 'rdr_1', state: 'canary' });
  });
});
