import { beforeAll, describe, expect, test } from 'vitest';
import { getApproval } from '../../db/approvals.ts';
import { getAutonomy, grantAutonomy, withdrawAutonomy } from '../../db/autonomy.ts';
import { newId } from '../../db/ids.ts';
import { engageSwitch, releaseSwitch } from '../../db/kill-switch.ts';
import { recordVerdict } from '../../db/repair-judge.ts';
import { watchedRepairs } from '../../db/repairs.ts';
import { grantStanding } from '../../db/standing-approval.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { defaultAutonomyThreshold } from '../../domain/autonomy.ts';
import { isRefusal } from '../../domain/refusal.ts';
import type { Verdict } from '../../domain/verdict.ts';
import type { NewTask } from '../../db/task-create.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { aHaloTask, aPair, aRepair, proposeHalo } from '../support/repairs.ts';
import { aPerson, aRuleFor, auditOf, eventsOf, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;
let agent: string;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
  agent = await anAgent(database, people, { capabilities: ['*'] });
});

const anAction = (): string => `repair.${newId('x').replace('_', '.')}`;
const human = (id: string) => ({ id, name: id, kind: 'human' });

async function grant(action: string, given: { by?: string; version?: number; expiresInMs?: number } = {}) {
  const { by = people.admin, version = 1, expiresInMs = null } = given;
  return grantAutonomy(database.db, {
    ...{ action, targetClass: 'probe', version, reason: 'earned', expiresInMs, person: human(by) },
    opKey: newId('op'),
  });
}

/** A pair that a person has granted. */
async function aGrant(given: { by?: string; expiresInMs?: number } = {}): Promise<string> {
  const action = anAction();
  await aPair(database, action);
  const row = await grant(action, given);
  if (isRefusal(row)) throw new Error(row.message);
  return action;
}

const propose = (type: string, given: Partial<NewTask> = {}) =>
  proposeHalo(database, aHaloTask(people, agent, { type, ...given }));
const withdraw = (action: string) =>
  withdrawAutonomy(database.db, {
    ...{ action, targetClass: 'probe', reason: 'enough', person: human(people.operator), opKey: newId('op') },
  });
const pairOf = (action: string) => getAutonomy(database.db, { action, targetClass: 'probe' });
const begin = (taskId: string) =>
  beginAttempt(database.db, { taskId, opKey: newId('op'), request: null, actor: 'test' });

/** A later cycle's word on a repair of this action. */
async function judged(taskId: string, verdict: Verdict): Promise<boolean> {
  const repair = (await watchedRepairs(database.db, 1000)).find((one) => one.taskId === taskId);
  if (repair === undefined) return false;
  return recordVerdict(database.db, {
    ...{ repair, judged: { state: 'judged', verdict, because: 'seen' }, view: {}, cycleId: 'cyc_1' },
    threshold: defaultAutonomyThreshold,
  });
}

describe('a grant', () => {
  test('is on record with who gave it and why, and is told', async () => {
    const action = await aGrant({ expiresInMs: 3_600_000 });
    expect(await pairOf(action)).toMatchObject({
      ...{ state: 'granted', version: 2, grantedBy: people.admin, reason: 'earned' },
      ...{ grantedAt: expect.any(Date), expiresAt: expect.any(Date) },
    });
    expect(await auditOf(database.root, `${action}|probe`)).toEqual(['autonomy.grant']);
    const events = await database.root`
      select payload ->> 'state' as state from events
      where type = 'halo.autonomy.changed' and source_id = ${`${action}|probe`}`;
    expect([...events]).toEqual([{ state: 'granted' }]);
  });

  test('of what had high risk once is refused', async () => {
    const action = anAction();
    await aPair(database, action);
    const taskId = await aRepair(database, people, agent, { type: action });
    await database.root`update tasks set risk = 'high' where id = ${taskId}`;
    expect(await grant(action)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(await pairOf(action)).toMatchObject({ state: 'suggested' });
  });

  test('of many at once is given once', async () => {
    const action = anAction();
    await aPair(database, action);
    const all = await Promise.all(Array.from({ length: 8 }, () => grant(action)));
    expect(all.filter((one) => !isRefusal(one))).toHaveLength(1);
    expect(await pairOf(action)).toMatchObject({ state: 'granted', version: 2 });
  });

  test('that was withdrawn is manual, and its row begins anew', async () => {
    const action = await aGrant();
    expect(await withdraw(action)).toMatchObject({ state: 'manual', streak: 0, grantedBy: null });
    expect(await withdraw(action)).toMatchObject({ refused: 'CONFLICT' });
    expect(await grant(action, { version: 3 })).toMatchObject({ refused: 'CONFLICT' });
  });

  test.each([['no-change'], ['worse']] as const)('ends with one repair of %s', async (verdict) => {
    const action = await aGrant();
    const taskId = await aRepair(database, people, agent, { type: action });
    expect(await judged(taskId, verdict)).toBe(true);
    expect(await pairOf(action)).toMatchObject({
      ...{ state: 'manual', failed: 1, streak: 0, grantedBy: null, version: 3 },
      withdrawnBecause: expect.stringContaining(verdict),
    });
    const task = await propose(action);
    expect(await grantStanding(database.db, task.id)).toEqual({});
  });

  test('races with a failed verification: whatever was first, it is manual or was refused', async () => {
    for (let round = 0; round < 6; round += 1) {
      const action = anAction();
      await aPair(database, action);
      const taskId = await aRepair(database, people, agent, { type: action });
      const [said] = await Promise.all([grant(action), judged(taskId, 'no-change')]);
      expect(await pairOf(action)).toMatchObject({ state: 'manual', failed: 1 });
      if (isRefusal(said)) expect(['STALE', 'CONFLICT']).toContain(said.refused);
    }
  });
});

describe('a standing approval', () => {
  test('decides what HALO proposes under a grant, and the task is dispatched as any other', async () => {
    const action = await aGrant();
    const task = await propose(action);
    expect(await grantStanding(database.db, task.id)).toEqual({ state: 'pending' });
    expect(await grantStanding(database.db, task.id)).toEqual({});
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'pending', dispatchMode: 'auto' });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({
      state: 'approved',
      votes: [
        {
          principalId: people.admin,
          decision: 'approve',
          grant: { action, targetClass: 'probe', version: 2 },
        },
      ],
    });
    expect(await eventsOf(database.root, task.id)).toContain('squad.task.approved');
    expect(await auditOf(database.root, task.approvalId)).toEqual(['approval.standing']);
    expect(await begin(task.id)).toMatchObject({ dispatched: true });
  });

  test.each<[string, Partial<NewTask>]>([
    ['of high risk', { risk: 'high' }],
    ['of others', { origin: 'api' }],
    ['on another class of targets', { target: 'agent:agt_1' }],
    ['without an agent', { binding: null }],
  ])('is not given to work %s', async (_what, given) => {
    const task = await propose(await aGrant(), given);
    expect(await grantStanding(database.db, task.id)).toEqual({});
    expect(await freshTask(database, task.id)).toMatchObject({
      state: 'pending-approval',
      dispatchMode: 'manual',
    });
  });

  test('is not given by who asked for the work', async () => {
    const task = await propose(await aGrant(), { requestedBy: people.admin });
    expect(await grantStanding(database.db, task.id)).toEqual({});
  });

  test('is not given by who may no longer decide', async () => {
    const by = await aPerson(database);
    const action = await aGrant({ by });
    await database.root`update principals set status = 'disabled' where id = ${by}`;
    const task = await propose(action);
    expect(await grantStanding(database.db, task.id)).toEqual({});
  });

  test('is not given where the policy asks for two', async () => {
    const target = `probe:${newId('prb')}`;
    const none = { roles: [], groups: [] };
    await aRuleFor(database, target, { stages: [{ approvals: 2, approvers: none }] });
    const task = await propose(await aGrant(), { target });
    expect(await grantStanding(database.db, task.id)).toEqual({});
  });

  test('is not given after the time of the grant', async () => {
    const action = await aGrant({ expiresInMs: 3_600_000 });
    await database.root`update autonomy set expires_at = now() where action = ${action}`;
    const task = await propose(action);
    expect(await grantStanding(database.db, task.id)).toEqual({});
  });

  test.each(['approve-only', 'propose'] as const)('is not given under a kill switch at %s', async (level) => {
    const action = await aGrant();
    const task = await propose(action);
    const scope = `target:${task.target}`;
    const by = { scope, reason: 'stop', actor: people.operator };
    await engageSwitch(database.db, { ...by, level, opKey: newId('op') });
    expect(await grantStanding(database.db, task.id)).toEqual({});
    await releaseSwitch(database.db, { ...by, perMinute: 10, opKey: newId('op') });
    expect(await grantStanding(database.db, task.id)).toEqual({ state: 'pending' });
  });

  test.each<[string, (action: string, repaired: string) => Promise<unknown>]>([
    ['the grant was withdrawn', (action) => withdraw(action)],
    ['a repair did not help', (_action, repaired) => judged(repaired, 'no-change')],
  ])('carries no dispatch once %s: people are asked', async (_what, end) => {
    const action = await aGrant();
    const repaired = await aRepair(database, people, agent, { type: action });
    const task = await propose(action);
    await grantStanding(database.db, task.id);
    await end(action, repaired);
    expect(await begin(task.id)).toMatchObject({ dispatched: false, voided: true });
    const now = await freshTask(database, task.id);
    expect(now).toMatchObject({ state: 'pending-approval' });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'void' });
    expect(await getApproval(database.db, now.approvalId)).toMatchObject({ state: 'open', votes: [] });
  });

  test('races with a failed verification: in the audit nothing stands or begins behind the fall', async () => {
    for (let round = 0; round < 8; round += 1) {
      const action = await aGrant();
      const repaired = await aRepair(database, people, agent, { type: action });
      const task = await propose(action);
      const stand = async () => {
        const given = await grantStanding(database.db, task.id);
        return 'state' in given ? begin(task.id) : null;
      };
      await Promise.all([stand(), judged(repaired, 'worse')]);
      expect(await pairOf(action)).toMatchObject({ state: 'manual' });
      const order = await database.root<{ action: string }[]>`
        select action from audit_entries
        where (action = 'approval.standing' and subject_id = ${task.approvalId})
           or (action = 'task.dispatch' and subject_id = ${task.id})
           or (action = 'repair.judge' and subject_id = ${repaired})
        order by chain_no`;
      expect(order.at(-1)?.action).toBe('repair.judge');
    }
  });
});
