import { beforeAll, describe, expect, test } from 'vitest';
import { builtInPolicy } from '../../domain/policy.ts';
import { getApproval } from '../../db/approvals.ts';
import { newId } from '../../db/ids.ts';
import { approvalId, createTask, taskDigest } from '../../db/task-create.ts';
import { attachEvidence } from '../../db/task-fold.ts';
import { cancelTask } from '../../db/task-end.ts';
import { countTasks, getTask, listTasks, listUnstartedTasks } from '../../db/tasks.ts';
import { claimRun } from '../../db/task-claim.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aNewTask, aTask } from '../support/factories.ts';
import { auditOf, eventsOf } from './flow.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
});

const create = (input = aNewTask(people), key = newId('op')) =>
  createTask(database.db, input, { key, actor: people.requester });

describe('a proposal', () => {
  test('waits for a person, with one open approval of exactly its content', async () => {
    const input = aNewTask(people, { risk: 'high', evidence: ['evt_1'], expiresInMs: 3_600_000 });
    expect(await create(input)).toEqual({
      status: 'changed',
      result: { id: input.id, workflowId: `task/${input.id}`, run: 1, state: 'pending-approval' },
    });
    const task = await getTask(database.db, input.id);
    const approval = await getApproval(database.db, approvalId(input.id, 1));
    expect(task).toMatchObject({
      attempt: 0,
      approvals: 1,
      evidenceCount: 1,
      runId: null,
      approvalId: approval?.id,
    });
    expect(approval).toMatchObject({
      kind: 'task',
      state: 'open',
      requiredApprovals: 2,
      votes: [],
      requestedBy: people.requester,
      workflowId: `task/${input.id}`,
      digest: taskDigest({ ...input, policyVersion: builtInPolicy('high').version }),
    });
    expect(approval?.digest).toBe(task?.digest);
    expect(approval?.summary).toMatchObject({
      payload: input.payload,
      target: input.target,
      reversible: 'no',
      blastRadius: 0,
    });
    expect(await eventsOf(database.root, input.id)).toEqual(['squad.task.created', 'approval.requested']);
    expect(await auditOf(database.root, input.id)).toEqual(['task.create']);
  });

  test('with the same id twice is one task', async () => {
    const input = aNewTask(people);
    await create(input);
    expect(await create({ ...input, title: 'other' })).toEqual({ status: 'unchanged' });
    expect(await getTask(database.db, input.id)).toMatchObject({ title: input.title });
  });

  test('under the same operation twice is answered twice and made once', async () => {
    const input = aNewTask(people);
    const first = await create(input, 'same-op');
    expect(await create({ ...input, id: newId('tsk') }, 'same-op')).toEqual({ ...first, status: 'repeated' });
  });

  test('of somebody nobody knows is refused by the record itself, and leaves nothing', async () => {
    const input = aNewTask(people, { requestedBy: 'prn_nobody' });
    await expect(create(input)).rejects.toThrow();
    expect(await getApproval(database.db, approvalId(input.id, 1))).toBeNull();
    expect(await eventsOf(database.root, input.id)).toEqual([]);
  });
});

describe('one open task for one fix target', () => {
  test('of 32 proposals at once one becomes a task, with one approval and one event', async () => {
    const fingerprint = newId('fp');
    const inputs = Array.from({ length: 32 }, () => aNewTask(people, { fingerprint }));
    const outcomes = await Promise.all(inputs.map((input) => create(input)));
    expect(outcomes.filter((outcome) => outcome.status === 'changed')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome.status === 'unchanged')).toHaveLength(31);
    const ids = inputs.map((input) => input.id);
    const [counts] = await database.root`
      select (select count(*)::int from tasks where fingerprint = ${fingerprint}) as tasks,
             (select count(*)::int from approvals where subject_id in ${database.root(ids)}) as approvals,
             (select count(*)::int from events where correlation_id in ${database.root(ids)}) as events,
             (select count(*)::int from audit_entries where subject_id in ${database.root(ids)}) as audit`;
    expect(counts).toEqual({ tasks: 1, approvals: 1, events: 2, audit: 1 });
  });

  test('after it has ended the next proposal is a new task', async () => {
    const fingerprint = newId('fp');
    const first = await aTask(database, people, { fingerprint });
    expect(await create(aNewTask(people, { fingerprint }))).toEqual({ status: 'unchanged' });
    await cancelTask(database.db, {
      taskId: first.id,
      requestId: null,
      actor: 'test',
      reason: null,
      opKey: newId('op'),
    });
    const second = aNewTask(people, { fingerprint });
    expect(await create(second)).toMatchObject({ status: 'changed' });
  });

  test('tasks without a fix target never fold', async () => {
    for (let index = 0; index < 2; index += 1)
      expect(await create(aNewTask(people, { fingerprint: null }))).toMatchObject({ status: 'changed' });
  });
});

describe('evidence', () => {
  const attach = (fingerprint: string, evidence: string[], cycleId = newId('cyc')) =>
    attachEvidence(database.db, { fingerprint, evidence, cycleId });

  test('of a known fix target joins the open task, newest first, without moving what was approved', async () => {
    const fingerprint = newId('fp');
    const task = await aTask(database, people, { fingerprint, evidence: ['evt_1'] });
    expect(await attach(fingerprint, ['evt_3', 'evt_2', 'evt_1'])).toEqual({
      status: 'changed',
      result: { id: task.id },
    });
    expect(await getTask(database.db, task.id)).toMatchObject({
      evidence: ['evt_3', 'evt_2', 'evt_1'],
      evidenceCount: 3,
      digest: task.digest,
      state: 'pending-approval',
    });
  });

  test('of the same cycle is counted once', async () => {
    const fingerprint = newId('fp');
    const task = await aTask(database, people, { fingerprint });
    await attach(fingerprint, ['evt_a'], 'cyc_same');
    expect(await attach(fingerprint, ['evt_b'], 'cyc_same')).toMatchObject({ status: 'repeated' });
    expect(await getTask(database.db, task.id)).toMatchObject({ evidence: ['evt_a'], evidenceCount: 1 });
  });

  test('is kept up to fifty, and counted beyond', async () => {
    const fingerprint = newId('fp');
    const task = await aTask(database, people, { fingerprint });
    const all = Array.from({ length: 70 }, (_, index) => `evt_${index}`);
    await attach(fingerprint, all.slice(0, 35));
    await attach(fingerprint, all.slice(35));
    const row = await getTask(database.db, task.id);
    expect(row?.evidence).toEqual([...all.slice(35), ...all.slice(0, 15)]);
    expect(row?.evidenceCount).toBe(70);
  });

  test('for a fix target without an open task is dropped', async () => {
    expect(await attach(newId('fp'), ['evt_1'])).toEqual({ status: 'unchanged' });
  });
});

describe('lists', () => {
  test('pages of tasks show each once, newest first, also when they came in one moment', async () => {
    const target = newId('target');
    const ids: string[] = [];
    for (let index = 0; index < 7; index += 1) ids.push((await aTask(database, people, { target })).id);
    await database.root`update tasks set created_at = '2026-01-01' where target = ${target}`;
    const seen: string[] = [];
    for (let before: { createdAt: Date; id: string } | null = null; ;) {
      const page: Awaited<ReturnType<typeof listTasks>> = await listTasks(database.db, { target }, before, 3);
      const last = page.at(-1);
      if (last === undefined) break;
      seen.push(...page.map((row) => row.id));
      before = last;
    }
    expect(seen).toEqual(ids.sort().reverse());
    expect(await listTasks(database.db, { target, state: 'running' }, null, 10)).toEqual([]);
    expect(
      await listTasks(database.db, { target, origin: 'api', state: 'pending-approval' }, null, 10),
    ).toHaveLength(7);
    expect((await countTasks(database.db))['pending-approval']).toBeGreaterThanOrEqual(7);
  });

  test('a task whose run never reported itself is found, until it does', async () => {
    const task = await aTask(database, people);
    const isListed = async () =>
      (await listUnstartedTasks(database.db, 0, 1000)).some(({ id }) => id === task.id);
    await eventually(isListed).toBe(true);
    expect(await listUnstartedTasks(database.db, 3_600_000, 1000)).toEqual([]);
    expect(await claimRun(database.db, { taskId: task.id, run: 1, runId: 'run-1' })).toMatchObject({
      state: 'pending-approval',
      approvalId: task.approvalId,
      dispatchMode: 'manual',
    });
    expect(await isListed()).toBe(false);
    expect(await claimRun(database.db, { taskId: task.id, run: 2, runId: 'run-2' })).toMatchObject({
      refused: 'NOT_FOUND',
    });
  });
});
