import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeApi, problem, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const folder = mkdtempSync(join(tmpdir(), 'dreamnet-cli-wormhole-'));
beforeAll(async () => {
  api = await startFakeApi();
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const wormhole = {
  id: 'whl_1',
  name: 'loud',
  description: '',
  match: { types: ['shop.*'], minSeverity: 'error' },
  action: { kind: 'log' },
  maxHops: 16,
  enabled: false,
  version: 1,
  owner: 'prn_1',
  backTest: null,
};
const call = (...args: string[]) => run(['wormhole', ...args, '--url', api.url]);
const lastBody = () => api.asked.at(-1)?.body;

test('a wormhole is created from a file or from stdin, and its secret is shown once', async () => {
  api.on('POST /v1/wormholes', () => ({ status: 201, body: { wormhole, signingSecret: 'whsec_once' } }));
  const file = join(folder, 'loud.json');
  writeFileSync(file, '{"name":"loud","match":{},"action":{"kind":"log"}}');
  const ended = await call('create', file);
  expect(ended).toMatchObject({ code: 0 });
  expect(ended.stdout).toContain('whsec_once');
  expect(ended.stderr).toContain('dreamnet wormhole back-test loud');
  expect(lastBody()).toEqual({ name: 'loud', match: {}, action: { kind: 'log' } });
  const piped = await run(['wormhole', 'create', '-', '--json', '--url', api.url], {}, '{"name":"piped"}');
  expect(piped).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(piped.stdout)).toMatchObject({ wormhole: { id: 'whl_1' } });
  expect(lastBody()).toEqual({ name: 'piped' });
});

test('wormholes are listed, shown, changed, switched and removed', async () => {
  api.on('GET /v1/wormholes', () => ({ body: { items: [wormhole], nextCursor: null } }));
  api.on('GET /v1/wormholes/loud', () => ({ body: wormhole }));
  api.on('PATCH /v1/wormholes/loud', () => ({
    body: { wormhole: { ...wormhole, version: 2 }, signingSecret: null },
  }));
  api.on('POST /v1/wormholes/loud/enable', () => ({ body: { ...wormhole, enabled: true } }));
  api.on('POST /v1/wormholes/loud/disable', () => ({ body: wormhole }));
  api.on('DELETE /v1/wormholes/loud', () => ({ body: { id: 'whl_1', removed: true } }));
  expect((await call('list')).stdout).toMatch(/whl_1 +loud +disabled +1 +log +shop\.\*/);
  expect((await call('show', 'loud')).stdout).toContain('disabled, version 1');
  const file = join(folder, 'change.json');
  writeFileSync(file, '{"maxHops":2}');
  expect((await call('change', 'loud', file)).stdout).toContain('version 2');
  expect(lastBody()).toEqual({ maxHops: 2 });
  expect((await call('enable', 'loud')).stdout).toContain('enabled');
  expect(lastBody()).toEqual({});
  await call('enable', 'loud', '--without-back-test', 'new events');
  expect(lastBody()).toEqual({ withoutBackTest: true, reason: 'new events' });
  expect((await call('disable', 'loud')).code).toBe(0);
  expect((await call('remove', 'loud')).stdout).toContain('Removed whl_1');
});

test('what the API refuses is said with its reason', async () => {
  api.on('POST /v1/wormholes/tested/enable', () => problem(409, 'CONFLICT', 'Version 1 was not run.'));
  const ended = await call('enable', 'tested');
  expect(ended.code).not.toBe(0);
  expect(ended.stderr).toContain('Version 1 was not run.');
});

test('a dry run takes a recorded event or a sample, and a stored wormhole or a draft', async () => {
  api.on('POST /v1/wormholes/dry-run', () => ({
    body: {
      wormhole: { id: 'whl_1', name: 'loud', enabled: false },
      ...{
        matched: false,
        outcome: 'unmatched',
        would: null,
        why: 'Its severity is below error.',
        effect: null,
      },
      notes: [],
    },
  }));
  expect((await call('dry-run', 'loud', '--event', 'evt_1')).stdout).toContain(
    'Its severity is below error.',
  );
  expect(lastBody()).toEqual({ id: 'loud', eventId: 'evt_1' });
  const event = join(folder, 'event.json');
  const draft = join(folder, 'draft.json');
  writeFileSync(event, '{"type":"shop.x"}');
  writeFileSync(draft, '{"name":"new"}');
  await call('dry-run', `@${draft}`, '--event', `@${event}`);
  expect(lastBody()).toEqual({ draft: { name: 'new' }, event: { type: 'shop.x' } });
});

test('a back-test says what would have come of the events, and what differs', async () => {
  const said = {
    wormhole: { id: 'whl_1', name: 'loud', version: 1 },
    window: { from: null, to: null, complete: true },
    events: 10,
    outcomes: { acts: 2, folded: 1, failed: 0, unmatched: 7 },
    would: { tasks: 2, notifications: 0 },
    tasks: [{ title: 'Repair', target: 'shop:a', events: 2 }],
    samples: [],
    compared: {
      same: 9,
      changes: { added: 1, gone: 0 },
      samples: [
        { eventId: 'evt_9', type: 'shop.x', outcome: 'acts', says: 'keep', change: 'added', then: null },
      ],
    },
    countsForEnabling: true,
    notes: ['A note.'],
  };
  api.on('POST /v1/wormholes/back-test', () => ({ body: said }));
  const ended = await call('back-test', 'loud', '--last', '10');
  expect(lastBody()).toEqual({ id: 'loud', last: 10 });
  for (const part of ['2 acts', '2 tasks', 'Repair (shop:a): 2 events', '1 added', 'evt_9', 'A note.'])
    expect(ended.stdout).toContain(part);
  expect(ended.stderr).toContain('dreamnet wormhole enable loud');
  const json = await run(['wormhole', 'back-test', 'loud', '--json', '--url', api.url]);
  expect(JSON.parse(json.stdout)).toEqual(said);
});

test('results are listed by outcome', async () => {
  const row = {
    eventId: 'evt_1',
    outcome: 'acted',
    detail: { did: 'proposed x', taskId: 'tsk_1' },
    at: '2026-01-01T00:00:00.000Z',
  };
  api.on('GET /v1/wormholes/loud/results', () => ({ body: { items: [row], nextCursor: null } }));
  const ended = await call('results', 'loud', '--outcome', 'acted');
  expect(ended.stdout).toMatch(/evt_1 +acted +proposed x \(tsk_1\)/);
  expect(api.asked.at(-1)?.query.get('outcome')).toBe('acted');
});
