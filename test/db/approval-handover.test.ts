import { beforeAll, describe, expect, test } from 'vitest';
import { recordHandover } from '../../db/approval-handover.ts';
import { getApproval } from '../../db/approvals.ts';
import { newId } from '../../db/ids.ts';
import type { TaskRow } from '../../db/tasks.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';
import { addToGroup, aPerson, aRuleFor, auditOf, decideOn, eventsOf } from './flow.ts';

let database: TestDatabase;
let people: People;
let group: string;
let target: string;

beforeAll(async () => {
  database = await openTestDatabase(24);
  people = await createPeople(database);
  group = newId('grp');
  target = `probe:${group}`;
  const stages = [{ approvals: 1, approvers: { roles: [], groups: [group] } }];
  await aRuleFor(database, target, { stages });
  await addToGroup(database, group, people.admin);
});

const give = (task: TaskRow, from: string, to: string, opKey = newId('op')) =>
  recordHandover(database.db, {
    ...{ approvalId: task.approvalId, principalId: from, keyId: null, to, reason: 'away', opKey },
  });

describe('a hand-over', () => {
  test('moves the vote of one person to another, by name, on record', async () => {
    const task = await aTask(database, people, { target });
    expect(await decideOn(database, task, people.operator)).toMatchObject({ refused: 'FORBIDDEN' });
    const [row] = await database.root`select name from principals where id = ${people.operator}`;
    expect(await give(task, people.admin, String(row?.name))).toMatchObject({
      ...{ from: people.admin, to: people.operator, stages: [0] },
    });
    expect(await decideOn(database, task, people.admin)).toMatchObject({ refused: 'CONFLICT' });
    expect(await decideOn(database, task, people.operator)).toMatchObject({ state: 'approved' });
    expect(await auditOf(database.root, task.approvalId)).toEqual(['approval.hand-over', 'approval.approve']);
    expect(await eventsOf(database.root, task.id)).toContain('approval.handed-over');
  });

  test('repeated after a lost acknowledgement is one', async () => {
    const task = await aTask(database, people, { target });
    const opKey = newId('op');
    const first = await give(task, people.admin, people.operator, opKey);
    expect(isRefusal(first)).toBe(false);
    expect((await getApproval(database.db, task.approvalId))?.handovers).toHaveLength(1);
    expect(await give(task, people.admin, people.operator)).toMatchObject({ refused: 'CONFLICT' });
  });

  test.each([
    ['the requester', 'requester', 'FORBIDDEN'],
    ['a viewer', 'viewer', 'FORBIDDEN'],
    ['an agent', 'agent', 'FORBIDDEN'],
    ['themselves', 'admin', 'INVALID'],
  ] as const)('to %s is refused and changes nothing', async (_who, key, code) => {
    const task = await aTask(database, people, { target });
    expect(await give(task, people.admin, people[key])).toMatchObject({ refused: code });
    expect(await give(task, people.admin, 'nobody of this name')).toMatchObject({ refused: 'INVALID' });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ handovers: [] });
  });

  test('racing a vote of the giver: the person has one say, not two', async () => {
    const receivers = await Promise.all(Array.from({ length: 4 }, () => aPerson(database)));
    for (let round = 0; round < 12; round += 1) {
      const stages = [{ approvals: 2, approvers: { roles: [], groups: [group] } }];
      const own = `probe:${newId('x')}`;
      await aRuleFor(database, own, { stages });
      const task = await aTask(database, people, { target: own });
      const [vote, ...given] = await Promise.all([
        decideOn(database, task, people.admin),
        ...receivers.map((id) => give(task, people.admin, id)),
      ]);
      const moved = given.filter((each) => !isRefusal(each));
      expect(Number(vote.accepted) + moved.length).toBe(1);
      const row = await getApproval(database.db, task.approvalId);
      expect([row?.votes.length, row?.handovers.length]).toEqual([Number(vote.accepted), moved.length]);
    }
  });
});
