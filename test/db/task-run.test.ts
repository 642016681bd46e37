import { beforeAll, describe, expect, test } from 'vitest';
import { configureAgent, setAgentState } from '../../db/agents.ts';
import { getApproval } from '../../db/approvals.ts';
import { getDecisionRequest, storeDecisionRequest } from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import { cancelTask, finishAttempt } from '../../db/task-end.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { claimAttemptHost, listTaskAttempts, listTaskLogs, reportProgress } from '../../db/tasks.ts';
import { maxAttempts, type TaskState, taskStates } from '../../domain/task.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { anApprovedTask, approve, aRunningTask, auditOf, eventsOf, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;
let agent: string;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
  agent = await anAgent(database, people);
});

const begin = (
  taskId: string,
  opKey = newId('op'),
  request: Parameters<typeof beginAttempt>[1]['request'] = null,
) => beginAttempt(database.db, { taskId, opKey, request, actor: people.operator });

async function disable(id: string): Promise<void> {
  await setAgentState(database.db, { id, state: 'disabled', actor: people.admin, opKey: newId('op') });
}

describe('beginning an attempt', () => {
  test('moves the task to running and writes the intent to act before anything acts', async () => {
    const task = await anApprovedTask(database, people, agent);
    expect(await begin(task.id)).toMatchObject({
      dispatched: true,
      key: `${task.id}:1`,
      attempt: 1,
      agentId: agent,
      executor: 'temporal',
      taskQueue: `queue-${agent}`,
      timeoutMs: 60_000,
      task: { id: task.id, type: task.type, target: task.target, payload: task.payload },
    });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'running', attempt: 1 });
    expect(await listTaskAttempts(database.db, task.id)).toMatchObject([
      {
        key: `${task.id}:1`,
        state: 'intent',
        agentId: agent,
        dispatchedBy: people.operator,
        digest: task.digest,
      },
    ]);
    expect(await auditOf(database.root, task.id)).toEqual(['task.create', 'task.dispatch']);
    expect(await eventsOf(database.root, task.id)).toEqual([
      'squad.task.created',
      'approval.requested',
      'squad.task.approved',
      'squad.task.dispatched',
    ]);
  });

  test.each(taskStates.filter((state) => state !== 'pending'))(
    'a task that is %s is not dispatched, and nothing is written (trap D3)',
    async (state: TaskState) => {
      const task = await anApprovedTask(database, people, agent);
      await database.root`update tasks set state = ${state} where id = ${task.id}`;
      expect(await begin(task.id)).toMatchObject({ dispatched: false, voided: false, refused: 'CONFLICT' });
      expect(await freshTask(database, task.id)).toMatchObject({ state, attempt: 0 });
      expect(await listTaskAttempts(database.db, task.id)).toEqual([]);
    },
  );

  test('a pending task without a standing approval is not dispatched', async () => {
    const task = await anApprovedTask(database, people, agent);
    await database.root`update approvals set state = 'open' where id = ${task.approvalId}`;
    expect(await begin(task.id)).toMatchObject({ dispatched: false, refused: 'FORBIDDEN' });
  });

  test('a task that used up its attempts is not dispatched', async () => {
    const task = await anApprovedTask(database, people, agent);
    await database.root`update tasks set attempt = ${maxAttempts} where id = ${task.id}`;
    expect(await begin(task.id)).toMatchObject({ dispatched: false, refused: 'LIMIT' });
  });

  test('a task that never was is not found', async () => {
    expect(await begin('tsk_none')).toMatchObject({ dispatched: false, refused: 'NOT_FOUND' });
  });

  test('a task nobody takes waits, and says which role is missing', async () => {
    const task = await approve(database, people, await aTask(database, people, { binding: null }));
    expect(await begin(task.id)).toMatchObject({
      dispatched: false,
      voided: false,
      refused: 'CONFLICT',
      message: expect.stringContaining('DeployKeeper'),
    });
  });

  test('the same operation again gets the same dispatch, and only one attempt is made', async () => {
    const task = await anApprovedTask(database, people, agent);
    const opKey = newId('op');
    const first = await begin(task.id, opKey);
    expect(await begin(task.id, opKey)).toEqual(first);
    expect(await listTaskAttempts(database.db, task.id)).toHaveLength(1);
  });

  test('the same operation again gets the same dispatch even if the agent was disabled in between', async () => {
    const leaving = await anAgent(database, people);
    const task = await anApprovedTask(database, people, leaving);
    const opKey = newId('op');
    const first = await begin(task.id, opKey);
    await disable(leaving);
    expect(await begin(task.id, opKey)).toEqual(first);
  });

  test('eight times the same operation at once get the same dispatch', async () => {
    const task = await anApprovedTask(database, people, agent);
    const opKey = newId('op');
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => begin(task.id, opKey)));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ dispatched: true, attempt: 1 });
    expect(await listTaskAttempts(database.db, task.id)).toHaveLength(1);
  });

  test('of two different dispatches at once one runs', async () => {
    for (let round = 0; round < 5; round += 1) {
      const task = await anApprovedTask(database, people, agent);
      const outcomes = await Promise.all([begin(task.id), begin(task.id), begin(task.id)]);
      expect(outcomes.filter((outcome) => outcome.dispatched)).toHaveLength(1);
      expect(outcomes.filter((outcome) => !outcome.dispatched && 'refused' in outcome)).toHaveLength(2);
      expect(await listTaskAttempts(database.db, task.id)).toHaveLength(1);
    }
  });

  test('the request of the person who asked is settled by the same statement', async () => {
    const task = await anApprovedTask(database, people, agent);
    const id = newId('dec');
    await storeDecisionRequest(database.db, {
      id,
      action: 'dispatch',
      source: 'api',
      subjectId: task.id,
      approvalId: null,
      workflowId: task.workflowId,
      principalId: people.operator,
      digest: null,
      reason: null,
      expiresAt: null,
    });
    await begin(task.id, newId('op'), await getDecisionRequest(database.db, id));
    expect(await getDecisionRequest(database.db, id)).toMatchObject({
      state: 'recorded',
      outcome: { accepted: true },
    });
  });
});

describe('content that moved since the approval', () => {
  test('a new configuration of the agent voids the approval and opens a new one for the new content', async () => {
    const moving = await anAgent(database, people);
    const task = await anApprovedTask(database, people, moving);
    await configureAgent(database.db, {
      id: moving,
      expectedVersion: 1,
      config: { taskQueue: 'elsewhere' },
      actor: people.admin,
      opKey: newId('op'),
    });
    const outcome = await begin(task.id);
    expect(outcome).toMatchObject({
      dispatched: false,
      voided: true,
      because: expect.stringContaining('version 2'),
    });
    const moved = await freshTask(database, task.id);
    expect(moved).toMatchObject({ state: 'pending-approval', attempt: 0, approvals: 2 });
    expect(moved.digest).not.toBe(task.digest);
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      state: 'void',
      closedBecause: expect.stringContaining('version 2'),
    });
    expect(await getApproval(database.db, moved.approvalId)).toMatchObject({
      state: 'open',
      digest: moved.digest,
      votes: [],
      summary: { replaces: task.approvalId },
    });
    expect(await listTaskAttempts(database.db, task.id)).toEqual([]);

    const approvedAgain = await approve(database, people, moved);
    expect(await begin(approvedAgain.id)).toMatchObject({ dispatched: true, taskQueue: 'elsewhere' });
  });

  test('the same operation again is told of the same new approval', async () => {
    const leaving = await anAgent(database, people);
    const task = await anApprovedTask(database, people, leaving);
    await disable(leaving);
    const opKey = newId('op');
    const first = await begin(task.id, opKey);
    expect(first).toMatchObject({ voided: true });
    expect(await begin(task.id, opKey)).toEqual(first);
    expect(await freshTask(database, task.id)).toMatchObject({ approvals: 2 });
  });

  test('a disabled agent gets nothing: the approval of it is void', async () => {
    const leaving = await anAgent(database, people);
    const task = await anApprovedTask(database, people, leaving);
    await disable(leaving);
    expect(await begin(task.id)).toMatchObject({
      voided: true,
      because: 'the agent that was approved is gone',
    });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'pending-approval' });
  });

  test('a payload changed behind our back does not run', async () => {
    const task = await anApprovedTask(database, people, agent);
    await database.root`update tasks set payload = '{"url":"http://evil/"}' where id = ${task.id}`;
    expect(await begin(task.id)).toMatchObject({ dispatched: false, voided: true });
    expect(await listTaskAttempts(database.db, task.id)).toEqual([]);
  });

  test('two dispatches that both find it moved open one new approval', async () => {
    const leaving = await anAgent(database, people);
    const task = await anApprovedTask(database, people, leaving);
    await disable(leaving);
    const outcomes = await Promise.all([begin(task.id), begin(task.id), begin(task.id)]);
    expect(outcomes.filter((outcome) => !outcome.dispatched && outcome.voided)).toHaveLength(1);
    const rows =
      await database.root`select state from approvals where subject_id = ${task.id} order by state`;
    expect(rows.map((row) => row.state as string)).toEqual(['open', 'void']);
  });

  test('an agent disabled at the very moment of dispatch either got it or did not, never half', async () => {
    for (let round = 0; round < 10; round += 1) {
      const leaving = await anAgent(database, people);
      const task = await anApprovedTask(database, people, leaving);
      const [outcome] = await Promise.all([begin(task.id), disable(leaving)]);
      const attempts = await listTaskAttempts(database.db, task.id);
      const { state } = await freshTask(database, task.id);
      if (outcome.dispatched) expect([state, attempts.length]).toEqual(['running', 1]);
      else
        expect([
          ['pending', 0],
          ['pending-approval', 0],
        ]).toContainEqual([state, attempts.length]);
    }
  });
});

describe('while it runs', () => {
  test('progress is kept on the task and in its log, for the attempt that runs and no other', async () => {
    const task = await aRunningTask(database, people, agent);
    const report = (attempt: number, message: string) =>
      reportProgress(database.db, { taskId: task.id, attempt, fraction: 0.5, message });
    expect(await report(1, 'halfway')).toBe(true);
    expect(await report(2, 'from elsewhere')).toBe(false);
    expect(await freshTask(database, task.id)).toMatchObject({
      progress: { fraction: 0.5, message: 'halfway' },
    });
    await finishAttempt(database.db, {
      taskId: task.id,
      attempt: 1,
      result: { ok: true, summary: 'done' },
      opKey: newId('op'),
    });
    expect(await report(1, 'too late')).toBe(false);
    const logs = await listTaskLogs(database.db, task.id, 0, 100);
    expect(logs.map((log) => log.message)).toEqual(['halfway', 'done']);
    expect(await listTaskLogs(database.db, task.id, logs[0]?.id ?? 0, 100)).toHaveLength(1);
  });

  test('progress with characters the record cannot hold is kept without them', async () => {
    const task = await aRunningTask(database, people, agent);
    await reportProgress(database.db, { taskId: task.id, attempt: 1, fraction: 1, message: 'a\0b\ud83d' });
    expect(await freshTask(database, task.id)).toMatchObject({ progress: { message: 'a\ufffdb\ufffd' } });
  });

  test('the first machine that asks is the one that acts, and an ended attempt belongs to none', async () => {
    const task = await aRunningTask(database, people, agent);
    const key = `${task.id}:1`;
    const owners = await Promise.all(
      ['a', 'b', 'c', 'd'].map((host) => claimAttemptHost(database.db, key, host)),
    );
    expect(new Set(owners).size).toBe(1);
    expect(await claimAttemptHost(database.db, key, 'z')).toBe(owners[0]);
    await cancelTask(database.db, {
      taskId: task.id,
      requestId: null,
      actor: 'test',
      reason: null,
      opKey: newId('op'),
    });
    expect(await claimAttemptHost(database.db, key, 'a')).toBeNull();
    expect(await claimAttemptHost(database.db, 'tsk_none:1', 'a')).toBeNull();
  });
});
