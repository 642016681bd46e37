import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

// A pid alone is not an identity: after a reboot or in a container the same number is soon another process.
function startOf(pid) {
  if (process.platform === 'linux') {
    try {
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A killed process that nobody has waited for yet still has its number, but does nothing any more.
      return fields[0] === 'Z' ? null : `${boot}:${fields[19]}`;
    } catch {
      return null;
    }
  }
  try {
    const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], options).trim() || null;
  } catch {
    return null;
  }
}

function readHolder(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    if (error instanceof SyntaxError) return { pid: 0, start: null };
    throw error;
  }
}

function isAlive(holder) {
  return holder.pid > 0 && holder.start !== null && startOf(holder.pid) === holder.start;
}

function same(a, b) {
  return a !== null && b !== null && a.pid === b.pid && a.start === b.start;
}

function setStaleAside(path, stale) {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  // Between the look and the rename somebody else may have taken the lock: hand it back.
  if (!same(readHolder(aside), stale)) {
    try {
      linkSync(aside, path);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
  rmSync(aside, { force: true });
}

export function tryLock(path) {
  mkdirSync(dirname(path), { recursive: true });
  const mine = { pid: process.pid, start: startOf(process.pid) };
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(draft, JSON.stringify(mine), { flag: 'wx', mode: 0o644 });
  let tookOver = false;
  try {
    for (;;) {
      try {
        linkSync(draft, path);
        const release = () => {
          if (same(readHolder(path), mine)) rmSync(path, { force: true });
        };
        return { held: true, tookOver, release };
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const holder = readHolder(path);
      if (holder === null) continue;
      if (isAlive(holder)) return { held: false, holder: holder.pid };
      setStaleAside(path, holder);
      tookOver = true;
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

export async function withLock(path, onWait, work) {
  let lock = tryLock(path);
  for (let waited = 0; !lock.held; waited += 1) {
    if (waited % 40 === 0) onWait(lock.holder, waited / 4);
    await new Promise((resolve) => setTimeout(resolve, 250));
    lock = tryLock(path);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}
