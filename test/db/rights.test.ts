import { beforeAll, describe, expect, test } from 'vitest';
import { storeAnchor } from '../../db/audit-anchors.ts';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { createPeople, openTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
  await createPeople(database);
  // A row to refuse: the triggers look at rows.
  await storeAnchor(database.log, {
    ...{
      chainNo: 1,
      hash: 'a',
      installation: 'a',
      at: '2026-01-01T00:00:00.000Z',
      keyId: 'k',
      signature: 's',
    },
  });
  await appendEvents(database.log, [
    {
      id: 'evt_1',
      type: 'a.b',
      source: { type: 'api', id: 'x' },
      severity: 'info',
      payload: {},
      metadata: {},
    },
  ]);
});

/** What the database says to the application; the two classes are missing rights and our own trigger's refusal. */
async function refusalOf(statement: string): Promise<unknown> {
  return database.log.unsafe(statement).then(
    () => 'done',
    (error: { code?: unknown }) => error.code,
  );
}
const missingRight = '42501';

describe('TRUST 4.45: the application may read and add to its own record, and do nothing else with it', () => {
  test.each([
    `update audit_entries set actor = 'x'`,
    `delete from audit_entries`,
    `truncate audit_entries`,
    `truncate audit_entries cascade`,
    `update audit_head set chain_no = 0`,
    `update audit_anchors set hash = 'x'`,
    `delete from audit_anchors`,
    `truncate audit_anchors`,
    `alter table audit_anchors disable trigger all`,
    `insert into audit_head (one, chain_no, hash) values (false, 1, '')`,
    `delete from audit_head`,
    `truncate audit_head`,
    `update events set severity = 'info'`,
    `delete from events`,
    `truncate events`,
    `update event_keys set id = 'x'`,
    `delete from event_keys`,
    `delete from tasks`,
    `delete from approvals`,
    `delete from principals`,
    `truncate tasks cascade`,
    `alter table audit_entries disable trigger all`,
    `drop trigger audit_chain on audit_entries`,
    `drop table tasks`,
    `create table mine (id int)`,
    `create function chain_audit_entry() returns trigger language plpgsql as 'begin return new; end'`,
    `set session_replication_role = 'replica'`,
    `set role dreamnet_owner`,
    `update drizzle.__drizzle_migrations set created_at = 0`,
    `select pg_read_file('/etc/passwd')`,
    `copy audit_entries to program 'cat'`,
  ])('%s', async (statement) => {
    expect(await refusalOf(statement)).toBe(missingRight);
  });

  test('no partition of the log is a way around it, neither an old nor a new one', async () => {
    await database.root`
      create table events_2000_01 partition of events for values from ('2000-01-01') to ('2000-02-01')`;
    const partitions = await database.root<{ name: string }[]>`
      select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass`;
    expect(partitions.length).toBeGreaterThanOrEqual(6);
    for (const { name } of partitions)
      for (const statement of [
        `update ${name} set severity = 'info'`,
        `delete from ${name}`,
        `truncate ${name}`,
        `alter table events detach partition ${name}`,
      ])
        expect({ statement, refusal: await refusalOf(statement) }).toEqual({
          statement,
          refusal: missingRight,
        });
  });

  test('the owner cannot change or empty the audit by accident either', async () => {
    for (const statement of [
      `update audit_entries set actor = 'x'`,
      `delete from audit_entries`,
      `truncate audit_entries`,
      `update audit_anchors set hash = 'x'`,
      `delete from audit_anchors`,
      `truncate audit_anchors`,
    ])
      await expect(database.root.unsafe(statement)).rejects.toThrow('append-only');
  });

  test('it may add to the log, and change the rows that live', async () => {
    expect(await refusalOf(`update principals set status = 'active' where id = '${newId('none')}'`)).toBe(
      'done',
    );
    expect(await refusalOf(`select count(*) from audit_entries, audit_head`)).toBe('done');
  });
});
