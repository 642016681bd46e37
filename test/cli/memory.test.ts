import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const folder = mkdtempSync(join(tmpdir(), 'dreamnet-cli-memory-'));
beforeAll(async () => {
  api = await startFakeApi();
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const genes = (entity: string) => ({ entity, traits: { reliability: 0.4 }, tags: ['core'], parent: null });
const record = {
  ...genes('agent:a'),
  ...{ kind: 'agent', dna: 'dna1;agent:a;reliability=0.4;core;' },
  ...{ createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z' },
};
const memory = (...words: string[]) => run(['memory', ...words, '--url', api.url]);

test('records are listed by kind, tag and range, and shown with what moved them', async () => {
  api.on('GET /v1/memory', () => ({ body: { items: [record], nextCursor: 'c1' } }));
  const listed = await memory('list', '--kind', 'agent', '--trait', 'reliability', '--max', '0.45');
  expect(listed.stdout).toMatch(/agent:a +reliability 0.40 +core/);
  expect(listed.stderr).toContain('--cursor c1');
  const asked = Object.fromEntries(api.asked.at(-1)?.query ?? []);
  expect(asked).toEqual({ kind: 'agent', trait: 'reliability', max: '0.45' });
  const moves = { reliability: { from: 0.5, to: 0.4 } };
  const history = [{ at: record.updatedAt, cause: 'squad.task.failed', eventId: 'evt_1', moves }];
  api.on('GET /v1/memory/agent%3Aa', () => ({ body: { record, history } }));
  const shown = await memory('show', 'agent:a');
  expect(shown.stdout).toMatch(/squad.task.failed +evt_1 +reliability 0.50 -> 0.40/);
  expect(JSON.parse((await memory('show', 'agent:a', '--json')).stdout)).toEqual({ record, history });
});

test('tags, inheritance and forgetting send what was said, the reason with it', async () => {
  api.on('PUT /v1/memory/agent%3Aa/tags', () => ({ body: record }));
  expect(await memory('tag', 'agent:a', '--tags', 'core, old')).toMatchObject({ code: 0 });
  expect(api.asked.at(-1)?.body).toEqual({ tags: ['core', 'old'] });
  api.on('POST /v1/memory/agent%3Ab/inherit', () => ({ status: 201, body: record }));
  expect(await memory('inherit', 'agent:b', '--from', 'agent:a', '--reason', 'twin')).toMatchObject({
    code: 0,
  });
  expect(api.asked.at(-1)?.body).toEqual({ from: 'agent:a', reason: 'twin' });
  api.on('DELETE /v1/memory/agent%3Aa', () => ({ body: { entity: 'agent:a', forgotten: true } }));
  expect((await memory('forget', 'agent:a', '--reason', 'gone & done')).stdout).toContain('forgotten');
  expect(api.asked.at(-1)?.query.get('reason')).toBe('gone & done');
  const asked = api.asked.length;
  expect((await memory('forget', 'agent:a')).code).not.toBe(0);
  expect(api.asked).toHaveLength(asked);
});

test('an export follows every page, and is what an import takes', async () => {
  api.on('GET /v1/memory/export', ({ query }) => ({
    body: query.has('cursor')
      ? { records: [genes('agent:b')], nextCursor: null }
      : { records: [genes('agent:a')], nextCursor: 'c1' },
  }));
  const exported = await memory('export');
  expect(JSON.parse(exported.stdout)).toEqual({ records: [genes('agent:a'), genes('agent:b')] });
  api.on('GET /v1/memory', () => ({ body: { items: [record], nextCursor: null } }));
  expect((await memory('export', '--dna')).stdout).toBe(`${record.dna}\n`);
  const file = join(folder, 'memory.json');
  writeFileSync(file, exported.stdout);
  const plan = { created: ['agent:a'], replaced: [], same: [], conflicts: ['agent:b'] };
  api.on('POST /v1/memory/import', ({ query }) => ({
    body: { preview: query.get('preview') === 'true', ...plan },
  }));
  const preview = await memory('import', file, '--reason', 'move', '--preview');
  expect(preview.stdout).toMatch(/would be created 1: agent:a[\s\S]*conflicts 1: agent:b/);
  expect(await memory('import', file, '--reason', 'move', '--replace')).toMatchObject({ code: 0 });
  expect(api.asked.at(-1)?.body).toEqual({
    records: [genes('agent:a'), genes('agent:b')],
    ...{ replace: true, reason: 'move' },
  });
  writeFileSync(file, '{"records": [], "more": 1}');
  const asked = api.asked.length;
  expect((await memory('import', file, '--reason', 'move')).stderr).toContain('{"records": [...]}');
  expect(api.asked).toHaveLength(asked);
});
