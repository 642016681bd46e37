import { beforeAll, describe, expect, test } from 'vitest';
import { nudgeApproval } from '../../db/approval-nudge.ts';
import { getApproval } from '../../db/approvals.ts';
import { expireApproval } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import { claimRun } from '../../db/task-claim.ts';
import type { TaskRow } from '../../db/tasks.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';
import { aRuleFor, auditOf, decideOn, eventsOf } from './flow.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});

const nudge = (task: TaskRow, what: 'reminder' | 'escalation', opKey = newId('op')) =>
  nudgeApproval(database.db, { approvalId: task.approvalId, what, opKey });

describe('a reminder', () => {
  test('is counted and tells who may decide; the same one is recorded once', async () => {
    const task = await aTask(database, people);
    const opKey = newId('op');
    expect(await nudge(task, 'reminder', opKey)).toEqual({ state: 'open' });
    expect(await nudge(task, 'reminder', opKey)).toEqual({ state: 'open' });
    expect(await nudge(task, 'reminder')).toEqual({ state: 'open' });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      ...{ reminders: 2, remindedAt: expect.any(Date), state: 'open', votes: [] },
    });
    const events = await database.root`
      select payload from events where type = 'approval.reminded' and correlation_id = ${task.id} order by tx, seq`;
    expect(events.map(({ payload }) => payload as unknown)).toMatchObject([
      {
        ...{
          approvalId: task.approvalId,
          title: task.title,
          target: task.target,
          risk: 'medium',
          reminder: 1,
        },
        approvers: 'anyone who may decide approvals',
      },
      { reminder: 2 },
    ]);
    expect(await auditOf(database.root, task.approvalId)).toEqual(['approval.remind', 'approval.remind']);
  });
});

describe('an escalation', () => {
  test('comes once, and lets those decide it is escalated to', async () => {
    const target = `probe:${newId('x')}`;
    await aRuleFor(database, target, {
      stages: [{ approvals: 1, approvers: { roles: [], groups: ['nobody-is-in-it'] } }],
      escalateTo: { roles: ['operator'], groups: [] },
    });
    const task = await aTask(database, people, { target });
    expect(await decideOn(database, task, people.operator)).toMatchObject({ refused: 'FORBIDDEN' });
    await nudge(task, 'escalation');
    await nudge(task, 'escalation');
    expect(
      (await eventsOf(database.root, task.id)).filter((type) => type === 'approval.escalated'),
    ).toHaveLength(1);
    expect(await decideOn(database, task, people.operator)).toMatchObject({ state: 'approved' });
  });
});

describe('a timer that is left over', () => {
  test('changes nothing of an approval that is settled or whose time is over, and says how it ended', async () => {
    const task = await aTask(database, people);
    await decideOn(database, task, people.operator);
    expect(await nudge(task, 'reminder')).toEqual({ state: 'approved' });
    expect(await nudge(task, 'escalation')).toEqual({ state: 'approved' });
    const late = await aTask(database, people);
    await database.root`update approvals set expires_at = now() - interval '1 second' where id = ${late.approvalId}`;
    expect(await nudge(late, 'reminder')).toEqual({ state: 'open' });
    await expireApproval(database.db, { approvalId: late.approvalId, opKey: newId('op') });
    expect(await nudge(late, 'escalation')).toEqual({ state: 'expired' });
    for (const { approvalId } of [task, late])
      expect(await getApproval(database.db, approvalId)).toMatchObject({ reminders: 0, escalatedAt: null });
  });
});

test('a run that takes over a wait is told what is left of it', async () => {
  const task = await aTask(database, people, { expiresInMs: 72 * 3_600_000 });
  const claim = () => claimRun(database.db, { taskId: task.id, run: 1, runId: newId('run') });
  const hour = 3_600_000;
  expect(await claim()).toMatchObject({ remindEveryMs: 24 * hour });
  await database.root`
    update approvals set created_at = now() - interval '25 hours', reminded_at = now() - interval '1 hour'
    where id = ${task.approvalId}`;
  const claimed = (await claim()) as { remindAfterMs: number; escalateAfterMs: number };
  expect(claimed.remindAfterMs / hour).toBeCloseTo(23, 1);
  expect(claimed.escalateAfterMs / hour).toBeCloseTo(23, 1);
  await nudge(task, 'escalation');
  expect(await claim()).toMatchObject({ escalateAfterMs: null });
});
