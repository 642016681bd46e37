import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { claimDataFolder } from '../../stack/data-folder.ts';
import { makeFolder } from './support.ts';

test('a data folder in use is refused, and the message names who uses it', () => {
  const folder = makeFolder();
  const first = claimDataFolder(folder);
  expect(() => claimDataFolder(folder)).toThrow(
    `already running on the data folder ${folder} (process ${process.pid})`,
  );
  first.release();
  expect(readdirSync(folder)).toEqual([]);
  claimDataFolder(folder).release();
});

test('the lock of a process that is gone is taken over', () => {
  const folder = makeFolder();
  const gone = spawnSync(process.execPath, ['-e', '']).pid;
  writeFileSync(join(folder, 'running.lock'), JSON.stringify({ pid: gone, start: 'long ago' }));
  const claimed = claimDataFolder(folder);
  expect(claimed.tookOver).toBe(true);
  claimed.release();
});

test('a process that was given the number of the lost one does not hold its lock', () => {
  const folder = makeFolder();
  writeFileSync(join(folder, 'running.lock'), JSON.stringify({ pid: process.pid, start: 'another boot' }));
  expect(claimDataFolder(folder).tookOver).toBe(true);
});

test('a lock that was cut off while it was written is taken over', () => {
  const folder = makeFolder();
  writeFileSync(join(folder, 'running.lock'), '');
  expect(claimDataFolder(folder).tookOver).toBe(true);
});

test('a data folder that is a file is refused with what to do', () => {
  const path = join(makeFolder(), 'file');
  writeFileSync(path, '');
  expect(() => claimDataFolder(path)).toThrow('set DREAMNET_DATA_DIR to another one');
});
