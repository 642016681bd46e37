import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { prepareDatabase } from '../../stack/database.ts';
import { placePostgres } from '../../stack/postgres-account.ts';
import { startPostgres, type PostgresInput } from '../../stack/postgres.ts';
import { isAlive, keepLog, makeFolder } from './support.ts';

async function start(dataDir: string, more: Partial<PostgresInput> = {}) {
  const server = await startPostgres({ dataDir, log: keepLog(), fast: true, ...more });
  onTestFinished(server.stop);
  return server;
}

async function ask(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  try {
    return [...(await sql.unsafe(text))] as Record<string, unknown>[];
  } finally {
    await sql.end();
  }
}

test('the server starts empty, listens on loopback with the agreed settings, and is gone after stop', async () => {
  const dataDir = makeFolder();
  const server = await start(dataDir, { fast: false });
  const names = `'listen_addresses','max_connections','transaction_timeout','statement_timeout','fsync',
    'idle_in_transaction_session_timeout','wal_compression','server_encoding','synchronous_commit'`;
  const rows = await ask(
    server.superuserUrl,
    `select name, setting from pg_settings where name in (${names})`,
  );
  expect(Object.fromEntries(rows.map((row) => [row.name, row.setting]))).toEqual({
    listen_addresses: '127.0.0.1',
    max_connections: '200',
    transaction_timeout: '60000',
    statement_timeout: '30000',
    idle_in_transaction_session_timeout: '5000',
    wal_compression: 'pglz',
    server_encoding: 'UTF8',
    synchronous_commit: 'on',
    fsync: 'on',
  });
  expect(statSync(join(dataDir, 'postgres-superuser')).mode & 0o777).toBe(0o600);
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
});

test('a second start continues with the data and the port of the first', async () => {
  const dataDir = makeFolder();
  const first = await start(dataDir);
  await ask(first.superuserUrl, 'create table kept as select 42 as answer');
  await first.stop();
  const second = await start(dataDir, { port: first.port });
  expect(second.superuserUrl).toBe(first.superuserUrl);
  expect(await ask(second.superuserUrl, 'select answer from kept')).toEqual([{ answer: 42 }]);
});

test('after kill -9 of the server the next start recovers what was written', async () => {
  const dataDir = makeFolder();
  const first = await start(dataDir, { fast: false });
  await ask(first.superuserUrl, 'create table kept as select 42 as answer');
  process.kill(first.pid, 'SIGKILL');
  await first.exited;
  const second = await start(dataDir);
  expect(await ask(second.superuserUrl, 'select answer from kept')).toEqual([{ answer: 42 }]);
});

test('a server that an earlier run left behind is stopped first', async () => {
  const dataDir = makeFolder();
  const first = await start(dataDir);
  const log = keepLog();
  const second = await start(dataDir, { log });
  expect(isAlive(first.pid)).toBe(false);
  expect(isAlive(second.pid)).toBe(true);
  expect(log.lines.join('\n')).toContain('an earlier run left behind');
});

test('roles and database are made once: the owner may create tables, the application may not', async () => {
  const dataDir = makeFolder();
  const { superuserUrl } = await start(dataDir);
  const urls = await prepareDatabase({ superuserUrl, dataDir });
  expect(await prepareDatabase({ superuserUrl, dataDir })).toEqual(urls);
  await ask(urls.migrateUrl, 'create table owned (id int)');
  await expect(ask(urls.databaseUrl, 'create table refused (id int)')).rejects.toThrow('permission denied');
  await expect(ask(urls.databaseUrl, 'select * from owned')).rejects.toThrow('permission denied');
  const roles = await ask(
    superuserUrl,
    `select rolname, rolsuper, rolcreaterole from pg_roles where rolname ~ '^dreamnet'`,
  );
  expect(roles.every((role) => role.rolsuper === false && role.rolcreaterole === false)).toBe(true);
  expect(statSync(join(dataDir, 'postgres-owner')).mode & 0o777).toBe(0o600);
});

test('a password with every kind of quote is stored as it is', async () => {
  const dataDir = makeFolder();
  const { superuserUrl } = await start(dataDir);
  writeFileSync(join(dataDir, 'postgres-app'), `a'b"c\\d$body$;--`, { mode: 0o600 });
  const { databaseUrl } = await prepareDatabase({ superuserUrl, dataDir });
  expect(await ask(databaseUrl, 'select current_user::text as name')).toEqual([{ name: 'dreamnet_app' }]);
});

async function clusterOf(dataDir: string): Promise<string> {
  const { clusterDir } = await placePostgres(dataDir, keepLog());
  mkdirSync(clusterDir, { recursive: true });
  return clusterDir;
}

test('a folder that is no database is refused and left as it is', async () => {
  const dataDir = makeFolder();
  const stranger = join(await clusterOf(dataDir), 'holiday.txt');
  writeFileSync(stranger, 'photos');
  await expect(start(dataDir)).rejects.toThrow('holds no PostgreSQL database');
  expect(readFileSync(stranger, 'utf8')).toBe('photos');
});

test('a database of another PostgreSQL version is refused with the ways out', async () => {
  const dataDir = makeFolder();
  writeFileSync(join(await clusterOf(dataDir), 'PG_VERSION'), '16\n');
  await expect(start(dataDir)).rejects.toThrow('was made by PostgreSQL 16; this release runs PostgreSQL 18');
});

test('a damaged database tells what the server said', async () => {
  const dataDir = makeFolder();
  const first = await start(dataDir);
  await first.stop();
  rmSync(join(await clusterOf(dataDir), 'global', 'pg_control'));
  await expect(start(dataDir)).rejects.toThrow(/did not start on .*pg_control/s);
});

// Only root runs the server as another user; anybody else can reach what is their own.
test('where the server cannot reach the data folder, the data is kept elsewhere until the folder is removed', async () => {
  const closed = join(makeFolder(), 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const dataDir = join(closed, 'data');
  const first = await start(dataDir);
  await ask(first.superuserUrl, 'create table kept as select 42 as answer');
  await first.stop();
  const { clusterDir, account } = await placePostgres(dataDir, keepLog());
  expect(clusterDir.startsWith(closed)).toBe(account === null);
  const second = await start(dataDir);
  expect(await ask(second.superuserUrl, 'select answer from kept')).toEqual([{ answer: 42 }]);
  await second.stop();
  rmSync(dataDir, { recursive: true });
  const third = await start(dataDir);
  await expect(ask(third.superuserUrl, 'select answer from kept')).rejects.toThrow('does not exist');
  await third.stop();
  const { clusterDir: newest } = await placePostgres(dataDir, keepLog());
  for (const folder of [clusterDir, newest]) rmSync(dirname(folder), { recursive: true, force: true });
});

test('a lost password file is refused, not replaced', async () => {
  const dataDir = makeFolder();
  await (await start(dataDir)).stop();
  rmSync(join(dataDir, 'postgres-superuser'));
  await expect(start(dataDir)).rejects.toThrow('postgres-superuser, which holds the password');
});
