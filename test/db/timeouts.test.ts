import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase(4);
});

describe('the connections of the application', () => {
  test.each([
    ['statement_timeout', '30s'],
    ['lock_timeout', '10s'],
    ['idle_in_transaction_session_timeout', '5s'],
  ])('have a %s of %s, in both pools', async (name, value) => {
    const [records] = await database.db.execute(sql`select current_setting(${name}) as value`);
    const [log] = await database.log`select current_setting(${name}) as value`;
    expect([records?.value, log?.value]).toEqual([value, value]);
  });

  test('say whose they are', async () => {
    const [row] =
      await database.log`select current_setting('application_name') as name, current_user as role`;
    expect(row).toEqual({ name: 'test', role: 'dreamnet_app' });
  });

  test('a transaction that is forgotten is ended by the server, so that it cannot hold the readers back for long', async () => {
    const forgotten = await database.log.reserve();
    const [session] = await forgotten<{ pid: number }[]>`select pg_backend_pid() as pid`;
    // It writes nothing: an open write would hold back the readers of every other test on this server.
    await forgotten.unsafe('begin');
    await eventually(
      async () => database.root`select 1 as one from pg_stat_activity where pid = ${session?.pid ?? 0}`,
    ).toHaveLength(0);
    expect(await database.log`select 1 as one`).toHaveLength(1);
  });
});
