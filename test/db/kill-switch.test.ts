import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { getAgent } from '../../db/agents.ts';
import { getApproval } from '../../db/approvals.ts';
import { recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import {
  coversTask,
  engageSwitch,
  epochOf,
  findStop,
  holdOn,
  holdOnApproval,
  listSwitches,
  readSwitches,
  releaseSwitch,
} from '../../db/kill-switch.ts';
import { findObjection } from '../../db/task-attempts.ts';
import { createTask } from '../../db/task-create.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { listTaskAttempts } from '../../db/tasks.ts';
import { coversWork, type HoldLevel } from '../../domain/kill-switch.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aNewTask, anAgent, aTask } from '../support/factories.ts';
import { anApprovedTask, approve, aRunningTask, auditOf, bindingTo, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;
let agent: string;

beforeAll(async () => {
  database = await openTestDatabase(40);
  people = await createPeople(database);
  agent = await anAgent(database, people);
});

/** A target of its own for each test, and the scope of a switch over it alone. */
function aPlace(): { target: string; scope: string } {
  const target = `thing:${randomBytes(4).toString('hex')}`;
  return { target, scope: `target:${target}` };
}

function engage(scope: string, level: HoldLevel = 'approve-only', opKey = newId('op')) {
  return engageSwitch(database.db, { scope, level, reason: 'a test', actor: people.operator, opKey });
}

function release(scope: string, perMinute = 600) {
  const by = { reason: 'over', actor: people.admin, opKey: newId('op') };
  return releaseSwitch(database.db, { scope, perMinute, ...by });
}

const begin = (taskId: string, opKey = newId('op')) =>
  beginAttempt(database.db, { taskId, opKey, request: null, actor: 'system' });

describe('engaging', () => {
  test('takes the next epoch of one line for all scopes, tells the log and the audit', async () => {
    const [one, other] = [aPlace(), aPlace()];
    const first = await engage(one.scope);
    const second = await engage(other.scope, 'observe');
    expect(second.epoch).toBe(first.epoch + 1);
    expect(await epochOf(database.db, { kind: 'task', target: one.target })).toBe(first.epoch);
    expect(await epochOf(database.db, { kind: 'task', target: other.target })).toBe(second.epoch);
    expect(await auditOf(database.root, one.scope)).toEqual(['kill-switch.engage']);
    const events = await database.root`
      select severity, payload->>'reason' as reason from events
      where type = 'kill-switch.engaged' and payload->>'scope' = ${one.scope}`;
    expect(events).toEqual([{ severity: 'critical', reason: 'a test' }]);
  });

  test('another level of an engaged switch is an engage of its own, with a new epoch', async () => {
    const { scope, target } = aPlace();
    const first = await engage(scope, 'observe');
    const second = await engage(scope, 'approve-only');
    expect(second.epoch).toBeGreaterThan(first.epoch);
    expect(await holdOn(database.db, { kind: 'task', target }, 'approve')).toBeNull();
    expect(await holdOn(database.db, { kind: 'task', target }, 'dispatch')).not.toBeNull();
  });

  test('the same operation again is answered with the first one, and takes no epoch', async () => {
    const { scope } = aPlace();
    const opKey = newId('op');
    const first = await engage(scope, 'observe', opKey);
    expect(await engage(scope, 'observe', opKey)).toEqual(first);
    expect((await readSwitches(database.db)).epoch).toBe(first.epoch);
  });

  test('many at once have an epoch each, all are on record, and the last one stands', async () => {
    const { scope } = aPlace();
    const engaged = await Promise.all(Array.from({ length: 16 }, () => engage(scope)));
    const epochs = engaged.map(({ epoch }) => epoch).sort((one, other) => one - other);
    expect(new Set(epochs).size).toBe(16);
    const row = (await listSwitches(database.db)).find((each) => each.scope === scope);
    expect(row?.epoch).toBe(epochs.at(-1));
    expect(await auditOf(database.root, scope)).toHaveLength(16);
  });
});

describe('releasing', () => {
  test('ends the hold and keeps the epoch', async () => {
    const { scope, target } = aPlace();
    const { epoch } = await engage(scope, 'observe');
    expect(await release(scope)).toEqual({ epoch });
    expect(await holdOn(database.db, { kind: 'task', target }, 'dispatch')).toBeNull();
    expect(await epochOf(database.db, { kind: 'task', target })).toBe(epoch);
    expect(await auditOf(database.root, scope)).toEqual(['kill-switch.engage', 'kill-switch.release']);
  });

  test('a scope that is not engaged cannot be released, twice neither', async () => {
    const { scope } = aPlace();
    expect(await release(scope)).toMatchObject({ refused: 'NOT_FOUND' });
    await engage(scope);
    const both = await Promise.all([release(scope), release(scope)]);
    expect(both.filter((outcome) => 'refused' in outcome)).toMatchObject([{ refused: 'CONFLICT' }]);
    expect(await auditOf(database.root, scope)).toEqual(['kill-switch.engage', 'kill-switch.release']);
  });
});

test.each([
  ['all', 'probe:a'],
  ['kind:task', 'probe:a'],
  ['kind:probe', 'probe:a'],
  ['target:probe:a', 'probe:a'],
  ['target:probe:a', 'probe:ab'],
  ['target:probe:*', 'probe:a'],
  ['target:probe:*', 'agent:a'],
  ['target:a_%*', 'a_%x'],
  ['target:a_%*', 'abcx'],
  ['target:probe:*', 'probe:*'],
  ['target:a\\b*', 'a\\bc'],
])('the database and the rule agree whether %s covers %s', async (scope, target) => {
  const [row] = await database.db.execute(
    sql`select ${coversTask(sql`${scope}::text`, sql`${target}::text`)} as covers`,
  );
  expect(row?.covers).toBe(coversWork(scope, { kind: 'task', target }));
});

describe('a switch over a target', () => {
  test('at observe nothing is proposed, by nobody; a repetition of an earlier proposal is answered', async () => {
    const { scope, target } = aPlace();
    const before = aNewTask(people, { target });
    const op = { key: newId('op'), actor: before.requestedBy };
    expect(await createTask(database.db, before, op)).toMatchObject({ status: 'changed' });
    await engage(scope, 'observe');
    for (const requestedBy of [people.admin, people.operator, people.requester]) {
      const outcome = await createTask(database.db, aNewTask(people, { target, requestedBy }), {
        key: newId('op'),
        actor: requestedBy,
      });
      expect(outcome).toMatchObject({ status: 'held', refusal: { refused: 'CONFLICT' } });
    }
    expect(await createTask(database.db, before, op)).toMatchObject({ status: 'repeated' });
    const [row] = await database.root`select count(*)::int as tasks from tasks where target = ${target}`;
    expect(row?.tasks).toBe(1);
  });

  test.each<HoldLevel>(['observe', 'propose'])('at %s a yes is refused and a no is not', async (level) => {
    const { scope, target } = aPlace();
    const task = await aTask(database, people, { target });
    await engage(scope, level);
    const decideAs = (decision: 'approve' | 'reject', principalId: string) =>
      recordDecision(database.db, {
        approvalId: task.approvalId,
        workflowId: task.workflowId,
        decision,
        principalId,
        digest: task.digest,
        reason: null,
        requestId: null,
        opKey: newId('op'),
      });
    expect(await decideAs('approve', people.admin)).toMatchObject({
      accepted: false,
      refused: 'CONFLICT',
      message: expect.stringContaining('a test'),
    });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'open', votes: [] });
    expect(await decideAs('reject', people.operator)).toMatchObject({ accepted: true, state: 'rejected' });
  });

  test('at approve-only a yes counts, and the task is parked on its way to dispatch', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const task = await anApprovedTask(database, people, agent, { target });
    expect(await begin(task.id)).toMatchObject({ dispatched: false, parked: true, refused: 'CONFLICT' });
    const parked = await freshTask(database, task.id);
    expect(parked).toMatchObject({ state: 'pending', attempt: 0 });
    expect(parked.parkedBecause).toContain(scope);
    expect(parked.parkedAt).toBeInstanceOf(Date);
    expect(await listTaskAttempts(database.db, task.id)).toEqual([]);
    expect(await auditOf(database.root, task.id)).toEqual(['task.create', 'task.park']);
    // Asked again, by a signal that anyone can send: it stays where it is, and is told once.
    expect(await begin(task.id)).toMatchObject({ parked: true });
    expect(await auditOf(database.root, task.id)).toEqual(['task.create', 'task.park']);
  });

  test('a parked task does not begin before its turn, whoever asks the run', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const task = await anApprovedTask(database, people, agent, { target });
    await begin(task.id);
    await release(scope);
    expect(await begin(task.id)).toMatchObject({ dispatched: false, parked: true });
    expect(await listTaskAttempts(database.db, task.id)).toEqual([]);
  });

  test('an attempt begins under the epoch of its work, and an engage makes it one too old', async () => {
    const { scope, target } = aPlace();
    const { epoch } = await engage(scope);
    await release(scope);
    const task = await aRunningTask(database, people, agent, { target });
    expect(await listTaskAttempts(database.db, task.id)).toMatchObject([{ epoch }]);
    const row = await getAgent(database.db, agent);
    if (row === null) throw new Error('the agent is gone');
    expect(await findObjection(database.db, `${task.id}:1`, row)).toBeNull();
    expect(await findStop(database.db, task.id)).toBeNull();
    await engage(scope);
    const because = `stopped by the kill switch (${scope}, engaged by`;
    expect(await findObjection(database.db, `${task.id}:1`, row)).toContain(because);
    expect(await findStop(database.db, task.id)).toMatchObject({
      attempt: 1,
      because: expect.stringContaining(because),
    });
    await release(scope);
    // What was under way stays stopped; only a new attempt has the new epoch.
    expect(await findObjection(database.db, `${task.id}:1`, row)).toContain(because);
  });

  test('an answer to "did it take effect?" is never held: it only records what has happened', async () => {
    const { target } = aPlace();
    const { epoch } = await engage('all', 'observe');
    const board = await readSwitches(database.db);
    expect(board.epoch).toBe(epoch);
    expect(await holdOn(database.db, { kind: 'task', target }, 'approve')).not.toBeNull();
    expect(holdOnApproval(board, { kind: 'outcome', target })).toBeNull();
    expect(holdOnApproval(board, { kind: 'task', target })).not.toBeNull();
    await release('all');
  });
});

describe('races', () => {
  const binding = () => bindingTo(agent);

  test('of 32 dispatches that race an engage none begins after it, and none began under an older look', async () => {
    for (let round = 0; round < 6; round += 1) {
      const { scope, target } = aPlace();
      const ids = await Promise.all(
        Array.from({ length: 32 }, async () => {
          const task = await aTask(database, people, { target, binding: binding() });
          return (await approve(database, people, task)).id;
        }),
      );
      const dispatches = ids.map(async (id, index) => {
        await new Promise((resolve) => setTimeout(resolve, index % 8));
        return begin(id);
      });
      await new Promise((resolve) => setTimeout(resolve, 2 + round));
      const { epoch } = await engage(scope);
      const outcomes = await Promise.all(dispatches);
      const [row] = await database.root<{ beyond: number; running: number; parked: number }[]>`
        with engaged as (
          select chain_no from audit_entries where action = 'kill-switch.engage' and subject_id = ${scope}
        )
        select (select count(*) from audit_entries e join tasks t on t.id = e.subject_id
                where e.action = 'task.dispatch' and t.target = ${target}
                  and e.chain_no > (select chain_no from engaged))::int as beyond,
               (select count(*) from tasks where target = ${target} and state = 'running')::int as running,
               (select count(*) from tasks where target = ${target} and parked_at is not null)::int as parked`;
      // The chain is the order of commits: no dispatch stands behind the engage.
      expect(row?.beyond).toBe(0);
      expect((row?.running ?? 0) + (row?.parked ?? 0)).toBe(32);
      expect(outcomes.filter((outcome) => outcome.dispatched)).toHaveLength(row?.running ?? -1);
      // Each that was faster carries an older epoch, so the relay stops it.
      for (const id of ids) {
        const [attempt] = await listTaskAttempts(database.db, id);
        if (attempt === undefined) continue;
        expect(attempt.epoch).toBeLessThan(epoch);
        expect(await findStop(database.db, id)).not.toBeNull();
      }
    }
  });

  test('of 32 yeses that race an engage none counts after it', async () => {
    for (let round = 0; round < 4; round += 1) {
      const { scope, target } = aPlace();
      const tasks = await Promise.all(
        Array.from({ length: 32 }, () => aTask(database, people, { target, binding: binding() })),
      );
      const yes = tasks.map(async (task, index) => {
        await new Promise((resolve) => setTimeout(resolve, index % 8));
        return recordDecision(database.db, {
          approvalId: task.approvalId,
          workflowId: task.workflowId,
          decision: 'approve',
          principalId: people.operator,
          digest: task.digest,
          reason: null,
          requestId: null,
          opKey: newId('op'),
        });
      });
      await new Promise((resolve) => setTimeout(resolve, 2 + round));
      await engage(scope, 'propose');
      const outcomes = await Promise.all(yes);
      const [row] = await database.root<{ beyond: number; approved: number }[]>`
        select (select count(*) from audit_entries e join approvals a on a.id = e.subject_id
                where e.action = 'approval.approve' and a.target = ${target} and e.chain_no > (
                  select chain_no from audit_entries where action = 'kill-switch.engage' and subject_id = ${scope}))::int as beyond,
               (select count(*) from approvals where target = ${target} and state = 'approved')::int as approved`;
      expect(row?.beyond).toBe(0);
      expect(outcomes.filter(({ accepted }) => accepted)).toHaveLength(row?.approved ?? -1);
    }
  });

  test('an engage gets in while dispatches never pause', async () => {
    const { scope } = aPlace();
    let busy = true;
    const stream = Array.from({ length: 16 }, async () => {
      while (busy) await database.db.execute(sql`select kill_switch_epoch(), pg_sleep(0.02)`);
    });
    const from = performance.now();
    for (let count = 0; count < 5; count += 1) await engage(scope);
    const took = performance.now() - from;
    busy = false;
    await Promise.all(stream);
    expect(took).toBeLessThan(5_000);
  });
});
