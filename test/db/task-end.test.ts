import { beforeAll, describe, expect, test } from 'vitest';
import { getApproval } from '../../db/approvals.ts';
import { getDecisionRequest, storeDecisionRequest } from '../../db/decision-requests.ts';
import { expireApproval, recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import { askOutcome, cancelTask, finishAttempt } from '../../db/task-end.ts';
import { listTaskAttempts, listTaskLogs } from '../../db/tasks.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { readAgentResult, taskStates } from '../../domain/task.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { anApprovedTask, aRunningTask, auditOf, eventsOf, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;
let agent: string;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
  agent = await anAgent(database, people);
});

const finish = (taskId: string, ok: boolean, given: { attempt?: number; opKey?: string } = {}) =>
  finishAttempt(database.db, {
    taskId,
    attempt: given.attempt ?? 1,
    result: { ok, summary: ok ? 'restarted' : 'no such service', output: { pid: 7 } },
    opKey: given.opKey ?? newId('op'),
  });
const ask = (taskId: string, opKey = newId('op')) =>
  askOutcome(database.db, { taskId, attempt: 1, because: 'the answer was lost', opKey });
const cancel = (taskId: string, given: { requestId?: string; opKey?: string } = {}) =>
  cancelTask(database.db, {
    taskId,
    requestId: given.requestId ?? null,
    actor: people.operator,
    reason: 'not needed',
    opKey: given.opKey ?? newId('op'),
  });

describe('an attempt ends', () => {
  test.each([
    [true, 'success', 'succeeded', 'squad.task.completed', 'task.succeed', 'info'],
    [false, 'failed', 'failed', 'squad.task.failed', 'task.fail', 'error'],
  ] as const)('with ok %s the task is %s', async (ok, state, attemptState, event, action, severity) => {
    const task = await aRunningTask(database, people, agent);
    expect(await finish(task.id, ok)).toEqual({ state });
    expect(await freshTask(database, task.id)).toMatchObject({
      state,
      result: { pid: 7 },
      error: ok ? null : 'no such service',
      endedAt: expect.any(Date),
    });
    expect(await listTaskAttempts(database.db, task.id)).toMatchObject([{ state: attemptState }]);
    expect((await eventsOf(database.root, task.id)).at(-1)).toBe(event);
    expect((await auditOf(database.root, task.id)).at(-1)).toBe(action);
    const [row] =
      await database.root`select severity from events where correlation_id = ${task.id} and type = ${event}`;
    expect(row?.severity).toBe(severity);
    expect(await listTaskLogs(database.db, task.id, 0, 10)).toHaveLength(1);
  });

  test('once: the same answer again, another answer, and the answer of another attempt change nothing', async () => {
    const task = await aRunningTask(database, people, agent);
    const opKey = newId('op');
    await finish(task.id, false, { attempt: 2 });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'running' });
    await finish(task.id, true, { opKey });
    expect(await finish(task.id, true, { opKey })).toEqual({ state: 'success' });
    expect(await finish(task.id, false)).toEqual({ state: 'success' });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'success', error: null });
    expect(await listTaskLogs(database.db, task.id, 0, 10)).toHaveLength(1);
  });

  test('of sixteen answers at once one counts', async () => {
    const task = await aRunningTask(database, people, agent);
    const states = await Promise.all(
      Array.from({ length: 16 }, (_, index) => finish(task.id, index % 2 === 0)),
    );
    expect(new Set(states.map(({ state }) => state)).size).toBe(1);
    expect(await listTaskLogs(database.db, task.id, 0, 10)).toHaveLength(1);
  });

  test('whatever the agent says, as read by the rule, can be stored', async () => {
    for (const said of [
      { ok: true, summary: 'a\0b', output: { 'k\0': '\ud83d' } },
      { ok: false, summary: `${'x'.repeat(1999)}😀` },
      { ok: true, summary: "'; drop table tasks; --", output: { big: 'y'.repeat(32_000) } },
      JSON.parse(
        `{"ok":true,"summary":"deep","output":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`,
      ) as object,
      { ok: true, summary: '' },
      null,
    ]) {
      const task = await aRunningTask(database, people, agent);
      const result = readAgentResult(said);
      const end = await finishAttempt(database.db, {
        taskId: task.id,
        attempt: 1,
        result,
        opKey: newId('op'),
      });
      expect(end.state).toBe(result.ok ? 'success' : 'failed');
      expect((await freshTask(database, task.id)).result).toEqual(result.output ?? {});
    }
  });
});

describe('an answer that was lost for good', () => {
  test('becomes a question for a person, and the task goes on running until they answer', async () => {
    const task = await aRunningTask(database, people, agent);
    const question = await ask(task.id);
    expect(isRefusal(question)).toBe(false);
    const approvalId = isRefusal(question) ? '' : question.approvalId;
    expect(await getApproval(database.db, approvalId)).toMatchObject({
      kind: 'outcome',
      state: 'open',
      requiredApprovals: 1,
      summary: { because: 'the answer was lost', attempt: 1 },
    });
    expect(await freshTask(database, task.id)).toMatchObject({
      state: 'running',
      outcomeUnknown: true,
      approvalId: task.approvalId,
    });
    expect(await listTaskAttempts(database.db, task.id)).toMatchObject([{ state: 'unknown' }]);

    const yes = await recordDecision(database.db, {
      approvalId,
      workflowId: task.workflowId,
      decision: 'approve',
      principalId: people.operator,
      digest: task.digest,
      reason: null,
      requestId: null,
      opKey: newId('op'),
    });
    expect(yes).toMatchObject({ accepted: true, state: 'approved' });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'running' });
    await finish(task.id, true);
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'success', outcomeUnknown: false });
  });

  test('is asked about once', async () => {
    const task = await aRunningTask(database, people, agent);
    const opKey = newId('op');
    const first = await ask(task.id, opKey);
    expect(await ask(task.id, opKey)).toEqual(first);
    expect(await ask(task.id)).toMatchObject({ refused: 'CONFLICT' });
    expect(await database.root`select 1 as one from approvals where subject_id = ${task.id}`).toHaveLength(2);
  });

  test('the time for the question passes and the task still runs', async () => {
    const task = await aRunningTask(database, people, agent);
    const question = await ask(task.id);
    const approvalId = isRefusal(question) ? '' : question.approvalId;
    await database.root`update approvals set expires_at = now() - interval '1 s' where id = ${approvalId}`;
    expect(await expireApproval(database.db, { approvalId, opKey: newId('op') })).toEqual({ expired: true });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'running' });
  });

  test('is not in question for a task that does not run', async () => {
    const task = await anApprovedTask(database, people, agent);
    expect(await ask(task.id)).toMatchObject({ refused: 'CONFLICT' });
    expect(await ask('tsk_none')).toMatchObject({ refused: 'NOT_FOUND' });
  });
});

describe('cancelling', () => {
  test.each(taskStates)('a task that is %s', async (state) => {
    const task = await aTask(database, people);
    await database.root`update tasks set state = ${state} where id = ${task.id}`;
    const isOpen = ['suggested', 'pending-approval', 'pending', 'running'].includes(state);
    const outcome = await cancel(task.id);
    if (isOpen) expect(outcome).toEqual({ state: 'cancelled' });
    else expect(outcome).toMatchObject({ refused: 'CONFLICT', details: { state } });
    expect(await freshTask(database, task.id)).toMatchObject({ state: isOpen ? 'cancelled' : state });
  });

  test('withdraws the open approval, so that nobody can still decide it', async () => {
    const task = await aTask(database, people);
    await cancel(task.id);
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      state: 'withdrawn',
      closedBecause: 'the task was cancelled',
    });
  });

  test('of a running task ends its attempt and a question about it; a late answer of the agent changes nothing', async () => {
    const task = await aRunningTask(database, people, agent);
    const question = await ask(task.id);
    await cancel(task.id);
    const approvalId = isRefusal(question) ? '' : question.approvalId;
    expect(await getApproval(database.db, approvalId)).toMatchObject({ state: 'withdrawn' });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'approved' });
    expect(await listTaskAttempts(database.db, task.id)).toMatchObject([{ state: 'cancelled' }]);
    expect(await finish(task.id, true)).toEqual({ state: 'cancelled' });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'cancelled', error: 'not needed' });
  });

  test('again under the same operation gets the same answer, and settles the request once', async () => {
    const task = await aTask(database, people);
    const requestId = newId('dec');
    await storeDecisionRequest(database.db, {
      id: requestId,
      action: 'cancel',
      source: 'api',
      subjectId: task.id,
      approvalId: null,
      workflowId: task.workflowId,
      principalId: people.operator,
      digest: null,
      reason: null,
      expiresAt: null,
    });
    const opKey = newId('op');
    expect(await cancel(task.id, { requestId, opKey })).toEqual({ state: 'cancelled' });
    expect(await cancel(task.id, { requestId, opKey })).toEqual({ state: 'cancelled' });
    expect(await getDecisionRequest(database.db, requestId)).toMatchObject({ state: 'recorded' });
    expect(await auditOf(database.root, task.id)).toEqual(['task.create', 'request.cancel', 'task.cancel']);
  });

  test('of an unknown task is not found', async () => {
    expect(await cancel('tsk_none')).toMatchObject({ refused: 'NOT_FOUND' });
  });

  test('and approving at once: one of them wins and the task and its approval agree', async () => {
    for (let round = 0; round < 10; round += 1) {
      const task = await aTask(database, people);
      const [decision] = await Promise.all([
        recordDecision(database.db, {
          approvalId: task.approvalId,
          workflowId: task.workflowId,
          decision: 'approve',
          principalId: people.operator,
          digest: task.digest,
          reason: null,
          requestId: null,
          opKey: newId('op'),
        }),
        cancel(task.id),
      ]);
      const approval = await getApproval(database.db, task.approvalId);
      expect(await freshTask(database, task.id)).toMatchObject({ state: 'cancelled' });
      expect(approval?.state).toBe(decision.accepted ? 'approved' : 'withdrawn');
    }
  });

  test('and finishing at once: one of them wins', async () => {
    for (let round = 0; round < 10; round += 1) {
      const task = await aRunningTask(database, people, agent);
      const [end, cancelled] = await Promise.all([finish(task.id, true), cancel(task.id)]);
      const { state } = await freshTask(database, task.id);
      expect(state).toBe(isRefusal(cancelled) ? 'success' : 'cancelled');
      expect(end.state).toBe(state);
    }
  });
});
