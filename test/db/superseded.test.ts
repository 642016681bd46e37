import { beforeAll, describe, expect, test } from 'vitest';
import { getApproval } from '../../db/approvals.ts';
import { newId } from '../../db/ids.ts';
import {
  claimSuperseded,
  openTargets,
  supersede,
  supersededBy,
  waitingProposals,
  withdrawSuperseded,
} from '../../db/superseded.ts';
import { cancelTask } from '../../db/task-end.ts';
import type { NewTask } from '../../db/task-create.ts';
import type { TaskRow } from '../../db/tasks.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';
import { approve, auditOf, decideOn, eventsOf, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
});

const aProposal = (given: Partial<NewTask> = {}): Promise<TaskRow> =>
  aTask(database, people, {
    origin: 'halo',
    originId: newId('cyc'),
    target: `probe:${newId('prb')}`,
    ...given,
  });
const because = 'its target is healthy again';
const replace = (task: TaskRow, cycleId = newId('cyc')) =>
  supersede(database.db, { cycleId, taskId: task.id, because });

async function aSuperseded(given: Partial<NewTask> = {}): Promise<{ task: TaskRow; cycleId: string }> {
  const [task, cycleId] = [await aProposal(given), newId('cyc')];
  expect(await replace(task, cycleId)).toMatchObject({ status: 'changed' });
  return { task, cycleId };
}

async function asLongAgo(id: string): Promise<void> {
  await database.root`update tasks set updated_at = now() - interval '1 hour', run_id = 'run-1' where id = ${id}`;
}

describe('superseding', () => {
  test('is written down with its event and its audit, and leaves the task to its run', async () => {
    const { task, cycleId } = await aSuperseded();
    expect(await freshTask(database, task.id)).toMatchObject({
      ...{ state: 'pending-approval', supersededBy: cycleId, supersededBecause: because },
    });
    expect(await eventsOf(database.root, task.id)).toContain('halo.proposal.superseded');
    expect(await auditOf(database.root, task.id)).toEqual(['task.create', 'task.supersede']);
    expect(await supersededBy(database.db, cycleId)).toEqual([
      { taskId: task.id, title: task.title, target: task.target, state: 'pending-approval', because },
    ]);
  });

  test('twice by one cycle is a repetition, and by a later one changes nothing', async () => {
    const { task, cycleId } = await aSuperseded();
    expect(await replace(task, cycleId)).toEqual({
      ...{ status: 'repeated', result: { workflowId: task.workflowId } },
    });
    expect(await replace(task)).toEqual({ status: 'unchanged' });
    expect(await auditOf(database.root, task.id)).toEqual(['task.create', 'task.supersede']);
  });

  test('by many cycles at once is done by one of them', async () => {
    const task = await aProposal();
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => replace(task)));
    expect(outcomes.filter(({ status }) => status === 'changed')).toHaveLength(1);
  });

  test('never touches the task of a person, one that is approved, or one that a person has edited', async () => {
    const own = await aTask(database, people, { target: `probe:${newId('prb')}` });
    const approved = await approve(database, people, await aProposal());
    const edited = await aProposal();
    await database.root`update tasks set approvals = 2 where id = ${edited.id}`;
    for (const task of [own, approved, edited]) {
      expect(await replace(task)).toEqual({ status: 'unchanged' });
      expect(await freshTask(database, task.id)).toMatchObject({ supersededBy: null });
    }
  });
});

describe('withdrawing', () => {
  test('ends the task and its approval with the cycle and the reason, by HALO', async () => {
    const { task, cycleId } = await aSuperseded();
    const reason = `superseded by ${cycleId}: ${because}`;
    const first = await withdrawSuperseded(database.db, task.id);
    expect(first).toEqual({ status: 'changed', result: { state: 'cancelled', because: reason } });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'cancelled', error: reason });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      ...{ state: 'withdrawn', closedBecause: reason },
    });
    const [entry] = await database.root`
      select actor from audit_entries where subject_id = ${task.id} and action = 'task.cancel'`;
    expect(entry).toEqual({ actor: 'halo' });
    expect(await withdrawSuperseded(database.db, task.id)).toEqual({ ...first, status: 'repeated' });
  });

  test('does nothing to a task that no cycle has superseded, or that is not there', async () => {
    const task = await aProposal();
    expect(await withdrawSuperseded(database.db, task.id)).toEqual({ status: 'unchanged' });
    expect(await withdrawSuperseded(database.db, 'tsk_none')).toEqual({ status: 'unchanged' });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'pending-approval' });
  });

  test('comes too late after an approval or a rejection', async () => {
    for (const decision of ['approve', 'reject'] as const) {
      const { task } = await aSuperseded();
      expect(await decideOn(database, task, people.operator, { decision })).toMatchObject({ accepted: true });
      expect(await withdrawSuperseded(database.db, task.id)).toEqual({ status: 'unchanged' });
      const state = decision === 'approve' ? 'pending' : 'rejected';
      expect(await freshTask(database, task.id)).toMatchObject({ state, error: null });
    }
  });

  test('and an approval at the same time: exactly one of them is done', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { task } = await aSuperseded();
      const [decided, withdrawn] = await Promise.all([
        decideOn(database, task, people.operator),
        withdrawSuperseded(database.db, task.id),
      ]);
      const wins = decided.accepted;
      expect(withdrawn.status).toBe(wins ? 'unchanged' : 'changed');
      expect((await freshTask(database, task.id)).state).toBe(wins ? 'pending' : 'cancelled');
      expect(await getApproval(database.db, task.approvalId)).toMatchObject({
        state: wins ? 'approved' : 'withdrawn',
      });
    }
  });

  test('and a cancellation by a person at the same time end the task once', async () => {
    const { task } = await aSuperseded();
    const cancel = {
      taskId: task.id,
      requestId: null,
      actor: people.operator,
      reason: null,
      opKey: newId('op'),
    };
    await Promise.all([cancelTask(database.db, cancel), withdrawSuperseded(database.db, task.id)]);
    const ends = (await auditOf(database.root, task.id)).filter((action) => action === 'task.cancel');
    expect(ends).toHaveLength(1);
  });
});

describe('a run that was not told', () => {
  const claimed = async (task: TaskRow): Promise<boolean> =>
    (await claimSuperseded(database.db, 5_000, 100)).some(({ workflowId }) => workflowId === task.workflowId);

  test('is told again after a while, then later and later', async () => {
    const { task } = await aSuperseded();
    expect(await claimed(task)).toBe(false);
    await asLongAgo(task.id);
    expect(await claimed(task)).toBe(true);
    expect(await claimed(task)).toBe(false);
    await database.root`update tasks set woken_at = now() - interval '9 seconds' where id = ${task.id}`;
    expect(await claimed(task)).toBe(false);
    await database.root`update tasks set woken_at = now() - interval '1 minute' where id = ${task.id}`;
    expect(await claimed(task)).toBe(true);
  });

  test('is not told of what a person has decided, or while it has not begun', async () => {
    const approved = (await aSuperseded()).task;
    await approve(database, people, approved);
    const unstarted = (await aSuperseded()).task;
    await asLongAgo(approved.id);
    await database.root`update tasks set updated_at = now() - interval '1 hour' where id = ${unstarted.id}`;
    expect(await claimed(approved)).toBe(false);
    expect(await claimed(unstarted)).toBe(false);
  });
});

describe('what waits', () => {
  test('are the proposals of earlier cycles that nobody has decided', async () => {
    const cycleId = newId('cyc');
    const [earlier, ours] = [await aProposal(), await aProposal({ originId: cycleId })];
    const { task: superseded } = await aSuperseded();
    const approved = await approve(database, people, await aProposal());
    const own = await aTask(database, people);
    const ids = (await waitingProposals(database.db, cycleId)).map(({ taskId }) => taskId);
    expect(ids).toContain(earlier.id);
    for (const { id } of [ours, superseded, approved, own]) expect(ids).not.toContain(id);
  });

  test('is a root with an open proposal, also one that is at work, but not one that is superseded itself', async () => {
    const open = await approve(database, people, await aProposal());
    const { task: superseded } = await aSuperseded();
    const own = await aTask(database, people, { target: `probe:${newId('prb')}` });
    expect(
      await openTargets(database.db, [open.target, superseded.target, own.target, 'probe:none']),
    ).toEqual([open.target]);
    expect(await openTargets(database.db, [])).toEqual([]);
  });
});
