import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, afterEach, describe, expect, inject, test } from 'vitest';
import { openDatabase } from '../../db/client.ts';
import { migrateDatabase, requireCurrentSchema } from '../../db/migrate.ts';
import { testPasswords } from '../support/database-setup.ts';

const repository = join(import.meta.dirname, '../..');
const journal = JSON.parse(readFileSync(join(repository, 'db/migrations/meta/_journal.json'), 'utf8')) as {
  entries: { when: number; tag: string }[];
};
const count = journal.entries.length;

const superuserUrl = inject('superuserUrl');
const admin = postgres(superuserUrl, { max: 1, onnotice: () => undefined });
const opened: { close(): Promise<void> }[] = [];
const made: string[] = [];

afterEach(async () => {
  for (const connection of opened.splice(0)) await connection.close();
});
afterAll(async () => {
  for (const name of made) await admin`drop database ${admin(name)} with (force)`;
  await admin.end({ timeout: 5 });
});

/** An empty database, with the addresses of its owner and of the application. */
async function anEmptyDatabase() {
  const name = `m_${randomBytes(6).toString('hex')}`;
  await admin`create database ${admin(name)} owner dreamnet_owner`;
  made.push(name);
  const address = (user: string, password: string): string => {
    const url = new URL(superuserUrl);
    url.pathname = `/${name}`;
    url.username = user;
    url.password = password;
    return url.href;
  };
  const ownerUrl = address('dreamnet_owner', testPasswords.ownerPassword);
  const owner = postgres(ownerUrl, { max: 1, onnotice: () => undefined });
  const app = openDatabase(address('dreamnet_app', testPasswords.appPassword), {
    name: 'test',
    connections: 2,
  });
  opened.push(app, { close: () => owner.end({ timeout: 5 }) });
  return { ownerUrl, owner, app };
}

describe('migrations', () => {
  test('bring an empty database up to this release, as its owner and without rights over the server', async () => {
    const { ownerUrl, owner, app } = await anEmptyDatabase();
    expect(await migrateDatabase(ownerUrl)).toEqual({ applied: count });
    await requireCurrentSchema(app.db);
    const [row] = await owner`
      select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls as mighty from pg_roles where rolname = current_user`;
    expect(row?.mighty).toBe(false);
    expect(
      await owner`select 1 as one from pg_tables where schemaname = 'public' and tableowner <> current_user`,
    ).toEqual([]);
    expect(await owner`select chain_no::int as no from audit_head`).toEqual([{ no: 0 }]);
  });

  test('a second time there is nothing to do', async () => {
    const { ownerUrl } = await anEmptyDatabase();
    await migrateDatabase(ownerUrl);
    expect(await migrateDatabase(ownerUrl)).toEqual({ applied: 0 });
  });

  test('four at once apply each migration once', async () => {
    const { ownerUrl, app } = await anEmptyDatabase();
    const runs = await Promise.all(Array.from({ length: 4 }, () => migrateDatabase(ownerUrl)));
    expect(runs.map((run) => run.applied).sort()).toEqual([0, 0, 0, count]);
    await requireCurrentSchema(app.db);
  });

  test('a database of a newer release is refused by both, and left as it is', async () => {
    const { ownerUrl, owner, app } = await anEmptyDatabase();
    await migrateDatabase(ownerUrl);
    await owner`insert into drizzle.__drizzle_migrations (hash, created_at) values ('future', 99999999999999)`;
    await expect(migrateDatabase(ownerUrl)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: /newer release/,
    });
    await expect(requireCurrentSchema(app.db)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: /newer release/,
    });
    const rows = await owner`select 1 as one from drizzle.__drizzle_migrations`;
    expect(rows).toHaveLength(count + 1);
  });

  test('a database of an older release is refused, with the names of what is missing and what to do', async () => {
    const { ownerUrl, owner, app } = await anEmptyDatabase();
    await migrateDatabase(ownerUrl);
    const last = journal.entries.at(-1);
    await owner`delete from drizzle.__drizzle_migrations where created_at = ${last?.when ?? 0}`;
    await expect(requireCurrentSchema(app.db)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(new RegExp(`lacks 1 migration\\(s\\): ${last?.tag}.*npm run migrate`)),
    });
  });

  test('an empty database is refused, with the names of all', async () => {
    const { app } = await anEmptyDatabase();
    const names = journal.entries.map((entry) => entry.tag).join(', ');
    await expect(requireCurrentSchema(app.db)).rejects.toMatchObject({
      message: expect.stringContaining(names),
    });
  });

  test('a migration that fails leaves nothing half done', async () => {
    const { ownerUrl, owner } = await anEmptyDatabase();
    await owner`create table tasks (id int)`;
    await expect(migrateDatabase(ownerUrl)).rejects.toThrow();
    expect(
      await owner`select 1 as one from pg_tables where schemaname = 'public' and tablename <> 'tasks'`,
    ).toEqual([]);
    await owner`drop table tasks`;
    expect(await migrateDatabase(ownerUrl)).toEqual({ applied: count });
  });
});

describe('the schema in TypeScript', () => {
  test('says what the migrations make: generating finds nothing new', () => {
    const copy = mkdtempSync(join(tmpdir(), 'dreamnet-schema-'));
    try {
      for (const folder of ['db', 'domain'])
        cpSync(join(repository, folder), join(copy, folder), { recursive: true });
      symlinkSync(join(repository, 'node_modules'), join(copy, 'node_modules'));
      writeFileSync(join(copy, 'package.json'), '{"type":"module"}');
      const before = readdirSync(join(copy, 'db/migrations')).sort();
      const run = spawnSync(
        process.execPath,
        [join(copy, 'node_modules/drizzle-kit/bin.cjs'), 'generate', '--config', 'db/drizzle.config.ts'],
        { cwd: copy, encoding: 'utf8' },
      );
      expect(run).toMatchObject({ status: 0, stdout: expect.stringContaining('No schema changes') });
      expect(readdirSync(join(copy, 'db/migrations')).sort()).toEqual(before);
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  });
});
