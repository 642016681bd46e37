import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const tier = {
  name: 'builder',
  perMinute: 60,
  eventsPerMinute: 1000,
  bytesPerMinute: null,
  features: ['beta'],
};
const cluster = {
  name: 'tasks',
  enabled: false,
  requiredFeature: null,
  perMinute: null,
  reason: 'an audit',
  updatedBy: 'prn_admin',
  alwaysOn: false,
};
const block = {
  id: 'blk_1',
  subject: { kind: 'key', id: 'abc', address: '203.0.113.7' },
  reason: 'guessing\u001b[31m',
  placedBy: 'shield',
  until: '2026-01-01T00:15:00.000Z',
  inForce: true,
};

beforeEach(async () => {
  api = await startFakeApi();
  api.on('GET /v1/tiers', () => ({ body: { items: [tier] } }));
  api.on('PUT /v1/tiers/builder', ({ body }) => ({ body: { name: 'builder', ...body } }));
  api.on('GET /v1/control', () => ({ body: { items: [cluster] } }));
  api.on('PATCH /v1/control/tasks', ({ body }) => ({ body: { ...cluster, ...body } }));
  api.on('POST /v1/security/blocks', () => ({ status: 201, body: block }));
  api.on('POST /v1/security/blocks/blk_1/lift', () => ({ body: { ...block, inForce: false } }));
  api.on('GET /v1/security/blocks', () => ({ body: { items: [block], nextCursor: null } }));
});
afterEach(() => api.close());

const cli = (...args: string[]) => run([...args, '--url', api.url]);
const sent = () => api.asked.filter(({ method }) => method !== 'GET').map(({ body }) => body);

test('tier set changes what is given and keeps the rest', async () => {
  expect(await cli('tier', 'set', 'builder', '--per-minute', '90', '--events', 'none')).toMatchObject({
    code: 0,
  });
  expect(sent()).toEqual([
    { perMinute: 90, eventsPerMinute: null, bytesPerMinute: null, features: ['beta'] },
  ]);
});

test('tier set of a new tier wants every limit, and sends nothing before', async () => {
  const ended = await cli('tier', 'set', 'pioneer', '--per-minute', '90');
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toContain('--events');
  expect(sent()).toEqual([]);
});

test('control set says what changes, with the reason, and refuses to change nothing', async () => {
  expect(await cli('control', 'set', 'tasks', '--off', '--reason', 'an audit')).toMatchObject({ code: 0 });
  expect(sent()).toEqual([{ reason: 'an audit', enabled: false }]);
  for (const wrong of [[], ['--on', '--off']])
    expect((await cli('control', 'set', 'tasks', '--reason', 'r', ...wrong)).code).not.toBe(0);
  expect(sent()).toHaveLength(1);
});

test('control list shows who switched what off, and why', async () => {
  const { stdout } = await cli('control', 'list');
  for (const part of ['tasks', 'off', 'prn_admin', 'an audit']) expect(stdout).toContain(part);
});

test('security block and lift send subject, time and reason', async () => {
  const placed = await cli(
    ...['security', 'block', '203.0.113.7', '--kind', 'address', '--minutes', '15', '--reason', 'scans'],
  );
  expect(placed.code).toBe(0);
  expect((await cli('security', 'lift', 'blk_1', '--reason', 'a mistake')).stdout).toContain('lifted');
  expect(sent()).toEqual([
    { subject: { kind: 'address', id: '203.0.113.7' }, minutes: 15, reason: 'scans' },
    { reason: 'a mistake' },
  ]);
});

test('security blocks shows them without control characters, and with --json as the API said it', async () => {
  const { stdout } = await cli('security', 'blocks', '--in-force');
  expect(stdout).toContain('key abc at 203.0.113.7');
  expect(stdout).not.toContain('\u001b');
  expect(api.asked.at(-1)?.query.get('inForce')).toBe('true');
  const json = await cli('security', 'blocks', '--json');
  expect(JSON.parse(json.stdout)).toEqual({ items: [block], nextCursor: null });
});
