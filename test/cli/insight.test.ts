import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
beforeAll(async () => {
  api = await startFakeApi();
});
afterAll(() => api.close());

const at = '2026-01-01T00:00:00.000Z';
const insight = {
  ...{ id: 'ins_1', pattern: 'endpoints-unreliable', severity: 'high', title: '4 endpoints are unreliable' },
  ...{ entities: ['a', 'b', 'c', 'd'].map((id) => `endpoint:${id}`), suggestedActions: ['Look there.'] },
  ...{ figures: { endpoints: 4, worst: 'endpoint:a' }, foundBy: 'cyc_1', lastSeenBy: 'cyc_2' },
  ...{ foundAt: at, lastSeenAt: at, endedAt: null },
};
const link = {
  ...{ from: 'endpoint:a', to: 'endpoint:b', kind: 'fails-together', weight: 0.8124 },
  ...{ figures: { episodes: 3 }, foundBy: 'cyc_1', updatedAt: at },
};
const cli = (...words: string[]) => run(['insight', ...words, '--url', api.url]);
const lastQuery = () => Object.fromEntries(api.asked.at(-1)?.query ?? []);

test('insights are listed by state, pattern and entity, with a hint at the next page', async () => {
  const page = { items: [insight, { ...insight, id: 'ins_0', endedAt: at }], nextCursor: 'c1' };
  api.on('GET /v1/insights', () => ({ body: page }));
  const asked = ['--state', 'any', '--pattern', 'endpoints-unreliable', '--entity', 'endpoint:a'];
  const { code, stdout, stderr } = await cli('list', ...asked);
  expect(code).toBe(0);
  expect(stdout).toMatch(/ins_1 .*high.*4 endpoints are unreliable.*endpoint:c and 1 more/);
  expect(stderr).toContain('--cursor c1');
  expect(lastQuery()).toEqual({ state: 'any', pattern: 'endpoints-unreliable', entity: 'endpoint:a' });
  expect(JSON.parse((await cli('list', '--json')).stdout)).toEqual(page);
  expect(lastQuery()).toEqual({});
});

test('one is shown with its figures, entities, what to do, and the cycles that it changed', async () => {
  const detail = { ...insight, usedBy: [{ id: 'cyc_3', mode: 'full', state: 'completed', startedAt: at }] };
  api.on('GET /v1/insights/ins_1', () => ({ body: detail }));
  const { stdout } = await cli('show', 'ins_1');
  for (const text of ['endpoints 4, worst endpoint:a', 'it holds', 'about: endpoint:d', 'do: Look there.'])
    expect(stdout).toContain(text);
  expect(stdout).toMatch(/cyc_3 +full +completed/);
  expect(JSON.parse((await cli('show', 'ins_1', '--json')).stdout)).toEqual(detail);
  api.on('GET /v1/insights/ins_1', () => ({ body: { ...detail, usedBy: [] } }));
  expect((await cli('show', 'ins_1')).stdout).toContain('No cycle was changed by it.');
});

test('links are listed of all, or of one entity and kind, with their weight', async () => {
  const page = { items: [link], nextCursor: null };
  api.on('GET /v1/links', () => ({ body: page }));
  expect((await cli('links')).stdout).toMatch(/endpoint:a +endpoint:b +fails-together +0\.81 +episodes 3/);
  expect(lastQuery()).toEqual({});
  await cli('links', 'endpoint:a', '--kind', 'resembles', '--limit', '5');
  expect(lastQuery()).toEqual({ entity: 'endpoint:a', kind: 'resembles', limit: '5' });
  expect(JSON.parse((await cli('links', '--json')).stdout)).toEqual(page);
});

test('nothing learned yet is said, and no failure', async () => {
  const none = { body: { items: [], nextCursor: null } };
  api.on('GET /v1/insights', () => none);
  api.on('GET /v1/links', () => none);
  expect(await cli('list')).toMatchObject({ code: 0, stdout: 'No insights.\n' });
  expect(await cli('links')).toMatchObject({ code: 0, stdout: 'No links.\n' });
});

test('text of others cannot steer the terminal', async () => {
  const evil = { ...insight, title: 'a\u001b[31mb', entities: ['agent:\u001b[2J'], usedBy: [] };
  api.on('GET /v1/insights', () => ({ body: { items: [evil], nextCursor: null } }));
  api.on('GET /v1/insights/ins_1', () => ({ body: { ...evil, figures: { worst: '\u001b]0;x' } } }));
  api.on('GET /v1/links', () => ({ body: { items: [{ ...link, from: 'a\u001b[31m' }], nextCursor: null } }));
  for (const words of [['list'], ['show', 'ins_1'], ['links']])
    expect((await cli(...words)).stdout).not.toContain('\u001b');
});

test('what is no state, pattern, kind or id is refused before the API is asked', async () => {
  const asked = api.asked.length;
  for (const words of [
    ['list', '--state', 'closed'],
    ['list', '--pattern', 'charm'],
    ['links', '--kind', 'x'],
    ['show'],
  ])
    expect((await cli(...words)).code).not.toBe(0);
  expect(api.asked).toHaveLength(asked);
});

test('what the API refuses is said with its reason', async () => {
  const detail = 'There is no insight ins_2; the newest 100 are kept.';
  api.on('GET /v1/insights/ins_2', () => ({
    status: 404,
    body: { type: 'about:blank', title: 'Not found', status: 404, code: 'NOT_FOUND', detail },
  }));
  const { code, stderr } = await cli('show', 'ins_2');
  expect([code === 0, stderr.includes(detail)]).toEqual([false, true]);
});
