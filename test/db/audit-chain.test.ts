import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuditActivities } from '../../activities/audit.ts';
import { recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import { auditPair, createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { verifyAudit, writeRows } from '../support/audit-rows.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { aRunningTask } from './flow.ts';

const rows = 10_000;
const folder = mkdtempSync(join(tmpdir(), 'dreamnet-test-audit-'));
let database: TestDatabase;
let people: People;
let api: TestApi;
let auditor: string;
let agent: string;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  auditor = (await keysOf(database, people)).viewer;
  api = createTestApi(database);
  agent = await anAgent(database, people);
  for (let count = 0; count < 3; count += 1) await aRunningTask(database, people, agent);
  const [row] = await database.root<{ n: number }[]>`select chain_no::int as n from audit_head`;
  await writeRows(database, rows - (row?.n ?? 0));
  const headsFile = join(folder, 'heads.jsonl');
  await createAuditActivities({ database, signingKey: auditPair.privateKey, headsFile }).anchorAudit();
  await database.root`create table kept_entries as select * from audit_entries`;
  await database.root`create table kept_head as select * from audit_head`;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the verifier finds after somebody with every right has run these statements; everything is put back. */
async function foundAfter(statements: string[]): Promise<string[]> {
  const session = await database.root.reserve();
  try {
    await session`set session_replication_role = 'replica'`;
    for (const statement of statements) await session.unsafe(statement);
    const { report } = await verifyAudit(api, auditor);
    return report.findings.map(({ kind, chainNo }) => `${kind} ${chainNo}`);
  } finally {
    await session`truncate audit_entries, audit_head`;
    await session`insert into audit_entries select * from kept_entries`;
    await session`insert into audit_head select * from kept_head`;
    await session`set session_replication_role = 'origin'`;
    session.release();
  }
}

const makeRoom = [
  `update audit_entries set chain_no = -chain_no where chain_no >= 5000`,
  `update audit_entries set chain_no = 1 - chain_no where chain_no < 0`,
];
const aCopy = (chainNo: string) => `
  insert into audit_entries (chain_no, at, actor, action, subject_kind, subject_id, outcome, op_key, body, result, prev_hash, hash)
  select ${chainNo}, at, actor, action, subject_kind, subject_id, outcome, op_key || ':copy',
         jsonb_set(body::jsonb, '{opKey}', to_jsonb(op_key || ':copy'))::text, result, prev_hash, hash
  from audit_entries where chain_no = 4999`;

describe('TRUST 4.44: of 10,000 rows', () => {
  test('none is wrong while nobody touched them', async () => {
    const { report } = await verifyAudit(api, auditor);
    expect(report).toMatchObject({ intact: true, entries: rows, from: 1, to: rows, dispatches: 3 });
    expect(report).toMatchObject({ anchors: 1, anchoredTo: rows });
  });

  test.each<[string, string[], string[]]>([
    [
      'one altered',
      [`update audit_entries set body = replace(body, 'row', 'now') where chain_no = 5000`],
      ['altered 5000'],
    ],
    [
      'one altered beside its text',
      [`update audit_entries set actor = 'prn_other' where chain_no = 7`],
      ['altered 7'],
    ],
    [
      'one with another result',
      [`update audit_entries set result = '{}' where chain_no = 5000`],
      ['altered 5000'],
    ],
    [
      'one with another time',
      [`update audit_entries set at = at + interval '1 millisecond' where chain_no = 5000`],
      ['altered 5000'],
    ],
    [
      'one altered together with its hash',
      [
        `update audit_entries set body = replace(body, 'row', 'now') where chain_no = 5000`,
        `update audit_entries set hash = encode(sha256(convert_to(prev_hash || E'\\n' || chain_no || E'\\n'
           || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || E'\\n' || body || E'\\n' || result, 'UTF8')), 'hex')
         where chain_no = 5000`,
      ],
      ['altered 5000'],
    ],
    ['one removed', [`delete from audit_entries where chain_no = 5000`], ['removed 5000']],
    [
      'one removed and the others renumbered',
      [
        `delete from audit_entries where chain_no = 5000`,
        `update audit_entries set chain_no = -chain_no where chain_no > 5000`,
        `update audit_entries set chain_no = -chain_no - 1 where chain_no < 0`,
        `update audit_head set chain_no = chain_no - 1`,
      ],
      ['removed 5000'],
    ],
    ['one inserted', [...makeRoom, aCopy('5000')], ['inserted 5000']],
    ['one inserted before the first', [aCopy('0')], ['altered 0', 'inserted 0']],
    [
      'two swapped',
      [
        `update audit_entries set chain_no = -chain_no where chain_no in (5000, 5001)`,
        `update audit_entries set chain_no = 10001 + chain_no where chain_no < 0`,
      ],
      ['swapped 5000', 'swapped 5001'],
    ],
    [
      'two far apart swapped',
      [
        `update audit_entries set chain_no = -chain_no where chain_no in (20, 9000)`,
        `update audit_entries set chain_no = 9020 + chain_no where chain_no < 0`,
      ],
      ['swapped 20', 'swapped 9000'],
    ],
    ['the last ones cut off', [`delete from audit_entries where chain_no > 9990`], ['cut-off 9991']],
    [
      'the last ones cut off and the head moved back',
      [
        `delete from audit_entries where chain_no > 9990`,
        `update audit_head set chain_no = 9990, hash = (select hash from audit_entries where chain_no = 9990)`,
      ],
      ['cut-off 9991'],
    ],
  ])('%s is found with its number', async (_what, statements, expected) => {
    expect(await foundAfter(statements)).toEqual(expected);
  });

  test('a dispatch whose decision was taken out, everything made anew behind it, is found twice', async () => {
    const [vote] = await database.root<{ no: number }[]>`
      select chain_no::int as no from audit_entries where action = 'approval.approve' order by chain_no limit 1`;
    const findings = await foundAfter([
      `create temp table rest as select row_number() over (order by chain_no) as no, * from audit_entries
       where chain_no <> ${vote?.no}`,
      `truncate audit_entries`,
      // The trigger itself hashes them, from the beginning on; only the times are new.
      `set session_replication_role = 'origin'`,
      `update audit_head set chain_no = 0, hash = repeat('0', 64)`,
      `insert into audit_entries (op_key, actor, action, subject_kind, subject_id, outcome, body, result)
       select op_key, actor, action, subject_kind, subject_id, outcome, body, result from rest order by no`,
      `set session_replication_role = 'replica'`,
      `drop table rest`,
    ]);
    expect(findings).toContainEqual(expect.stringContaining('dispatch-without-decision'));
    expect(findings).toContainEqual(expect.stringMatching(/forged-anchor|cut-off/));
  });
});

describe('TRUST 4.46: an audit entry and the change it tells of commit in one transaction', () => {
  test('a decision, its event and its entry carry the same transaction', async () => {
    const task = await aTask(database, people);
    await recordDecision(database.db, {
      ...{
        approvalId: task.approvalId,
        workflowId: task.workflowId,
        decision: 'approve',
        digest: task.digest,
      },
      ...{ principalId: people.operator, reason: null, requestId: null, opKey: newId('op') },
    });
    const [row] = await database.root<{ approval: string; task: string; entry: string; event: string }[]>`
      select (select xmin::text from approvals where id = ${task.approvalId}) as approval,
             (select xmin::text from tasks where id = ${task.id}) as task,
             (select xmin::text from audit_entries where subject_id = ${task.approvalId}
              and action = 'approval.approve') as entry,
             (select (tx::text::numeric % 4294967296)::text from events where correlation_id = ${task.id}
              and type = 'squad.task.approved') as event`;
    expect(row?.entry).toMatch(/^\d+$/);
    expect(row).toEqual({ approval: row?.entry, task: row?.entry, event: row?.entry, entry: row?.entry });
  });
});
