import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { StackError, errorText } from './error.ts';
import { readOrCreatePrivate } from './files.ts';
import type { Log } from './log.ts';
import type { Placement } from './postgres-account.ts';

export const postgresEnv = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_MESSAGES: 'C', TZ: 'UTC' };

const neededVersion = '18';

function holdsCluster(clusterDir: string): boolean {
  let names: string[];
  try {
    names = readdirSync(clusterDir);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return false;
    throw new StackError(
      code === 'ENOTDIR'
        ? `${clusterDir} is not a folder, but PostgreSQL keeps its data there. Move it away, or set DREAMNET_DATA_DIR to another folder.`
        : `${clusterDir}, where PostgreSQL keeps its data, cannot be read (${errorText(error)}). Make it readable for this user, or set DREAMNET_DATA_DIR to another folder.`,
    );
  }
  if (names.length === 0) return false;
  if (!names.includes('PG_VERSION')) {
    throw new StackError(
      `${clusterDir} is not empty and holds no PostgreSQL database (no PG_VERSION file): it is broken or belongs to something else. ` +
        'Restore it from a backup, move it away to begin with an empty database, or set DREAMNET_DATA_DIR to another folder.',
    );
  }
  const version = readFileSync(join(clusterDir, 'PG_VERSION'), 'utf8').trim();
  if (version !== neededVersion) {
    throw new StackError(
      `${clusterDir} was made by PostgreSQL ${version || '(unknown)'}; this release runs PostgreSQL ${neededVersion}. ` +
        'Move it over with pg_dump and psql, set DREAMNET_DATA_DIR to another folder, or set DATABASE_URL to a server of that version.',
    );
  }
  return true;
}

/** Makes the database files when there are none yet, and returns the superuser's password. */
export function prepareCluster(placement: Placement, dataDir: string): string {
  const { account, clusterDir, binaries } = placement;
  const passwordFile = join(dataDir, 'postgres-superuser');
  if (holdsCluster(clusterDir)) {
    if (!existsSync(passwordFile)) {
      throw new StackError(
        `${passwordFile}, which holds the password of the database in ${clusterDir}, is missing. ` +
          'Put it back from a backup, or move the database folder away too, to begin with an empty one.',
      );
    }
    return readOrCreatePrivate(passwordFile, () => '');
  }
  const password = readOrCreatePrivate(passwordFile, () => `${randomBytes(24).toString('hex')}\n`);
  const home = dirname(clusterDir);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  // Made beside and then renamed: a set-up that is killed half-way leaves nothing that looks like a database.
  const draft = join(home, `new-${randomBytes(6).toString('hex')}`);
  const handOver = `${draft}.password`;
  try {
    writeFileSync(handOver, password, { mode: 0o600, flag: 'wx' });
    if (account) chownSync(handOver, account.uid, account.gid);
    const args = [
      '-D',
      draft,
      '--username=postgres',
      `--pwfile=${handOver}`,
      '--encoding=UTF8',
      '--locale=C',
      '--auth=scram-sha-256',
      '--no-instructions',
    ];
    const made = spawnSync(binaries.initdb, args, {
      ...account,
      cwd: '/',
      env: postgresEnv,
      encoding: 'utf8',
    });
    if (made.status !== 0) {
      const why = made.error
        ? made.error.message
        : `${made.stdout}${made.stderr}`.trim().split('\n').slice(-6).join('\n');
      throw new StackError(`the database could not be created in ${clusterDir}:\n${why}`);
    }
    rmSync(clusterDir, { recursive: true, force: true });
    renameSync(draft, clusterDir);
  } finally {
    rmSync(handOver, { force: true });
    rmSync(draft, { recursive: true, force: true });
  }
  return password;
}

function findLeftover(clusterDir: string): number | null {
  let pid: number;
  try {
    pid = Number(readFileSync(join(clusterDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
  } catch {
    return null;
  }
  const ps = spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], {
    encoding: 'utf8',
    env: postgresEnv,
  });
  return pid > 0 && ps.status === 0 && ps.stdout.includes(clusterDir) ? pid : null;
}

/** A server that outlived its killed supervisor gets a moment to end by itself, then is stopped. */
export async function endLeftover(clusterDir: string, log: Log): Promise<void> {
  const stages = [
    { signal: null, waitMs: 3000 },
    { signal: 'SIGINT', waitMs: 10_000 },
    { signal: 'SIGQUIT', waitMs: 5000 },
  ] as const;
  for (const { signal, waitMs } of stages) {
    const pid = findLeftover(clusterDir);
    if (pid === null) return;
    if (signal === 'SIGINT')
      log.info(`Stopping the PostgreSQL server (process ${pid}) that an earlier run left behind.`);
    if (signal !== null) process.kill(pid, signal);
    for (const until = Date.now() + waitMs; Date.now() < until; await wait(50)) {
      if (findLeftover(clusterDir) === null) return;
    }
  }
  throw new StackError(
    `a PostgreSQL server (process ${findLeftover(clusterDir)}) is still running on ${clusterDir} and does not stop. Stop it, then try again.`,
  );
}
