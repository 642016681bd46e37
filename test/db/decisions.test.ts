import { beforeAll, describe, expect, test } from 'vitest';
import { getApproval } from '../../db/approvals.ts';
import { newId } from '../../db/ids.ts';
import { storeDecisionRequest } from '../../db/decision-requests.ts';
import { type DecisionInput, expireApproval, recordDecision } from '../../db/decisions.ts';
import { createPrincipal } from '../../db/principals.ts';
import { getTask, type TaskRow } from '../../db/tasks.ts';
import type { Decision } from '../../domain/approval.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase(24);
  people = await createPeople(database);
});

function answer(task: TaskRow, principalId: string, decision: Decision, given: Partial<DecisionInput> = {}) {
  return recordDecision(database.db, {
    approvalId: task.approvalId,
    workflowId: task.workflowId,
    decision,
    principalId,
    digest: task.digest,
    reason: 'checked',
    requestId: null,
    opKey: newId('op'),
    ...given,
  });
}

async function auditOf(subjectId: string): Promise<string[]> {
  const rows = await database.root<{ action: string }[]>`
    select action from audit_entries where subject_id = ${subjectId} and outcome = 'ok' order by chain_no`;
  return rows.map((row) => row.action);
}

async function eventsOf(taskId: string): Promise<string[]> {
  const rows = await database.root<{ type: string }[]>`
    select type from events where correlation_id = ${taskId} order by tx, seq`;
  return rows.map((row) => row.type);
}

describe('one decision', () => {
  test('an approval moves approval and task, with one event and one audit entry', async () => {
    const task = await aTask(database, people);
    expect(await answer(task, people.operator, 'approve')).toMatchObject({
      accepted: true,
      state: 'approved',
    });
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'pending' });
    expect(await auditOf(task.approvalId)).toEqual(['approval.approve']);
    expect(await eventsOf(task.id)).toEqual([
      'squad.task.created',
      'approval.requested',
      'squad.task.approved',
    ]);
  });

  test('a rejection ends the task', async () => {
    const task = await aTask(database, people);
    expect(await answer(task, people.operator, 'reject')).toMatchObject({
      accepted: true,
      state: 'rejected',
    });
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'rejected' });
    expect(await answer(task, people.admin, 'approve')).toMatchObject({
      accepted: false,
      refused: 'CONFLICT',
    });
  });

  test.each([
    ['the requester', 'requester'],
    ['an agent', 'agent'],
    ['a viewer', 'viewer'],
  ] as const)('%s cannot approve, and nothing is written', async (_who, key) => {
    const task = await aTask(database, people);
    expect(await answer(task, people[key], 'approve')).toMatchObject({
      accepted: false,
      refused: 'FORBIDDEN',
    });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'open', votes: [] });
    expect(await auditOf(task.approvalId)).toEqual([]);
  });

  test('an approval for an older digest is refused', async () => {
    const task = await aTask(database, people);
    expect(await answer(task, people.operator, 'approve', { digest: '0'.repeat(64) })).toMatchObject({
      accepted: false,
      refused: 'STALE',
    });
  });

  test('a decision sent to another run is refused', async () => {
    const task = await aTask(database, people);
    const other = await aTask(database, people);
    expect(await answer({ ...task, workflowId: other.workflowId }, people.operator, 'approve')).toMatchObject(
      {
        refused: 'NOT_FOUND',
      },
    );
  });

  test('a retry after a lost acknowledgement gets the recorded outcome', async () => {
    const task = await aTask(database, people);
    const opKey = newId('op');
    const first = await answer(task, people.operator, 'approve', { opKey });
    const second = await answer(task, people.operator, 'approve', { opKey });
    expect(second).toEqual(first);
    expect(await auditOf(task.approvalId)).toEqual(['approval.approve']);
  });

  test('TRUST 4.13: high risk needs two people, and the same person counts once', async () => {
    const task = await aTask(database, people, { risk: 'high' });
    expect(await answer(task, people.operator, 'approve')).toMatchObject({ state: 'open', votesLeft: 1 });
    expect(await answer(task, people.operator, 'approve')).toMatchObject({ refused: 'CONFLICT' });
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'pending-approval' });
    expect(await answer(task, people.admin, 'approve')).toMatchObject({ state: 'approved', votesLeft: 0 });
  });

  test('a request or ticket is used up by its decision', async () => {
    const task = await aTask(database, people, { risk: 'high' });
    const requestId = newId('dec');
    await storeDecisionRequest(database.db, {
      id: requestId,
      action: 'approve',
      source: 'ticket',
      subjectId: task.id,
      approvalId: task.approvalId,
      workflowId: task.workflowId,
      principalId: people.operator,
      digest: task.digest,
      reason: null,
      expiresAt: null,
    });
    expect(await answer(task, people.operator, 'approve', { requestId })).toMatchObject({ accepted: true });
    expect(await answer(task, people.admin, 'approve', { requestId })).toMatchObject({ refused: 'CONFLICT' });
  });
});

describe('what a person says with a decision', () => {
  test('guidance of a rejection is kept on the vote and the task, told in the event and to the run', async () => {
    const task = await aTask(database, people);
    const guidance = 'use the other port';
    expect(await answer(task, people.operator, 'reject', { guidance })).toMatchObject({
      ...{ accepted: true, state: 'rejected', guidance },
    });
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'rejected', guidance });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ votes: [{ guidance }] });
    const [event] = await database.root`
      select payload from events where type = 'squad.task.rejected' and correlation_id = ${task.id}`;
    expect(event?.payload).toMatchObject({
      guidance,
      by: people.operator,
      title: task.title,
      risk: 'medium',
    });
  });

  test('a finding that blocks cannot be approved; warnings have to be acknowledged, and that is on record', async () => {
    const task = await aTask(database, people);
    const find = (findings: object[]) => database.root`
      update approvals set findings = ${database.root.json(findings as never)} where id = ${task.approvalId}`;
    await find([{ id: 'B1', level: 'block', text: 'opens the network' }]);
    const acknowledgedFindings = ['B1', 'F1'];
    expect(await answer(task, people.operator, 'approve', { acknowledgedFindings })).toMatchObject({
      refused: 'CONFLICT',
    });
    await find([{ id: 'F1', level: 'warn', text: 'is large' }]);
    expect(await answer(task, people.operator, 'approve')).toMatchObject({
      ...{ refused: 'INVALID', details: { findings: ['F1'] } },
    });
    expect(await answer(task, people.operator, 'approve', { acknowledgedFindings: ['F1'] })).toMatchObject({
      state: 'approved',
    });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      votes: [{ acknowledgedFindings: ['F1'] }],
    });
  });

  test('high risk needs a reason, and where a login was shown, a fresh one (TRUST 4.17)', async () => {
    const task = await aTask(database, people, { risk: 'high' });
    expect(await answer(task, people.operator, 'approve', { reason: null })).toMatchObject({
      ...{ refused: 'INVALID', details: { missing: 'reason' } },
    });
    const hour = 3_600_000;
    expect(await answer(task, people.operator, 'approve', { loginAtMs: Date.now() - hour })).toMatchObject({
      refused: 'FORBIDDEN',
    });
    expect(await answer(task, people.operator, 'approve', { loginAtMs: Date.now() - 1000 })).toMatchObject({
      state: 'open',
    });
  });
});

describe('breaking the glass (TRUST 4.18)', () => {
  const broken = { breakGlass: true, reason: 'the shop is down and nobody answers' };

  test('takes two people with a role of their own, alarms everybody, and is in the audit', async () => {
    const task = await aTask(database, people, { risk: 'high' });
    const second = newId('prn');
    await createPrincipal(database.db, {
      ...{ id: second, kind: 'human', name: second, role: 'break-glass', actor: 'test', opKey: second },
    });
    expect(await answer(task, people.admin, 'approve', broken)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await answer(task, people.breakGlass, 'approve', { ...broken, reason: null })).toMatchObject({
      refused: 'INVALID',
    });
    expect(await answer(task, people.breakGlass, 'approve', broken)).toMatchObject({
      state: 'open',
      votesLeft: 1,
    });
    expect(await answer(task, people.breakGlass, 'approve', broken)).toMatchObject({ refused: 'CONFLICT' });
    expect(await answer(task, second, 'approve', broken)).toMatchObject({ state: 'approved' });
    expect(await auditOf(task.approvalId)).toEqual(['approval.break-glass', 'approval.break-glass']);
    const alarms = await database.root`
      select severity, payload from events where type = 'approval.glass-broken' and correlation_id = ${task.id}
      order by seq`;
    expect([...alarms]).toMatchObject([
      { severity: 'critical', payload: { by: people.breakGlass, reason: broken.reason } },
      { severity: 'critical', payload: { by: second } },
    ]);
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'pending' });
  });

  test('does not let whoever asks decide', async () => {
    const task = await aTask(database, people, { requestedBy: people.breakGlass });
    expect(await answer(task, people.breakGlass, 'approve', broken)).toMatchObject({ refused: 'FORBIDDEN' });
  });
});

describe('races', () => {
  test('of 32 people who decide at once one wins, and each loser learns who and when', async () => {
    const deciders = await Promise.all(
      Array.from({ length: 32 }, async () => {
        const id = newId('prn');
        await createPrincipal(database.db, {
          id,
          kind: 'human',
          name: id,
          role: 'operator',
          actor: 'test',
          opKey: id,
        });
        return id;
      }),
    );
    for (let round = 0; round < 5; round += 1) {
      const task = await aTask(database, people);
      const answers = await Promise.all(
        deciders.map((id, index) => answer(task, id, index % 2 === 0 ? 'approve' : 'reject')),
      );
      expect(answers.filter((outcome) => outcome.accepted)).toHaveLength(1);
      const losers = answers.filter((outcome) => !outcome.accepted);
      for (const loser of losers) {
        expect(loser).toMatchObject({
          refused: 'CONFLICT',
          details: { decidedBy: expect.any(String), decidedAt: expect.any(String) },
        });
      }
      expect(await auditOf(task.approvalId)).toHaveLength(1);
      const winner = answers.find((outcome) => outcome.accepted);
      const stored = await getTask(database.db, task.id);
      expect(stored?.state).toBe(
        winner?.accepted === true && winner.state === 'approved' ? 'pending' : 'rejected',
      );
    }
  });

  test('two simultaneous votes of a quorum are both counted', async () => {
    const task = await aTask(database, people, { risk: 'high' });
    const answers = await Promise.all([
      answer(task, people.operator, 'approve'),
      answer(task, people.admin, 'approve'),
    ]);
    expect(answers.every((outcome) => outcome.accepted)).toBe(true);
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'approved' });
  });
});

describe('expiry', () => {
  test('the timer of a decided approval changes nothing (F1)', async () => {
    const task = await aTask(database, people);
    await answer(task, people.operator, 'approve');
    expect(await expireApproval(database.db, { approvalId: task.approvalId, opKey: newId('op') })).toEqual({
      expired: false,
      state: 'approved',
      remainingMs: 0,
    });
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'pending' });
  });

  test('a timer that fires early by its own clock is told how long is left', async () => {
    const task = await aTask(database, people);
    const outcome = await expireApproval(database.db, { approvalId: task.approvalId, opKey: newId('op') });
    expect(outcome).toMatchObject({ expired: false, state: 'open' });
    expect(outcome.expired ? 0 : outcome.remainingMs).toBeGreaterThan(1000);
  });

  test('silence is never consent: an expired task is over and cannot be approved (F2)', async () => {
    const task = await aTask(database, people);
    await database.root`update approvals set expires_at = now() - interval '1 second' where id = ${task.approvalId}`;
    expect(await answer(task, people.operator, 'approve')).toMatchObject({ refused: 'EXPIRED' });
    expect(await expireApproval(database.db, { approvalId: task.approvalId, opKey: newId('op') })).toEqual({
      expired: true,
    });
    expect(await getTask(database.db, task.id)).toMatchObject({ state: 'expired' });
    expect(await answer(task, people.operator, 'approve')).toMatchObject({ refused: 'EXPIRED' });
  });
});
