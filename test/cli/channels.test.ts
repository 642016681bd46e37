import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const folder = mkdtempSync(join(tmpdir(), 'dreamnet-cli-channels-'));
beforeAll(async () => {
  api = await startFakeApi();
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const channel = {
  id: 'chn_1',
  name: 'ops',
  kind: 'webhook',
  config: { origin: 'https://hooks.test', allowPrivateNetwork: false },
  topics: ['squad.*'],
  minSeverity: 'info',
  cooldownMs: 60_000,
  enabled: true,
  health: 'ok',
};

const notification = (state: string, more: object = {}) => ({
  id: 'ntf_1',
  channelId: 'chn_1',
  topic: 'squad.task.failed',
  title: 'Task failed: x',
  state,
  more: 0,
  attempts: 1,
  receipt: null,
  error: null,
  createdAt: '2026-01-01T00:00:00.000Z',
  temporal: { workflowId: 'notification/ntf_1', runId: null, url: 'http://ui/ntf' },
  ...more,
});

test('a channel is created from a file or from stdin, so that its address stays out of the list of processes', async () => {
  api.on('POST /v1/channels', () => ({ status: 201, body: { channel, signingSecret: 'whsec_once' } }));
  const file = join(folder, 'config.json');
  writeFileSync(file, '{"url":"https://hooks.test/x"}');
  const args = ['channel', 'create', 'ops', '--kind', 'webhook', '--url', api.url];
  const ended = await run([
    ...args,
    '--config',
    `@${file}`,
    '--topics',
    'squad.*, halo.x',
    '--cooldown-ms',
    '5',
  ]);
  expect(ended).toMatchObject({ code: 0 });
  expect(ended.stdout).toContain('whsec_once');
  expect(ended.stderr).toContain('shown once');
  expect(api.asked.at(-1)?.body).toEqual({
    name: 'ops',
    kind: 'webhook',
    config: { url: 'https://hooks.test/x' },
    topics: ['squad.*', 'halo.x'],
    cooldownMs: 5,
  });
  expect(await run([...args, '--config', '-', '--json'], {}, '{"url":"y"}')).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect(api.asked.at(-1)?.body).toMatchObject({ config: { url: 'y' } });
});

test('channels are listed with how they do, and switched', async () => {
  api.on('GET /v1/channels', () => ({ body: { items: [channel], nextCursor: null } }));
  api.on('POST /v1/channels/chn_1/disable', () => ({ body: { ...channel, enabled: false } }));
  expect((await run(['channel', 'list', '--url', api.url])).stdout).toMatch(
    /chn_1 +ops +webhook +ok +https:\/\/hooks/,
  );
  expect((await run(['channel', 'disable', 'chn_1', '--url', api.url])).stdout).toContain('disabled');
  api.on('GET /v1/channels', () => ({ body: { items: [], nextCursor: null } }));
  expect((await run(['channel', 'list', '--url', api.url])).stdout).toContain('nobody is told anything');
});

test.each([
  ['sent', { receipt: { status: '204', messageId: null } }, 0, '204'],
  ['failed', { error: 'It answered 404.' }, 8, 'It answered 404.'],
  ['queued', {}, 9, 'queued'],
])('trying a channel out that ends %s has its own exit code', async (state, more, code, text) => {
  api.on('POST /v1/channels/chn_1/test', () => ({ body: notification(state, more) }));
  const ended = await run(['channel', 'test', 'chn_1', '--url', api.url]);
  expect(ended.code).toBe(code);
  expect(ended.stdout).toContain(text);
});

test('a rotated secret is shown, and the overlap goes along', async () => {
  api.on('POST /v1/channels/chn_1/rotate-secret', () => ({ body: { channel, signingSecret: 'whsec_two' } }));
  const ended = await run(['channel', 'rotate-secret', 'chn_1', '--overlap', '60', '--url', api.url]);
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('whsec_two') as string });
  expect(api.asked.at(-1)?.body).toEqual({ overlapSeconds: 60 });
});

test('notifications are filtered by the API and shown with their receipts', async () => {
  const items = [
    notification('sent', { receipt: { status: '200', messageId: '42' } }),
    notification('failed', { error: 'timed\u001b[31m out' }),
  ];
  api.on('GET /v1/notifications', () => ({ body: { items, nextCursor: null } }));
  const args = [
    'notification',
    'list',
    '--channel',
    'chn_1',
    '--state',
    'sent',
    '--topic',
    'squad.*',
    '--url',
    api.url,
  ];
  const ended = await run(args);
  expect(ended.stdout).toContain('200 42');
  expect(ended.stdout).not.toContain('\u001b');
  expect(Object.fromEntries(api.asked.at(-1)?.query ?? [])).toEqual({
    channelId: 'chn_1',
    state: 'sent',
    topic: 'squad.*',
  });
});
