import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const folder = mkdtempSync(join(tmpdir(), 'dreamnet-cli-hooks-'));
beforeAll(async () => {
  api = await startFakeApi();
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const hook = {
  ...{ id: 'hok_1', name: 'ci', scheme: 'standard-webhooks', form: 'payload', eventType: 'ci.build' },
  ...{ severity: 'info', perMinute: 600, path: '/v1/hooks/hok_1/events', enabled: true },
  ...{ received: 3, refused: 1, lastReceivedAt: '2026-01-01T00:00:00.000Z' },
};
const cluster = {
  ...{ name: 'eu', url: 'https://eu.test/v1/hooks/hok_2/events', state: 'open', paused: false },
  ...{ backlog: 2, backlogLimit: 10, outboundPerMinute: 7, inboundPerMinute: null, failedAcks: 1 },
  lastAckAt: null,
};

test('a hook is created with a secret made here, which is shown once', async () => {
  api.on('POST /v1/hooks', () => ({ status: 201, body: { hook, secret: 'whsec_once' } }));
  const ended = await run([
    ...['hook', 'create', 'ci', '--type', 'ci.build', '--per-minute', '5'],
    ...['--mapping', '{"severity":"level"}', '--url', api.url],
  ]);
  expect(ended).toMatchObject({ code: 0 });
  expect(ended.stdout).toContain('whsec_once');
  expect(ended.stderr).toContain('shown once');
  expect(api.asked.at(-1)?.body).toEqual({
    ...{ name: 'ci', eventType: 'ci.build', mapping: { severity: 'level' }, perMinute: 5 },
  });
});

test('a secret of the sender comes from a file or stdin, and never from the line', async () => {
  api.on('POST /v1/hooks/hok_1/rotate-secret', () => ({ body: { hook, secret: null } }));
  const rotate = ['hook', 'rotate', 'hok_1', '--overlap', '0', '--url', api.url, '--secret'];
  const file = join(folder, 'secret');
  writeFileSync(file, 'whsec_given\n');
  expect(await run([...rotate, `@${file}`])).toMatchObject({ code: 0 });
  expect(api.asked.at(-1)?.body).toEqual({ overlapSeconds: 0, secret: 'whsec_given' });
  expect(await run([...rotate, '-'], {}, 'whsec_piped\n')).toMatchObject({ code: 0 });
  expect(api.asked.at(-1)?.body).toEqual({ overlapSeconds: 0, secret: 'whsec_piped' });
  const asked = api.asked.length;
  const ended = await run([...rotate, 'whsec_seen']);
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).not.toContain('whsec_seen');
  expect(api.asked).toHaveLength(asked);
});

test('hooks are listed, switched and removed', async () => {
  api.on('GET /v1/hooks', () => ({ body: { items: [hook], nextCursor: null } }));
  api.on('POST /v1/hooks/hok_1/disable', () => ({ body: { ...hook, enabled: false } }));
  api.on('DELETE /v1/hooks/hok_1', () => ({ body: { id: 'hok_1', deleted: true } }));
  expect((await run(['hook', 'list', '--url', api.url])).stdout).toMatch(/hok_1 +ci +standard-webhooks +ok/);
  expect((await run(['hook', 'disable', 'hok_1', '--url', api.url])).stdout).toContain('disabled');
  const gone = await run(['hook', 'remove', 'hok_1', '--json', '--url', api.url]);
  expect(JSON.parse(gone.stdout)).toEqual({ id: 'hok_1', deleted: true });
});

test('a cluster is added with the secret for the other side, and listed with how it breathes', async () => {
  api.on('POST /v1/bridge/clusters', () => ({
    status: 201,
    body: { cluster, signingSecret: 'whsec_theirs' },
  }));
  api.on('GET /v1/bridge/clusters', () => ({ body: { items: [cluster], nextCursor: null } }));
  const args = ['bridge', 'add', 'eu', '--to', cluster.url, '--backlog-limit', '10', '--hook', 'hok_9'];
  const ended = await run([...args, '--url', api.url]);
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('whsec_theirs') as string });
  expect(api.asked.at(-1)?.body).toEqual({
    ...{ name: 'eu', url: cluster.url, hookId: 'hok_9', backlogLimit: 10 },
  });
  expect((await run(['bridge', 'list', '--url', api.url])).stdout).toMatch(/eu +open +7 +- +2\/10 +1 +never/);
});

test('a broadcast says which cluster it was written for', async () => {
  const clusters = [
    { cluster: 'eu', state: 'open', backlog: 0, backlogLimit: 10, eventId: 'evt_1' },
    { cluster: 'us', state: 'throttled', backlog: 10, backlogLimit: 10, eventId: null },
  ];
  api.on('POST /v1/broadcasts', () => ({ status: 202, body: { id: 'brc_1', clusters } }));
  const args = ['bridge', 'broadcast', 'star.signal', '--to', 'eu, us', '--payload', '{"n":1}', '--partial'];
  const ended = await run([...args, '--url', api.url]);
  expect(ended.stdout).toMatch(/eu +open +0 +evt_1\n.*us +throttled +10 +not sent/);
  expect(api.asked.at(-1)?.body).toEqual({
    ...{ clusters: ['eu', 'us'], type: 'star.signal', payload: { n: 1 }, partial: true },
  });
  await run(['bridge', 'broadcast', 'a.b', '--to', 'all', '--json', '--url', api.url]);
  expect(api.asked.at(-1)?.body).toEqual({ clusters: 'all', type: 'a.b' });
});

test('a full cluster is an exit code of its own, and says what to do', async () => {
  api.on('POST /v1/broadcasts', () => ({
    status: 429,
    body: {
      code: 'LIMIT',
      title: 'A limit was reached',
      status: 429,
      detail: 'Nothing was sent: eu is full.',
    },
  }));
  const ended = await run(['bridge', 'broadcast', 'a.b', '--to', 'eu', '--url', api.url]);
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toContain('eu is full');
});
