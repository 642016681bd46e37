import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExportLine } from '../../domain/audit.ts';
import { aChain, aLife, anAnchor, anExport, privatePem, publicPem } from '../support/audit-chain.ts';
import { type FakeApi, problem, run, startFakeApi } from './fake-api.ts';

const folder = mkdtempSync(join(tmpdir(), 'dreamnet-cli-audit-'));
const chain = aChain(Array.from({ length: 20 }, (_, at) => aLife({ id: `tsk_${at}` })).flat());
const anchors = [20, 40, 60].map((chainNo) => anAnchor(chain, chainNo));
const lines = anExport(chain, anchors);
const stranger = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
const textOf = (all: ExportLine[]): string => all.map((line) => `${JSON.stringify(line)}\n`).join('');

let api: FakeApi;
let files = 0;

function fileOf(text: string): string {
  const file = join(folder, `${(files += 1)}`);
  writeFileSync(file, text);
  return file;
}

const heads = fileOf(anchors.map((anchor) => `${JSON.stringify(anchor)}\n`).join(''));
const key = fileOf(publicPem);
const good = fileOf(textOf(lines));
/** Nothing but the file: no server at this address, and no key of the API. */
const offline = { DREAMNET_URL: 'http://127.0.0.1:1', DREAMNET_KEY: '' };
const verify = (file: string, ...args: string[]) =>
  run(['audit', 'verify', '--file', file, ...args], offline);

beforeAll(async () => {
  api = await startFakeApi();
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true });
});

describe('offline, an export', () => {
  test('that is whole is intact, and it is said how far the heads reach and how fast it went', async () => {
    const ended = await verify(good, '--public-key', key, '--heads', heads);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    for (const part of ['60, 1 to 60', 'rows per second', 'reaches entry 60', '20 judged', 'Intact.'])
      expect(ended.stdout).toContain(part);
  });

  test('with --json is one object, and nothing else', async () => {
    const ended = await verify(good, '--public-key', key, '--json');
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toMatchObject({
      ...{ intact: true, entries: 60, to: 60, dispatches: 20, anchors: 3, anchoredTo: 60, findings: [] },
      ...{ keySource: 'given', installation: chain[0]?.hash, rowsPerSecond: expect.any(Number) as number },
    });
  });

  test('is believed only as far as its own key is, and that is said', async () => {
    const ended = await verify(good);
    expect(ended.code).toBe(0);
    expect(ended.stderr).toContain('The public key came with the export');
    expect(ended.stderr).toContain('--heads');
  });

  const without = (chainNo: number): ExportLine[] =>
    lines.filter((line) => line.kind !== 'entry' || line.chainNo !== chainNo);
  const changed = (chainNo: number, more: object): ExportLine[] =>
    lines.map((line) => (line.kind === 'entry' && line.chainNo === chainNo ? { ...line, ...more } : line));
  const twice = lines.flatMap((line) =>
    line.kind === 'entry' && line.chainNo === 30 ? [line, line] : [line],
  );

  test.each<[string, ExportLine[], string]>([
    ['an altered row', changed(30, { result: '{"x":1}' }), '30  altered'],
    ['an altered column', changed(30, { actor: 'prn_other' }), '30  altered'],
    ['a removed row', without(30), '30  removed'],
    ['an inserted row', twice, '30  inserted'],
    [
      'its last rows cut off',
      lines.filter((line) => line.kind !== 'entry' || line.chainNo < 58),
      '58  cut-off',
    ],
  ])('with %s is not intact: the row is named, with an exit code of its own', async (_what, all, said) => {
    const ended = await verify(fileOf(textOf(all)), '--public-key', key);
    expect(ended.code).toBe(10);
    expect(ended.stdout).toContain(said);
    expect(ended.stdout).toContain('NOT INTACT');
    const asJson = await verify(fileOf(textOf(all)), '--public-key', key, '--json');
    expect(asJson).toMatchObject({ code: 10, stderr: '' });
    expect(JSON.parse(asJson.stdout)).toMatchObject({ intact: false });
  });

  test('of a chain whose end and heads were cut off is found by the heads from outside alone', async () => {
    const short = fileOf(textOf(anExport(chain.slice(0, 50), anchors.slice(0, 2))));
    expect((await verify(short, '--public-key', key)).code).toBe(0);
    const ended = await verify(short, '--public-key', key, '--heads', heads);
    expect(ended.code).toBe(10);
    expect(ended.stdout).toContain('51  cut-off');
  });

  test('is never intact under the key of a stranger', async () => {
    const ended = await verify(good, '--public-key', fileOf(stranger));
    expect(ended.code).toBe(10);
    expect(ended.stdout.match(/forged-anchor/g)).toHaveLength(3);
    // After a change of keys the file of the auditor has both.
    expect((await verify(good, '--public-key', fileOf(stranger + publicPem))).code).toBe(0);
  });

  test('whose heads from outside are torn, twice or in contradiction', async () => {
    const [first = ''] = readFileSync(heads, 'utf8').split('\n');
    const torn = await verify(
      good,
      '--public-key',
      key,
      '--heads',
      fileOf(`${first}\n${first}\n${first.slice(0, 50)}`),
    );
    expect(torn.code).toBe(0);
    expect(torn.stderr).toContain('1 lines of the file of heads are torn');
    const other = JSON.stringify({ ...anchors[0], hash: 'f'.repeat(64) });
    const differing = await verify(good, '--public-key', key, '--heads', fileOf(`${first}\n${other}\n`));
    expect(differing.code).toBe(10);
    expect(differing.stdout).toContain('two different heads of entry 20');
  });

  test('that is broken off or no export at all is no proof of anything', async () => {
    for (const text of [
      textOf(lines.slice(0, -1)),
      textOf(lines.slice(1)),
      '',
      'no export\n',
      textOf([...lines, ...lines]),
    ]) {
      const ended = await verify(fileOf(text), '--public-key', key);
      expect(ended).toMatchObject({ code: 1, stdout: '' });
      expect(ended.stderr).toMatch(/export/i);
    }
  });

  test.each([
    [['--file', '/nonexistent']],
    [['--file', good, '--heads', '/nonexistent']],
    [['--file', good, '--public-key', '/nonexistent']],
    [['--file', good, '--public-key', good]],
    [['--file', good, '--public-key', fileOf(privatePem)]],
  ])('%j is a mistake of usage', async (args) => {
    expect(await run(['audit', 'verify', ...args], offline)).toMatchObject({ code: 2, stdout: '' });
  });

  test('with more findings than fit shows fifty and counts the others', async () => {
    const all = lines.map((line) => (line.kind === 'entry' ? { ...line, actor: '\u001b[2Jevil' } : line));
    const ended = await verify(fileOf(textOf(all)), '--public-key', key);
    expect(ended.code).toBe(10);
    expect(ended.stdout.match(/ altered /g)).toHaveLength(50);
    expect(ended.stdout).toContain('and 10 more findings');
    expect(ended.stdout).not.toContain('\u001b');
  });
});

describe('from the API', () => {
  const ndjson = { 'content-type': 'application/x-ndjson' };

  test('an export is written whole or not at all', async () => {
    api.on('GET /v1/audit/export', () => ({ body: textOf(lines), headers: ndjson }));
    const out = join(folder, 'exports.ndjson');
    const ended = await run(['audit', 'export', '--out', out, '--url', api.url]);
    expect(ended).toMatchObject({ code: 0, stdout: '' });
    expect(ended.stderr).toContain('60 entries');
    expect(statSync(out).mode & 0o777).toBe(0o600);
    expect(await verify(out, '--public-key', key, '--heads', heads)).toMatchObject({ code: 0 });

    api.on('GET /v1/audit/export', () => ({ body: textOf(lines.slice(0, 40)), headers: ndjson }));
    const broken = join(folder, 'broken.ndjson');
    expect((await run(['audit', 'export', '--out', broken, '--url', api.url])).code).toBe(8);
    expect(existsSync(broken)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).toEqual([]);
    const nowhere = join(folder, 'nowhere', 'export.ndjson');
    expect((await run(['audit', 'export', '--out', nowhere, '--url', api.url])).code).toBe(2);
  });

  test('an export without --out goes to stdout', async () => {
    api.on('GET /v1/audit/export', () => ({ body: textOf(lines), headers: ndjson }));
    const ended = await run(['audit', 'export', '--url', api.url]);
    expect(ended).toMatchObject({ code: 0, stdout: textOf(lines) });
  });

  test('the audit is verified while it streams, with the key of the caller', async () => {
    api.on('GET /v1/audit/export', () => ({ body: textOf(lines), headers: ndjson }));
    const before = api.asked.length;
    const ended = await run(['audit', 'verify', '--public-key', key, '--heads', heads, '--url', api.url]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(api.asked[before]?.key).not.toBeNull();
    // A head in the file that was read before is one that the audit has to reach, however young it says it is.
    const later = anAnchor(chain, 70, { at: '2030-01-01T00:00:00.000Z', hash: 'a'.repeat(64) });
    const more = fileOf(`${readFileSync(heads, 'utf8')}${JSON.stringify(later)}\n`);
    const cut = await run(['audit', 'verify', '--public-key', key, '--heads', more, '--url', api.url]);
    expect(cut.code).toBe(10);
    expect(cut.stdout).toContain('61  cut-off');
  });

  test('what the API refuses or cannot give ends with its own exit code', async () => {
    api.on('GET /v1/audit/export', () => problem(403, 'FORBIDDEN', 'lacks audit:read'));
    expect((await run(['audit', 'verify', '--url', api.url])).code).toBe(4);
    expect((await run(['audit', 'verify'], { DREAMNET_URL: 'http://127.0.0.1:1' })).code).toBe(8);
    expect((await run(['audit', 'verify', '--url', api.url], { DREAMNET_KEY: '' })).code).toBe(3);
  });

  test('list passes its filters on and shows one page', async () => {
    const item = {
      ...{ chainNo: 7, at: '2026-01-01T00:00:00.000Z', actor: 'prn_x', action: 'key.revoke', outcome: 'ok' },
      ...{ subject: { kind: 'key', id: 'key_1' }, detail: {}, prevHash: '', hash: '' },
    };
    api.on('GET /v1/audit', () => ({ body: { items: [item], nextCursor: 'next' } }));
    const args = [
      '--subject',
      'key_1',
      '--actor',
      'prn_x',
      '--action',
      'key.revoke',
      '--outcome',
      'ok',
      '--limit',
      '1',
    ];
    const ended = await run(['audit', 'list', ...args, '--url', api.url]);
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain('key key_1');
    expect(ended.stderr).toContain('--cursor next');
    const query = Object.fromEntries(api.asked.at(-1)?.query ?? []);
    expect(query).toEqual({
      subjectId: 'key_1',
      actor: 'prn_x',
      action: 'key.revoke',
      outcome: 'ok',
      limit: '1',
    });
  });
});
