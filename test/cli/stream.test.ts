import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Answer, event, type FakeApi, problem, run, start, startFakeApi } from './fake-api.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

type Item = ReturnType<typeof event>;
const eventOf = (item: Item): string => `id: ${item.cursor}\nevent: event\ndata: ${JSON.stringify(item)}\n\n`;
/** A stream that says this and breaks off. */
const stream = (...parts: string[]): Answer => ({
  body: `retry: 2000\nid: c0\n\n${parts.join('')}`,
  headers: { 'content-type': 'text/event-stream' },
});
const end = (reason: string, detail: string): string =>
  `event: end\ndata: ${JSON.stringify({ reason, detail })}\n\n`;
const itemsOf = (stdout: string): unknown[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

test('tail reads the live stream and goes on behind its last id, whatever ends it', async () => {
  const [one, two, three] = [event('evt_1'), event('evt_2'), event('evt_3')];
  const answers: Record<string, () => Answer> = {
    now: () => stream(),
    c0: () => stream(eventOf(one), end('restart', 'This process ends.')),
    'cursor-evt_1': () => stream(': heartbeat\nid: c5\n\n'),
    c5: () => stream(eventOf(two), end('unavailable', 'The log cannot be read right now.')),
    'cursor-evt_2': () => stream(eventOf(three)),
  };
  api.on('GET /v1/stream', ({ query }) => (answers[query.get('after') ?? ''] ?? (() => stream()))());
  const tail = start(['event', 'tail', '--json', '--url', api.url]);
  await tail.printed('evt_3');
  tail.kill('SIGINT');
  const ended = await tail.ended;
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(itemsOf(ended.stdout)).toEqual([one, two, three]);
  expect(api.asked.every(({ path }) => path === '/v1/stream')).toBe(true);
});

test('tail hands its filters to the stream', async () => {
  api.on('GET /v1/stream', () => stream(eventOf(event('evt_1'))));
  const filters = ['--type', 'a.*', '--min-severity', 'error', '--source', 'api:shop:1', '--thread', 't'];
  const ended = await run([
    ...['event', 'tail', '--once', '--after', 'start', '--destination', 'agt_1', ...filters],
    ...['--url', api.url],
  ]);
  expect(ended.code).toBe(0);
  expect(Object.fromEntries(api.asked[0]?.query ?? [])).toEqual({
    ...{ after: 'start', type: 'a.*', minSeverity: 'error', sourceType: 'api', sourceId: 'shop:1' },
    ...{ correlationId: 't', destination: 'agt_1' },
  });
  expect((await run(['event', 'tail', '--source', 'nobody', '--url', api.url])).code).toBe(2);
});

test('tail whose key is revoked meanwhile says so and does not come again', async () => {
  api.on('GET /v1/stream', () => stream(eventOf(event('evt_1')), end('revoked', 'This key was revoked.')));
  const ended = await run(['event', 'tail', '--url', api.url]);
  expect(ended.code).toBe(4);
  expect(ended.stderr).toContain('This key was revoked.');
  expect(api.asked).toHaveLength(1);
});

test('tail says where events are missing, and may not begin where it may not read', async () => {
  api.on('GET /v1/stream', () =>
    stream('event: gap\ndata: {"message":"Retention has dropped some."}\n\n', eventOf(event('evt_1'))),
  );
  const ended = await run(['event', 'tail', '--once', '--after', 'c9', '--url', api.url]);
  expect(ended.stderr).toContain('Retention has dropped some.');
  api.on('GET /v1/stream', () => problem(403, 'FORBIDDEN', 'no'));
  expect((await run(['event', 'tail', '--url', api.url])).code).toBe(4);
  api.on('GET /v1/stream', () => problem(429, 'LIMIT', 'admin has 20 streams open here'));
  expect((await run(['event', 'tail', '--url', api.url])).code).toBe(7);
});

const thread = {
  ...{ correlationId: 'order-7', firstAt: '2026-01-01T00:00:00.000Z', lastAt: '2026-01-01T00:00:01.000Z' },
  ...{ durationMs: 1000, events: 5, errors: 1, depth: 3, isTruncated: false },
  root: { id: 'evt_a', type: 'order.made' },
};
const node = (id: string, depth: number, more: object = {}) => ({
  event: event(id, { type: `order.${id}` }),
  ...{ depth, link: 'caused', parentId: null, delayMs: 5, ...more },
});

test('thread list shows what each thread came to', async () => {
  api.on('GET /v1/threads', () => ({ body: { items: [thread], nextCursor: 'more' } }));
  const args = ['thread', 'list', '--type', 'order.*', '--min-severity', 'error', '--min-events', '2'];
  const ended = await run([...args, '--url', api.url]);
  expect(ended.code).toBe(0);
  for (const part of ['order-7', 'order.made', '1000 ms']) expect(ended.stdout).toContain(part);
  expect(ended.stderr).toContain('--cursor more');
  expect(Object.fromEntries(api.asked[0]?.query ?? [])).toEqual({
    ...{ type: 'order.*', minSeverity: 'error', minEvents: '2' },
  });
});

test('thread show draws the tree, and what a title does to a terminal is made visible', async () => {
  const nodes = [
    node('a', 0, { link: 'root', delayMs: null }),
    node('b', 1),
    node('c', 2, { event: event('c', { type: 'order.c', severity: 'error' }) }),
    node('d', 1, { delayMs: -3 }),
    node('e', 1, { link: 'orphan', delayMs: null, event: event('e\u001b[2J') }),
  ];
  api.on('GET /v1/threads/order%207', () => ({ body: { thread, nodes } }));
  const { code, stdout } = await run(['thread', 'show', 'order 7', '--url', api.url]);
  expect(code).toBe(0);
  expect(stdout.split('\n').slice(-6, -1)).toEqual([
    'order.a  info  api:cli  a',
    '├─ order.b  info  api:cli  b  +5 ms',
    '│  └─ order.c  error  api:cli  c  +5 ms',
    '├─ order.d  info  api:cli  d  -3 ms',
    '└─ deploy.finished  info  api:cli  e\\u001b[2J  no cause here',
  ]);
  const json = await run(['thread', 'show', 'order 7', '--json', '--url', api.url]);
  expect(JSON.parse(json.stdout)).toEqual({ thread, nodes });
});

test('thread show of a thread that is very deep stays on the screen', async () => {
  const nodes = Array.from({ length: 300 }, (_, depth) => node(`n${depth}`, depth));
  api.on('GET /v1/threads/deep', () => ({ body: { thread: { ...thread, isTruncated: true }, nodes } }));
  const { stdout, stderr } = await run(['thread', 'show', 'deep', '--url', api.url]);
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThan(150);
  expect(stdout).toContain('(299) order.n299');
  expect(stderr).toContain('first 300 events');
});

test('thread chain shows the causes above the event and the effects below', async () => {
  api.on('GET /v1/events/evt_c/chain', () => ({
    body: {
      ...{ ancestors: [event('evt_a'), event('evt_b')], missingCauseId: 'evt_gone', isTruncated: false },
      nodes: [node('c', 0, { link: 'root', delayMs: null }), node('d', 1)],
    },
  }));
  const { code, stdout } = await run(['thread', 'chain', 'evt_c', '--url', api.url]);
  expect(code).toBe(0);
  expect(stdout).toContain('evt_gone');
  expect(stdout.split('\n').slice(1, -1)).toEqual([
    'deploy.finished  info  api:cli  evt_a',
    '└─ deploy.finished  info  api:cli  evt_b',
    '   └─ order.c  info  api:cli  c',
    '      └─ order.d  info  api:cli  d  +5 ms',
  ]);
});

test('event stats prints numbers for people, and with --json what the API said', async () => {
  const body = {
    ...{ from: '2026-01-01T00:00:00.000Z', to: '2026-01-02T00:00:00.000Z', bucketSeconds: 1440 },
    ...{
      events: 10,
      errors: 1,
      errorShare: 0.1,
      withoutThread: 2,
      bySeverity: { info: 9, error: 1 },
      threads: 3,
    },
    types: [{ type: 'order.made', events: 8, errors: 1, errorShare: 0.125, perMinute: 0.006 }],
    buckets: [
      { at: '2026-01-01T00:00:00Z', events: 10, errors: 1, errorShare: 0.1, types: { 'order.made': 8 } },
    ],
    sources: [{ type: 'api', id: 'shop', events: 10, errors: 1, errorShare: 0.1 }],
    chains: [{ cause: 'order.made', effect: 'order.paid', events: 2 }],
    recordingLagMs: { p50: 1, p90: 2, p99: 3, max: 4 },
    ...{ threadDurationMs: null, chainDepth: { p50: 1, p90: 2, p99: 2, max: 2 } },
  };
  api.on('GET /v1/events/stats', () => ({ body }));
  const args = ['event', 'stats', '--from', body.from, '--to', body.to, '--bucket', '1440', '--url', api.url];
  const shown = await run(args);
  for (const part of ['1 (10.0 %)', 'p99 3 ms', 'order.paid', 'api:shop', '12.5 %'])
    expect(shown.stdout).toContain(part);
  expect(Object.fromEntries(api.asked[0]?.query ?? [])).toEqual({
    from: body.from,
    to: body.to,
    bucket: '1440',
  });
  expect(JSON.parse((await run([...args, '--json'])).stdout)).toEqual(body);
  expect((await run(['event', 'stats', '--bucket', 'day', '--url', api.url])).code).toBe(2);
});
