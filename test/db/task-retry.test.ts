import { beforeAll, describe, expect, test } from 'vitest';
import { configureAgent } from '../../db/agents.ts';
import { getApproval } from '../../db/approvals.ts';
import { newId } from '../../db/ids.ts';
import { finishAttempt } from '../../db/task-end.ts';
import { retryTask } from '../../db/task-retry.ts';
import { claimRun } from '../../db/task-claim.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { listTaskAttempts } from '../../db/tasks.ts';
import { maxAttempts, taskStates } from '../../domain/task.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { approve, aRunningTask, eventsOf, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});

const retry = (taskId: string, opKey = newId('op')) =>
  retryTask(database.db, { taskId, actor: people.operator, opKey });
const begin = (taskId: string) =>
  beginAttempt(database.db, { taskId, opKey: newId('op'), request: null, actor: 'system' });

async function aFailedTask() {
  const agent = await anAgent(database, people);
  const running = await aRunningTask(database, people, agent);
  await finishAttempt(database.db, {
    taskId: running.id,
    attempt: 1,
    result: { ok: false, summary: 'no' },
    opKey: newId('op'),
  });
  return { agent, task: await freshTask(database, running.id) };
}

const reconfigure = (id: string) =>
  configureAgent(database.db, {
    id,
    expectedVersion: 1,
    config: { taskQueue: 'elsewhere' },
    actor: people.admin,
    opKey: newId('op'),
  });

describe('retrying a failed task (trap D14)', () => {
  test('whose content did not move: the approval stands and a new run begins', async () => {
    const { task } = await aFailedTask();
    expect(await retry(task.id)).toEqual({ state: 'pending', run: 2, workflowId: `task/${task.id}/2` });
    expect(await freshTask(database, task.id)).toMatchObject({
      state: 'pending',
      run: 2,
      runId: null,
      endedAt: null,
      approvalId: task.approvalId,
      attempt: 1,
    });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'approved' });
    expect((await eventsOf(database.root, task.id)).at(-1)).toBe('squad.task.retried');
    expect(await begin(task.id)).toMatchObject({ dispatched: true, attempt: 2, key: `${task.id}:2` });
    expect(await listTaskAttempts(database.db, task.id)).toMatchObject([
      { state: 'failed' },
      { state: 'intent' },
    ]);
  });

  test('whose agent changed: the approval is void and a person is asked again, by the new run', async () => {
    const { task, agent } = await aFailedTask();
    await reconfigure(agent);
    expect(await retry(task.id)).toEqual({
      state: 'pending-approval',
      run: 2,
      workflowId: `task/${task.id}/2`,
    });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'void' });
    const moved = await freshTask(database, task.id);
    expect(await getApproval(database.db, moved.approvalId)).toMatchObject({
      state: 'open',
      votes: [],
      workflowId: `task/${task.id}/2`,
      digest: moved.digest,
      summary: { replaces: task.approvalId },
    });
    expect(await begin(task.id)).toMatchObject({ dispatched: false, refused: 'CONFLICT' });
    await approve(database, people, moved);
    expect(await begin(task.id)).toMatchObject({ dispatched: true, attempt: 2, taskQueue: 'elsewhere' });
  });

  test('the run before it has nothing to say any more', async () => {
    const { task } = await aFailedTask();
    await retry(task.id);
    expect(await claimRun(database.db, { taskId: task.id, run: 1, runId: 'old' })).toMatchObject({
      refused: 'NOT_FOUND',
    });
    expect(await claimRun(database.db, { taskId: task.id, run: 2, runId: 'new' })).toMatchObject({
      state: 'pending',
    });
  });

  test.each(taskStates.filter((state) => state !== 'failed'))(
    'a task that is %s is not retried',
    async (state) => {
      const { task } = await aFailedTask();
      await database.root`update tasks set state = ${state} where id = ${task.id}`;
      expect(await retry(task.id)).toMatchObject({ refused: 'CONFLICT', details: { state } });
      expect(await freshTask(database, task.id)).toMatchObject({ state, run: 1 });
    },
  );

  test('a task that used up its attempts, and one that never was', async () => {
    const { task } = await aFailedTask();
    await database.root`update tasks set attempt = ${maxAttempts} where id = ${task.id}`;
    expect(await retry(task.id)).toMatchObject({ refused: 'LIMIT' });
    expect(await retry('tsk_none')).toMatchObject({ refused: 'NOT_FOUND' });
  });

  test('of four people who retry at once one starts a run', async () => {
    const { task } = await aFailedTask();
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => retry(task.id)));
    expect(outcomes.filter((outcome) => 'run' in outcome)).toHaveLength(1);
    expect(await freshTask(database, task.id)).toMatchObject({ run: 2 });
  });

  test('again under the same operation gets the recorded answer', async () => {
    const { task } = await aFailedTask();
    const opKey = newId('op');
    const first = await retry(task.id, opKey);
    expect(first).toMatchObject({ run: 2 });
    expect(await retry(task.id, opKey)).toEqual(first);
    expect(await freshTask(database, task.id)).toMatchObject({ run: 2 });
  });
});
