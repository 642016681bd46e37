import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeApi, problem, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
beforeAll(async () => {
  api = await startFakeApi();
});
afterAll(() => api.close());

const temporal = { workflowId: 'subscription/orders', runId: null, url: 'http://ui/subscription' };
const subscription = {
  ...{ key: 'orders', description: '', state: 'active', builtIn: false, owner: 'prn_admin', version: 3 },
  handler: { kind: 'webhook', origin: 'https://hooks.test', timeoutMs: 10_000 },
  match: {
    types: ['shop.*'],
    minSeverity: 'warning',
    excludeSourceTypes: [],
    destination: 'squad\u001b[31m',
  },
  ...{
    strategy: 'priority',
    retry: { maxAttempts: 5, backoffMs: 1000, maxBackoffMs: 60_000 },
    deadlineMs: null,
  },
  pause: null,
  lanes: ['critical', 'normal'].map((lane) => ({
    ...{ lane, cursor: 'c', backlog: { events: 2, isMore: false }, lagSeconds: 90, delivered: 4 },
  })),
  ...{ backlog: { events: 10_000, isMore: true }, lagSeconds: 125, delivered: 8, pendingDeliveries: 1 },
  ...{ openDeadLetters: 6, temporal },
};
const at = '/v1/subscriptions/orders';
const cli = (...args: string[]) => run(['subscription', ...args, '--url', api.url]);

test('subscriptions are listed with how far behind they are, and shown with their lanes', async () => {
  api.on('GET /v1/subscriptions', () => ({ body: { items: [subscription], nextCursor: null } }));
  api.on(`GET ${at}`, () => ({ body: subscription }));
  const listed = await cli('list');
  expect(listed).toMatchObject({ code: 0 });
  expect(listed.stdout).toMatch(/orders +active +webhook +https:\/\/hooks\.test +10000\+ +2m +8 +1 +6/);
  const shown = await cli('show', 'orders');
  expect(shown.stdout).toMatch(/critical +2 +1m +4/);
  expect(shown.stdout).toContain('shop.*; from warning; for squad');
  expect(shown.stdout).not.toContain('\u001b');
  const json = await cli('show', 'orders', '--json');
  expect(JSON.parse(json.stdout)).toEqual(subscription);
  expect(json.stderr).toBe('');
});

test('a new one is made with what its options say; its address comes from stdin and its secret is shown once', async () => {
  api.on('POST /v1/subscriptions', () => ({
    status: 201,
    body: { subscription, signingSecret: 'whsec_once' },
  }));
  const options = [
    '--types',
    'shop.*, mail.sent',
    '--sources',
    'api:shop',
    '--strategy',
    'balanced',
    '--consumers',
    '3',
  ];
  const args = [
    'subscription',
    'create',
    'orders',
    '--handler',
    '-',
    ...options,
    '--from',
    'start',
    '--url',
    api.url,
  ];
  const ended = await run(
    [...args, '--deadline-ms', '5000'],
    {},
    '{"kind":"webhook","url":"https://hooks.test/x"}',
  );
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('whsec_once') as string });
  expect(ended.stderr).toContain('shown once');
  expect(api.asked.at(-1)?.body).toEqual({
    key: 'orders',
    handler: { kind: 'webhook', url: 'https://hooks.test/x' },
    match: { types: ['shop.*', 'mail.sent'], sources: ['api:shop'] },
    ...{ strategy: 'balanced', consumers: 3, deadlineMs: 5000, from: 'start' },
  });
});

test('a change is of the version that is there, or of the one that was seen', async () => {
  api.on(`GET ${at}`, () => ({ body: subscription }));
  api.on(`PATCH ${at}`, () => ({ body: { ...subscription, version: 4 } }));
  expect(await cli('change', 'orders', '--description', 'x')).toMatchObject({ code: 0 });
  expect(api.asked.at(-1)?.body).toEqual({ version: 3, description: 'x' });
  api.on(`PATCH ${at}`, () => problem(412, 'STALE', 'Subscription orders is no longer at version 2.'));
  const late = await cli('change', 'orders', '--version', '2', '--retry', '{"maxAttempts":2}');
  expect(late).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('no longer at version 2') as string,
  });
  expect(api.asked.at(-1)?.body).toEqual({ version: 2, retry: { maxAttempts: 2 } });
});

test.each([
  ['pause', ['--reason', 'moves'], { reason: 'moves' }],
  ['resume', [], {}],
  ['rewind', ['--to', 'start'], { to: 'start' }],
])('to %s is done, or said to be on its way', async (name, options, body) => {
  const note = name === 'rewind' ? 'handled before, handed over again' : null;
  api.on(`POST ${at}/${name}`, () => ({ body: { status: 'done', requestId: 'dec_1', subscription, note } }));
  const done = await cli(name, 'orders', ...options);
  expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('orders') as string });
  expect(done.stderr).toContain(note ?? '');
  expect(api.asked.at(-1)?.body).toEqual(body);
  const later = { status: 'accepted-for-delivery', requestId: 'dec_1', temporal, note };
  api.on(`POST ${at}/${name}`, () => ({ status: 202, body: later }));
  expect(await cli(name, 'orders', ...options)).toMatchObject({ code: 9 });
});

test('a rewind without a place is a mistake, and nothing is sent', async () => {
  const before = api.asked.length;
  expect(await cli('rewind', 'orders')).toMatchObject({ code: 2 });
  expect(api.asked).toHaveLength(before);
});

test('one is removed, and its secret rotated', async () => {
  api.on(`DELETE ${at}`, () => ({ body: { ...subscription, state: 'removed' } }));
  expect((await cli('remove', 'orders')).stdout).toContain('removed');
  api.on(`POST ${at}/secret`, () => ({ body: { subscription, signingSecret: 'whsec_two' } }));
  const rotated = await cli('rotate', 'orders', '--overlap', '60');
  expect(rotated).toMatchObject({ code: 0, stdout: expect.stringContaining('whsec_two') as string });
  expect(api.asked.at(-1)?.body).toEqual({ overlapSeconds: 60 });
});

test.each([
  ['completed', 1, null, 0],
  ['failed', 5, 'It answered 404.', 8],
  ['pending', 1, 'It answered 500.', 8],
  ['pending', 0, null, 9],
])(
  'trying one out that is %s after %i attempts has its own exit code',
  async (state, attempts, error, code) => {
    const receipt = {
      eventId: 'evt_1',
      deliveryId: 'dlv_1',
      state,
      attempts,
      error,
      endedAt: null,
      temporal,
    };
    api.on(`POST ${at}/test`, () => ({ body: receipt }));
    const ended = await cli('test', 'orders');
    expect(ended.code).toBe(code);
    expect(ended.stdout).toContain(error ?? state);
  },
);
