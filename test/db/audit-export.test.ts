import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import { createAuditActivities } from '../../activities/audit.ts';
import { parseExportLine, type ExportLine } from '../../domain/audit.ts';
import { aKey, auditPair, createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { verifyAudit, writeRows } from '../support/audit-rows.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

const folder = mkdtempSync(join(tmpdir(), 'dreamnet-test-export-'));
let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;
let anchor: () => Promise<{ anchored: number | null }>;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  api = createTestApi(database);
  const headsFile = join(folder, 'heads.jsonl');
  anchor = createAuditActivities({ database, signingKey: auditPair.privateKey, headsFile }).anchorAudit;
  for (let count = 0; count < 5; count += 1) {
    await writeRows(database, 700, 1 + count * 700);
    await anchor();
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function linesOf(query = ''): Promise<ExportLine[]> {
  const { status, body, headers } = await api.call('GET', `/v1/audit/export${query}`, { as: keys.viewer });
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('application/x-ndjson');
  const texts = (body as string).trimEnd().split('\n');
  return texts.map((text) => {
    const line = parseExportLine(text);
    if (line === null) throw new Error(`not a line of an export: ${text}`);
    return line;
  });
}

test('an export has a header, every entry in order, each head behind its entry, and an end that counts', async () => {
  const lines = await linesOf();
  const [header] = lines;
  const entries = lines.filter((line) => line.kind === 'entry');
  const [row] = await database.root<{ no: number; hash: string; first: string }[]>`
    select h.chain_no::int as no, h.hash, (select hash from audit_entries where chain_no = 1) as first from audit_head h`;
  expect(header).toMatchObject({
    kind: 'header',
    installation: row?.first,
    head: { chainNo: row?.no, hash: row?.hash },
    publicKeys: [expect.stringContaining('BEGIN PUBLIC KEY') as string],
  });
  expect(entries.map(({ chainNo }) => chainNo)).toEqual(
    Array.from({ length: row?.no ?? 0 }, (_, at) => at + 1),
  );
  lines.forEach((line, at) => {
    if (line.kind === 'anchor') expect(lines[at - 1]).toMatchObject({ kind: 'entry', hash: line.hash });
  });
  expect(lines.at(-1)).toEqual({ kind: 'end', entries: entries.length, anchors: 5 });
});

test('an export from a number on begins there', async () => {
  const lines = await linesOf('?fromChainNo=3000');
  expect(lines[0]).toMatchObject({ fromChainNo: 3000 });
  expect(lines[1]).toMatchObject({ kind: 'entry', chainNo: 3000 });
  expect((await api.call('GET', '/v1/audit/export?fromChainNo=0', { as: keys.viewer })).status).toBe(400);
  expect((await api.call('GET', '/v1/audit/export?all=1', { as: keys.viewer })).status).toBe(400);
});

test('only who may read the audit can export it', async () => {
  expect((await api.call('GET', '/v1/audit/export', { as: keys.agent })).status).toBe(403);
  expect((await api.call('GET', '/v1/audit/export')).status).toBe(401);
});

test('an export while others write and sign is whole and intact, every time', async () => {
  let isWriting = true;
  const writing = (async () => {
    for (let count = 0; isWriting; count += 1) {
      await writeRows(database, 20, 100_000 + count * 20);
      await anchor();
    }
  })();
  const reached: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    const { report } = await verifyAudit(api, keys.viewer);
    expect(report.findings).toEqual([]);
    reached.push(report.to);
  }
  isWriting = false;
  await writing;
  expect(new Set(reached).size).toBeGreaterThan(1);
});

test('pages are read only as fast as they are taken', async () => {
  let asked = 0;
  const log = new Proxy(database.log, {
    apply(target, self, args) {
      asked += 1;
      return Reflect.apply(target, self, args) as unknown;
    },
  });
  const app = createApp({ ...api.deps, database: { ...database, log } });
  const answer = await app.request('/v1/audit/export', {
    headers: { authorization: `Bearer ${keys.viewer}` },
  });
  const reader = answer.body?.getReader();
  await reader?.read();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = asked;
  // The bounds and at most two pages, of the four and more that there are.
  expect(before).toBeLessThanOrEqual(5);
  await reader?.cancel();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(asked).toBe(before);
});

describe('TRUST 4.38: a stream', () => {
  async function readAll(given: { whenRead: () => Promise<void>; skipMs: number }): Promise<string> {
    const { key, id } = await aKey(database, people.viewer);
    keyId = id;
    let now = Date.now();
    const app = createApp({ ...api.deps, now: () => now });
    const answer = await app.request('/v1/audit/export', { headers: { authorization: `Bearer ${key}` } });
    const reader = answer.body?.getReader();
    let text = '';
    for (let piece = await reader?.read(); piece?.done === false; piece = await reader?.read()) {
      text += new TextDecoder().decode(piece.value);
      await given.whenRead();
      now += given.skipMs;
    }
    return text;
  }
  let keyId = '';
  const revoke = async (): Promise<void> =>
    void (await database.root`update keys set revoked_at = now() where id = ${keyId}`);
  const demote = async (): Promise<void> =>
    void (await database.root`update keys set scopes = '["tasks:read"]' where id = ${keyId}`);

  test.each([
    ['whose key is revoked meanwhile', revoke],
    ['who may no longer read meanwhile', demote],
  ])('ends for a reader %s, within a minute', async (_who, whenRead) => {
    await expect(readAll({ whenRead, skipMs: 61_000 })).rejects.toThrow();
  });

  test('goes on for a reader who still may', async () => {
    const text = await readAll({ whenRead: () => Promise.resolve(), skipMs: 61_000 });
    expect(text.trimEnd().split('\n').at(-1)).toContain('"kind":"end"');
  });

  test('without an authorization does not begin', async () => {
    expect((await api.call('GET', '/v1/audit/export')).status).toBe(401);
  });
});
