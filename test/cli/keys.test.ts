import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatKey } from '../../domain/key.ts';
import { type FakeApi, key, run, startFakeApi } from './fake-api.ts';

const keyOf = (letter: string) => formatKey('live', letter.repeat(12), letter.repeat(43));
const folder = mkdtempSync(join(tmpdir(), 'dreamnet-cli-'));
const own = join(folder, 'own.key');
const noKey = join(folder, 'passwords');
let api: FakeApi;

beforeAll(async () => {
  mkdirSync(join(folder, 'keys'));
  writeFileSync(join(folder, 'keys', 'admin.key'), `${keyOf('A')}\n`);
  writeFileSync(join(folder, 'keys', 'operator.key'), `${keyOf('B')}\n`);
  writeFileSync(own, keyOf('C'));
  writeFileSync(noKey, 'hunter2-is-a-secret\n');
  api = await startFakeApi();
});
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true });
});

test.each([
  ['the environment', [], {}, key],
  ['an option before the environment', ['--key-file', own], {}, keyOf('C')],
  ['the named person', ['--as', 'admin'], {}, keyOf('A')],
  ['the file of the environment', [], { DREAMNET_KEY: '', DREAMNET_KEY_FILE: own }, keyOf('C')],
  ['the first operator otherwise', [], { DREAMNET_KEY: '' }, keyOf('B')],
])('the key comes from %s', async (_from, args, env, expected) => {
  await run(['me', '--url', api.url, ...args], { DREAMNET_DATA_DIR: folder, ...env });
  expect(api.asked.at(-1)?.key).toBe(expected);
});

test('without a key nothing is sent', async () => {
  const before = api.asked.length;
  expect(await run(['me', '--url', api.url], { DREAMNET_KEY: '' })).toMatchObject({ code: 3 });
  expect(api.asked).toHaveLength(before);
});

test('a file that holds no key is neither sent nor shown', async () => {
  const before = api.asked.length;
  const ended = await run(['me', '--url', api.url, '--key-file', noKey]);
  expect(ended.code).toBe(3);
  expect(ended.stdout + ended.stderr).not.toContain('hunter2');
  expect(api.asked).toHaveLength(before);
});

test('a key that is refused is not shown', async () => {
  const ended = await run(['me', '--url', api.url]);
  expect(ended.stdout + ended.stderr).not.toContain(key);
});
