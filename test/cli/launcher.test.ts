import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('before set-up has run, the launcher says what to run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dreamnet-cli-'));
  mkdirSync(join(folder, 'cli'));
  const launcher = join(folder, 'cli', 'dreamnet.mjs');
  copyFileSync(`${import.meta.dirname}/../../cli/dreamnet.mjs`, launcher);
  const ended = spawnSync(process.execPath, [launcher, 'inbox'], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect(ended).toMatchObject({ status: 1, stdout: '' });
  expect(ended.stderr).toContain('node scripts/setup.mjs --packages');
});
