import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeApi, problem, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const id = 'rpl_0123456789abcdef';
const path = `/v1/replays/${id}`;

function replay(given: object = {}, progress: object = {}) {
  return {
    ...{
      id,
      subscription: 'shop',
      select: { correlationId: 'order-1' },
      onlyMatching: false,
      sideEffects: false,
    },
    ...{ perMinute: 6_000, maximum: 10_000, state: 'running', because: null, reason: 'look again' },
    progress: {
      ...{ selected: 2, notMatching: 0, queued: 2, allQueued: true, pending: 2, processing: 0 },
      ...{ completed: 0, failed: 0, withdrawn: 0, ...progress },
    },
    ...{ requestedBy: 'prn_olga', createdAt: '2026-01-01T00:00:00.000Z', endedAt: null },
    temporal: { workflowId: `replay/${id}`, runId: null, url: `http://ui/replay/${id}` },
    ...given,
  };
}

const first = { id: 'evt_1', type: 'shop.order', recordedAt: '2026-01-01T00:00:00.000Z' };
const preview = {
  ...{ preview: true, subscription: 'shop', count: 2, more: false, matching: null, selection: 'token' },
  ...{ first, last: { ...first, id: 'evt_2' }, types: [{ type: 'shop.order', count: 2 }] },
};
const cli = (...args: string[]) => run([...args, '--url', api.url]);
const sent = () => api.asked.filter(({ method }) => method === 'POST').map(({ body }) => body);

beforeEach(async () => {
  api = await startFakeApi();
  api.on('POST /v1/replays', ({ body }) =>
    body?.preview === true ? { body: preview } : { status: 202, body: replay() },
  );
});
afterEach(() => api.close());

describe('replay start', () => {
  const wanted = ['replay', 'start', 'shop', '--thread', 'order-1', '--reason', 'look again'];

  test('shows the preview, then starts exactly that, without side effects', async () => {
    const ended = await cli(...wanted, '--yes');
    expect(ended.code, ended.stderr).toBe(0);
    for (const part of ['evt_1', 'evt_2', 'shop.order', id, 'only says what would be done', 'http://ui/'])
      expect(ended.stdout).toContain(part);
    const asked = {
      subscription: 'shop',
      select: { correlationId: 'order-1' },
      sideEffects: false,
      onlyMatching: false,
    };
    expect(sent()).toEqual([
      { ...asked, preview: true },
      { ...asked, selection: 'token', reason: 'look again' },
    ]);
  });

  test('takes every way to select, and the rest of what can be said', async () => {
    await cli(
      ...['replay', 'start', 'shop', '--id', 'evt_1,evt_2', '--type', 'shop.*', '--source-type', 'api'],
      ...[
        '--source-id',
        'shop',
        '--from',
        '2026-01-01T00:00:00Z',
        '--to',
        '2026-01-02T00:00:00Z',
        '--side-effects',
      ],
      ...['--only-matching', '--per-minute', '60', '--maximum', '5', '--reason', 'x', '--yes'],
    );
    expect(sent()[1]).toMatchObject({
      select: {
        ...{ ids: ['evt_1', 'evt_2'], type: 'shop.*', sourceType: 'api', sourceId: 'shop' },
        ...{ from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' },
      },
      ...{ sideEffects: true, onlyMatching: true, perMinute: 60, maximum: 5 },
    });
  });

  test('without a terminal and without --yes it shows the preview and starts nothing', async () => {
    const ended = await cli(...wanted);
    expect([ended.code, sent().length]).toEqual([2, 1]);
    expect(ended.stdout).toContain('evt_1');
  });

  test('with --json prints one answer, and wants --yes or --preview', async () => {
    expect((await cli(...wanted, '--json')).code).toBe(2);
    expect(JSON.parse((await cli(...wanted, '--json', '--preview')).stdout)).toEqual(preview);
    expect(JSON.parse((await cli(...wanted, '--json', '--yes')).stdout)).toEqual(replay());
  });

  test.each([
    [['replay', 'start', 'shop', '--reason', 'x', '--yes']],
    [['replay', 'start', 'shop', '--thread', 'a', '--yes']],
    [['replay', 'start', 'shop', '--thread', 'a', '--reason', 'x', '--maximum', 'many', '--yes']],
    [['replay', 'shadow', '--halo', '{}']],
    [['replay', 'shadow', '--from', 'a', '--to', 'b']],
    [['replay', 'shadow', '--from', 'a', '--to', 'b', '--halo', '{}', '--wormhole', 'w']],
    [['replay', 'shadow', '--from', 'a', '--to', 'b', '--halo', 'slow']],
  ])('%j is a mistake of usage, and sends nothing', async (args) => {
    expect((await cli(...args)).code).toBe(2);
    expect(sent()).toEqual([]);
  });
});

test('replay list and show tell how far each is', async () => {
  api.on('GET /v1/replays', () => ({ body: { items: [replay()], nextCursor: 'more' } }));
  const list = await cli('replay', 'list', '--state', 'running', '--subscription', 'shop');
  expect(list.stdout).toContain(id);
  expect(list.stderr).toContain('--cursor more');
  expect(Object.fromEntries(api.asked[0]?.query ?? [])).toEqual({ state: 'running', subscription: 'shop' });
  api.on(`GET ${path}`, () => ({ body: replay() }));
  expect((await cli('replay', 'show', id)).stdout).toContain('look again');
  expect(JSON.parse((await cli('replay', 'show', id, '--json')).stdout)).toEqual(replay());
  api.on(`GET ${path}/deliveries`, () => ({
    body: {
      items: [
        {
          ...{
            id: 'dlv_1',
            eventId: 'evt_1',
            eventType: 'shop.order',
            part: '',
            attempts: 1,
            state: 'completed',
          },
          ...{
            recordedAt: first.recordedAt,
            dueAt: first.recordedAt,
            endedAt: first.recordedAt,
            error: null,
          },
          previews: [{ would: 'call https://shop/hook' }],
        },
      ],
      nextCursor: null,
    },
  }));
  expect((await cli('replay', 'show', id, '--deliveries')).stdout).toContain('call https://shop/hook');
});

test('replay watch prints each step, and its end decides the exit code', async () => {
  let looks = 0;
  const steps = [
    replay({}, { allQueued: false }),
    replay({}, { completed: 1, pending: 1 }),
    replay({ state: 'done' }, { completed: 2, pending: 0 }),
  ];
  api.on(`GET ${path}`, () => ({ body: steps[Math.min(looks++, 2)] }));
  const ended = await cli('replay', 'watch', id);
  expect(ended.code).toBe(0);
  for (const part of ['0 of 2 so far', '1 of 2', 'done']) expect(ended.stdout).toContain(part);
  api.on(`GET ${path}`, () => ({ body: replay({ state: 'failed', because: 'switched off' }) }));
  expect((await cli('replay', 'watch', id)).code).toBe(1);
});

test.each([
  [503, 'UNAVAILABLE', 8],
  [429, 'LIMIT', 7],
])('replay watch outlives a passing %i %s, but not as its first look', async (status, code, exit) => {
  const looks = [{ body: replay() }, problem(status, code, 'Not now.')];
  const last = { body: replay({ state: 'done' }) };
  api.on(`GET ${path}`, () => looks.shift() ?? last);
  const ended = await cli('replay', 'watch', id);
  expect(ended).toMatchObject({ code: 0, stderr: 'Not now. Trying again.\n' });
  expect(ended.stdout).toContain('done');
  api.on(`GET ${path}`, () => problem(status, code, 'Not now.'));
  expect((await cli('replay', 'watch', id)).code).toBe(exit);
});

test('replay cancel tells whether the run has heard it', async () => {
  api.on(`POST ${path}/cancel`, () => ({ body: replay({ state: 'cancelled' }) }));
  const done = await cli('replay', 'cancel', id, '--reason', 'wrong window');
  expect([done.code, sent()]).toEqual([0, [{ reason: 'wrong window' }]]);
  api.on(`POST ${path}/cancel`, () => ({
    status: 202,
    body: { status: 'accepted-for-delivery', requestId: 'dec_1', temporal: replay().temporal },
  }));
  expect((await cli('replay', 'cancel', id)).code).toBe(9);
  api.on(`POST ${path}/cancel`, () => problem(409, 'CONFLICT', 'The replay is already done.'));
  expect((await cli('replay', 'cancel', id)).code).toBe(6);
});

test('replay shadow shows what a changed rule would propose more and less', async () => {
  const outcome = (title: string) => ({
    key: title,
    kind: 'task',
    title,
    target: 'probe:x',
    risk: 'medium',
    eventIds: [],
  });
  const diff = {
    ...{ onlyBefore: [outcome('Repair old')], onlyAfter: [outcome('Repair new')], both: [] },
    counts: { before: 1, after: 1, onlyBefore: 1, onlyAfter: 1, both: 0 },
  };
  const cycles = { count: 1, items: [] };
  const window = { from: '2026-01-01T00:00:00.000Z', to: '2026-01-02T00:00:00.000Z' };
  const body = {
    ...{ kind: 'halo', window, events: 9, complete: true, notReplayable: ['signs of life'] },
    ...{ cycles: { recorded: cycles, present: cycles, changed: cycles } },
    tasks: { againstRecorded: diff, againstPresent: diff },
  };
  api.on('POST /v1/replays/shadow', () => ({ body }));
  const args = ['replay', 'shadow', '--from', window.from, '--to', window.to];
  const shown = await cli(...args, '--halo', '{"slowEndpointMs": 1000}');
  for (const part of ['Repair old', 'Repair new', '1 more, 1 fewer', 'signs of life'])
    expect(shown.stdout).toContain(part);
  expect(sent()).toEqual([{ kind: 'halo', ...window, rule: { slowEndpointMs: 1_000 } }]);
  expect(JSON.parse((await cli(...args, '--halo', '{}', '--json')).stdout)).toEqual(body);
  await cli(...args, '--draft', '{"name": "x"}', '--wormhole', 'wrm_1');
  expect(sent().at(-1)).toEqual({ kind: 'wormhole', ...window, wormholeId: 'wrm_1', draft: { name: 'x' } });
});
