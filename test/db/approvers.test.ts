import { beforeAll, describe, expect, test } from 'vitest';
import { getApproval } from '../../db/approvals.ts';
import { newId } from '../../db/ids.ts';
import { beginAttempt } from '../../db/task-run.ts';
import type { TaskRow } from '../../db/tasks.ts';
import { aKey } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { addToGroup, anApprovedTask, aPerson, aRuleFor, bindingTo, decideOn, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;
let agent: string;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  agent = await anAgent(database, people);
});

const forbidden = { accepted: false, refused: 'FORBIDDEN' };
const grant = (to: string, by: string, role = 'operator', scope = '*') => database.root`
  insert into grants (id, principal_id, role, scope, reason, granted_by)
  values (${newId('grt')}, ${to}, ${role}, ${scope}, 'test', ${by})`;

describe('four eyes, by person (TRUST 4.11)', () => {
  test('the owner of the agent that asks cannot approve, nor can another account of that owner', async () => {
    const bot = await aPerson(database, { kind: 'agent', role: 'agent', owner: people.operator });
    const task = await aTask(database, people, { requestedBy: bot });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      requestedByPerson: people.operator,
      askedByPerson: people.operator,
    });
    expect(await decideOn(database, task, people.operator)).toMatchObject(forbidden);
    const second = await aPerson(database, { owner: people.operator });
    expect(await decideOn(database, task, second)).toMatchObject(forbidden);
    expect(await decideOn(database, task, people.admin)).toMatchObject({ state: 'approved' });
  });

  test('an account that the requester, or an agent of theirs, made after asking decides nothing', async () => {
    const bot = await aPerson(database, { kind: 'agent', role: 'agent', owner: people.requester });
    const task = await aTask(database, people);
    for (const by of [people.requester, bot]) {
      const puppet = await aPerson(database, { by });
      expect(await decideOn(database, task, puppet)).toMatchObject(forbidden);
    }
    expect(await decideOn(database, task, await aPerson(database, { by: people.admin }))).toMatchObject({
      accepted: true,
    });
  });

  test('a role given by the requester after asking does not count; one given before does', async () => {
    const [before, after] = [
      await aPerson(database, { role: 'viewer' }),
      await aPerson(database, { role: 'viewer' }),
    ];
    const promote = (id: string) => database.root`
      update principals set role = 'operator', role_by = ${people.requester}, role_since = clock_timestamp() where id = ${id}`;
    await promote(before);
    const task = await aTask(database, people);
    await promote(after);
    expect(await decideOn(database, task, after)).toMatchObject(forbidden);
    expect(await decideOn(database, task, before)).toMatchObject({ accepted: true });
  });

  test('a grant given by the requester after asking does not count; one of somebody else does', async () => {
    const viewer = await aPerson(database, { role: 'viewer' });
    const task = await aTask(database, people);
    await grant(viewer, people.requester);
    expect(await decideOn(database, task, viewer)).toMatchObject(forbidden);
    await grant(viewer, people.admin);
    expect(await decideOn(database, task, viewer)).toMatchObject({ accepted: true });
  });

  test('a key issued by the requester after asking does not count, at the run as at the API', async () => {
    const task = await aTask(database, people);
    const { id: own } = await aKey(database, people.operator);
    const { id: given } = await aKey(database, people.operator);
    await database.root`update keys set issued_by = ${people.requester} where id = ${given}`;
    expect(await decideOn(database, task, people.operator, { keyId: given })).toMatchObject(forbidden);
    expect(await decideOn(database, task, people.operator, { keyId: own })).toMatchObject({ accepted: true });
  });

  test('a group edit made by the requester after asking does not count', async () => {
    const group = newId('grp');
    const target = `probe:${group}`;
    await aRuleFor(database, target, {
      stages: [{ approvals: 1, approvers: { roles: [], groups: [group] } }],
    });
    await addToGroup(database, group, people.admin);
    const task = await aTask(database, people, { target });
    await addToGroup(database, group, people.operator, people.requester);
    expect(await decideOn(database, task, people.operator)).toMatchObject(forbidden);
    expect(await decideOn(database, task, people.admin)).toMatchObject({ state: 'approved' });
  });

  test('that the approval was opened anew since does not make such a gift count', async () => {
    const task = await anApprovedTask(database, people, agent);
    const puppet = await aPerson(database, { by: people.requester });
    await database.root`update agents set config_version = config_version + 1 where id = ${agent}`;
    const again = await beginAttempt(database.db, {
      ...{ taskId: task.id, opKey: newId('op'), request: null, actor: 'test' },
    });
    expect(again).toMatchObject({ voided: true });
    expect(await decideOn(database, await freshTask(database, task.id), puppet)).toMatchObject(forbidden);
    await database.root`update agents set config_version = 1 where id = ${agent}`;
  });
});

describe('a scope', () => {
  test('of a grant is for the target of the approval', async () => {
    const viewer = await aPerson(database, { role: 'viewer' });
    await grant(viewer, people.admin, 'operator', 'probe:bank*');
    const bank = await aTask(database, people, { target: `probe:bank-${newId('x')}` });
    const shop = await aTask(database, people, { target: `probe:shop-${newId('x')}` });
    expect(await decideOn(database, shop, viewer)).toMatchObject(forbidden);
    expect(await decideOn(database, bank, viewer)).toMatchObject({ state: 'approved' });
  });

  test('of a grant that ended or was revoked is none', async () => {
    const viewer = await aPerson(database, { role: 'viewer' });
    const task = await aTask(database, people);
    await grant(viewer, people.admin);
    await database.root`update grants set expires_at = now() - interval '1 second' where principal_id = ${viewer}`;
    expect(await decideOn(database, task, viewer)).toMatchObject(forbidden);
    await database.root`update grants set expires_at = null, revoked_at = now() where principal_id = ${viewer}`;
    expect(await decideOn(database, task, viewer)).toMatchObject(forbidden);
  });

  test('a role that an admin made permits what it lists', async () => {
    const role = newId('role');
    await database.root`
      insert into roles (name, description, permissions)
      values (${role}, 'test', ${database.root.json(['approvals:decide@probe:bank*'])})`;
    const person = await aPerson(database, { role });
    const bank = await aTask(database, people, { target: `probe:bank-${newId('x')}` });
    expect(await decideOn(database, await aTask(database, people), person)).toMatchObject(forbidden);
    expect(await decideOn(database, bank, person)).toMatchObject({ accepted: true });
  });
});

describe('at apply time an approver must hold the role still (TRUST 4.12)', () => {
  const begin = (task: TaskRow, opKey = newId('op')) =>
    beginAttempt(database.db, { taskId: task.id, opKey, request: null, actor: 'test' });

  async function approvedBy(id: string, given: { target?: string } = {}): Promise<TaskRow> {
    const binding = bindingTo(agent);
    const task = await aTask(database, people, { binding, ...given });
    expect(await decideOn(database, task, id)).toMatchObject({ state: 'approved' });
    return freshTask(database, task.id);
  }

  test.each(['disabled', 'demoted'])(
    'one who was %s since makes the approval void; a new one is open',
    async (how) => {
      const person = await aPerson(database);
      const task = await approvedBy(person);
      if (how === 'disabled')
        await database.root`update principals set status = 'disabled' where id = ${person}`;
      else await database.root`update principals set role = 'viewer' where id = ${person}`;
      const opKey = newId('op');
      const outcome = await begin(task, opKey);
      expect(outcome).toMatchObject({
        dispatched: false,
        voided: true,
        because: `name-of-${person} may no longer approve`,
        expiresInMs: expect.any(Number),
      });
      expect(await begin(task, opKey)).toEqual(outcome);
      const now = await freshTask(database, task.id);
      expect(now).toMatchObject({ state: 'pending-approval', digest: task.digest });
      expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'void' });
      const [entry] = await database.root`
      select body::jsonb -> 'detail' as detail from audit_entries
      where action = 'approval.void' and subject_id = ${task.approvalId}`;
      expect(entry?.detail).toMatchObject({ newApprovalId: now.approvalId, digest: task.digest });
      expect(await decideOn(database, now, people.admin)).toMatchObject({ state: 'approved' });
      expect(await begin(now)).toMatchObject({ dispatched: true });
    },
  );

  test('one who left the group of the stage makes it void too', async () => {
    const group = newId('grp');
    const target = `probe:${group}`;
    await aRuleFor(database, target, {
      stages: [{ approvals: 1, approvers: { roles: [], groups: [group] } }],
    });
    const person = await aPerson(database);
    await addToGroup(database, group, person);
    const task = await approvedBy(person, { target });
    await database.root`delete from group_members where principal_id = ${person}`;
    expect(await begin(task)).toMatchObject({ voided: true });
  });

  test('one who is as before lets it run', async () => {
    expect(await begin(await approvedBy(await aPerson(database)))).toMatchObject({ dispatched: true });
  });
});
