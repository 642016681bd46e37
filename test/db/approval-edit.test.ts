import { beforeAll, describe, expect, test } from 'vitest';
import { type EditInput, recordEdit } from '../../db/approval-edit.ts';
import { getApproval } from '../../db/approvals.ts';
import { newId } from '../../db/ids.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { cancelTask } from '../../db/task-end.ts';
import type { TaskRow } from '../../db/tasks.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { aPerson, aRuleFor, auditOf, bindingTo, decideOn, eventsOf, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;
let agent: string;

beforeAll(async () => {
  database = await openTestDatabase(24);
  people = await createPeople(database);
  agent = await anAgent(database, people);
});

const payload = { url: 'http://127.0.0.1:2/' };

function edit(task: TaskRow, by: string, given: Partial<EditInput> = {}) {
  return recordEdit(database.db, {
    ...{ approvalId: task.approvalId, workflowId: task.workflowId, principalId: by, digest: task.digest },
    ...{ reason: 'the other port', requestId: null, opKey: newId('op'), content: { payload } },
    ...given,
  });
}

describe('an edit', () => {
  test('voids the approval and opens one of the new content, in one step', async () => {
    const task = await aTask(database, people, { binding: bindingTo(agent) });
    const outcome = await edit(task, people.operator);
    const now = await freshTask(database, task.id);
    expect(outcome).toMatchObject({
      accepted: true,
      state: 'void',
      replacement: {
        approvalId: now.approvalId,
        expiresInMs: 72 * 3_600_000,
        remindEveryMs: 24 * 3_600_000,
        escalateAfterMs: 48 * 3_600_000,
      },
    });
    expect(now).toMatchObject({
      ...{ state: 'pending-approval', payload, editedBy: people.operator, requestedBy: people.requester },
    });
    expect(now.digest).not.toBe(task.digest);
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      state: 'void',
      closedBecause: expect.stringMatching(/^edited by operator-/),
    });
    expect(await getApproval(database.db, now.approvalId)).toMatchObject({
      ...{ state: 'open', digest: now.digest, requestedBy: people.operator, votes: [] },
      summary: { payload, replaces: task.approvalId },
    });
    expect(await eventsOf(database.root, task.id)).toEqual([
      ...['squad.task.created', 'approval.requested', 'approval.edited', 'approval.requested'],
    ]);
    expect(await auditOf(database.root, task.approvalId)).toEqual(['approval.edit']);
    const [entry] = await database.root`
      select body::jsonb -> 'detail' as detail from audit_entries where action = 'approval.edit' and subject_id = ${task.approvalId}`;
    expect(entry?.detail).toMatchObject({
      ...{ before: task.digest, digest: now.digest, newApprovalId: now.approvalId },
    });
  });

  test('makes its author the one who cannot approve, and lets the requester; both have seen it then', async () => {
    const task = await aTask(database, people, { binding: bindingTo(agent) });
    await edit(task, people.operator);
    const now = await freshTask(database, task.id);
    expect(await decideOn(database, now, people.operator)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await decideOn(database, now, people.requester)).toMatchObject({ state: 'approved' });
    const begun = await beginAttempt(database.db, {
      ...{ taskId: task.id, opKey: newId('op'), request: null, actor: 'test' },
    });
    expect(begun).toMatchObject({ dispatched: true, task: { payload } });
  });

  test('stays the work of its author when the approval is opened again', async () => {
    const own = await anAgent(database, people);
    const task = await aTask(database, people, { binding: bindingTo(own) });
    await edit(task, people.operator);
    await decideOn(database, await freshTask(database, task.id), people.admin);
    await database.root`update agents set config_version = 2 where id = ${own}`;
    await beginAttempt(database.db, { taskId: task.id, opKey: newId('op'), request: null, actor: 'test' });
    const again = await freshTask(database, task.id);
    expect(again.state).toBe('pending-approval');
    expect(await decideOn(database, again, people.operator)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test('leaves what it does not name; an old digest or approval decides nothing any more', async () => {
    const task = await aTask(database, people, { title: 'before', timeoutMs: 5000 });
    await edit(task, people.operator, { content: { title: 'after', timeoutMs: 6000 } });
    const now = await freshTask(database, task.id);
    expect(now).toMatchObject({ title: 'after', timeoutMs: 6000, payload: task.payload });
    expect(await decideOn(database, task, people.admin)).toMatchObject({ refused: 'CONFLICT' });
    expect(await edit(task, people.admin)).toMatchObject({ refused: 'CONFLICT' });
  });

  test('repeated after a lost acknowledgement is told the same, and changes nothing twice', async () => {
    const task = await aTask(database, people);
    const opKey = newId('op');
    const first = await edit(task, people.operator, { opKey });
    expect(await edit(task, people.operator, { opKey })).toEqual(first);
    expect(await freshTask(database, task.id)).toMatchObject({ approvals: 2 });
  });

  test('is refused to the requester, to a viewer, to an agent, without a change, and where the policy forbids it', async () => {
    const task = await aTask(database, people);
    for (const who of [people.requester, people.viewer, people.agent])
      expect(await edit(task, who)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await edit(task, people.operator, { content: {} })).toMatchObject({ refused: 'INVALID' });
    expect(await edit(task, people.operator, { digest: '0'.repeat(64) })).toMatchObject({ refused: 'STALE' });
    const target = `probe:${newId('x')}`;
    await aRuleFor(database, target, { editAllowed: false });
    const closed = await aTask(database, people, { target });
    expect(await edit(closed, people.operator)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await freshTask(database, task.id)).toMatchObject({ digest: task.digest, approvals: 1 });
  });
});

/** Statements with this in their text that wait for a lock. */
const waiting = (text: string) => database.root`
  select from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock' and query like ${`%${text}%`}`;

describe('edits racing', () => {
  test('with votes: what is approved is always the content that its voters saw', async () => {
    const voters = await Promise.all(Array.from({ length: 6 }, () => aPerson(database)));
    for (let round = 0; round < 12; round += 1) {
      const task = await aTask(database, people, { binding: bindingTo(agent) });
      const [edited, ...votes] = await Promise.all([
        edit(task, people.operator),
        ...voters.map((id) => decideOn(database, task, id)),
      ]);
      const won = [edited, ...votes].filter((outcome) => outcome.accepted);
      expect(won).toHaveLength(1);
      const now = await freshTask(database, task.id);
      const approval = await getApproval(database.db, now.approvalId);
      expect(approval?.digest).toBe(now.digest);
      if (edited.accepted) {
        expect(now).toMatchObject({ state: 'pending-approval', payload });
        expect(approval).toMatchObject({ state: 'open', votes: [] });
      } else {
        expect(now).toMatchObject({ state: 'pending', digest: task.digest, payload: task.payload });
        expect(approval).toMatchObject({ state: 'approved', id: task.approvalId });
      }
    }
  });

  test('with each other and with a cancellation: one approval is open at most, none of a cancelled task', async () => {
    for (let round = 0; round < 8; round += 1) {
      const task = await aTask(database, people);
      const [one, two] = await Promise.all([
        edit(task, people.operator, { content: { title: 'one' } }),
        edit(task, people.admin, { content: { title: 'two' } }),
        cancelTask(database.db, {
          ...{ taskId: task.id, requestId: null, actor: 'test', reason: null, opKey: newId('op') },
        }),
      ]);
      expect([one, two].filter((outcome) => outcome.accepted).length).toBeLessThanOrEqual(1);
      const rows = await database.root`
        select state from approvals where subject_id = ${task.id} and state = 'open'`;
      expect(await freshTask(database, task.id)).toMatchObject({ state: 'cancelled' });
      expect(rows).toHaveLength(0);
    }
  });

  test('what a cancellation waits for is closed with the rest', async () => {
    const task = await aTask(database, people);
    const id = newId('apr');
    const holder = await database.root.reserve();
    await holder`select pg_advisory_lock(7)`;
    const edited = database.log`
      with locked as (update tasks set approvals = approvals + 1, approval_id = ${id} where id = ${task.id} returning *),
           held as (select ${task.approvalId} as id, pg_advisory_xact_lock(7) from locked)
      insert into approvals select (jsonb_populate_record(a, jsonb_build_object('id', ${id}::text))).*
      from approvals a join held using (id)`.execute();
    await expect.poll(() => waiting('held as')).toHaveLength(1);
    const cancelling = cancelTask(database.db, {
      ...{ taskId: task.id, requestId: null, actor: 'test', reason: null, opKey: newId('op') },
    });
    await expect.poll(() => waiting('update "tasks" set')).toHaveLength(1);
    await holder`select pg_advisory_unlock(7)`;
    holder.release();
    await edited;
    expect(await cancelling).toEqual({ state: 'cancelled' });
    expect(await getApproval(database.db, id)).toMatchObject({ state: 'withdrawn' });
  });
});
