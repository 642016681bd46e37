import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const pair = (more: object = {}) => ({
  ...{ action: 'repair.api.endpoint', targetClass: 'probe', helped: 6, failed: 0, streak: 6 },
  ...{
    state: 'suggested',
    inForce: false,
    version: 2,
    reason: null,
    expiresAt: null,
    withdrawnBecause: null,
  },
  ...more,
});
const repair = {
  ...{ taskId: 'tsk_1', action: 'repair.api.endpoint', target: 'probe:prb_1', state: 'judged' },
  ...{ repairedAt: '2026-01-01T00:00:00.000Z', verdict: 'no-change', because: 'as it was' },
};
const path = '/v1/autonomy/repair.api.endpoint/probe';

beforeEach(async () => {
  api = await startFakeApi();
  api.on('GET /v1/autonomy', () => ({ body: { items: [pair()] } }));
  api.on(`POST ${path}/grant`, () => ({ body: pair({ state: 'granted', inForce: true, version: 3 }) }));
  api.on(`POST ${path}/withdraw`, () => ({ body: pair({ state: 'manual', withdrawnBecause: 'enough' }) }));
  api.on('GET /v1/repairs', () => ({ body: { items: [repair], nextCursor: null } }));
});
afterEach(() => api.close());

const cli = (args: string[]) => run([...args, '--url', api.url], {});
const sent = () => api.asked.filter(({ method }) => method !== 'GET');

test('autonomy list shows what is suggested and its version', async () => {
  const ended = await cli(['autonomy', 'list']);
  expect(ended.code).toBe(0);
  for (const part of ['repair.api.endpoint', 'probe', 'suggested', '6', '2'])
    expect(ended.stdout).toContain(part);
  expect(JSON.parse((await cli(['autonomy', 'list', '--json'])).stdout)).toEqual({ items: [pair()] });
});

test('autonomy grant sends version, reason and time, and refuses to go without the first two', async () => {
  const given = ['autonomy', 'grant', 'repair.api.endpoint', 'probe'];
  expect((await cli(given)).code).toBe(2);
  expect((await cli([...given, '--reason', 'earned'])).code).toBe(2);
  expect(sent()).toEqual([]);
  const all = ['--reason', 'earned', '--version', '2', '--expires-in-seconds', '3600'];
  const ended = await cli([...given, ...all]);
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('granted') });
  expect(sent()).toMatchObject([
    { path: `${path}/grant`, body: { version: 2, reason: 'earned', expiresInSeconds: 3600 } },
  ]);
});

test('autonomy withdraw sends the reason', async () => {
  const ended = await cli(['autonomy', 'withdraw', 'repair.api.endpoint', 'probe', '--reason', 'enough']);
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('manual') });
  expect(sent()).toMatchObject([{ path: `${path}/withdraw`, body: { reason: 'enough' } }]);
});

test('halo repairs says of each whether it helped, and why', async () => {
  const ended = await cli(['halo', 'repairs', '--verdict', 'no-change']);
  expect(ended.code).toBe(0);
  for (const part of ['tsk_1', 'no-change', 'as it was']) expect(ended.stdout).toContain(part);
  expect((await cli(['halo', 'repairs', '--verdict', 'fine'])).code).toBe(2);
});
