import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { configureAgent, setAgentState } from '../../db/agents.ts';
import { getApproval } from '../../db/approvals.ts';
import { getDecisionRequest, storeDecisionRequest } from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import { engageSwitch, listSwitches, releaseSwitch } from '../../db/kill-switch.ts';
import { cancelTask } from '../../db/task-end.ts';
import { claimStops, claimUntold, countHeld, findTurns, releaseTurn, type Turn } from '../../db/task-hold.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { listTaskAttempts, type TaskRow } from '../../db/tasks.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { anApprovedTask, aRunningTask, auditOf, eventsOf, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;
let agent: string;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
  agent = await anAgent(database, people);
});

function aPlace(): { target: string; scope: string } {
  const target = `thing:${randomBytes(4).toString('hex')}`;
  return { target, scope: `target:${target}` };
}

const engage = (scope: string) =>
  engageSwitch(database.db, {
    scope,
    level: 'approve-only',
    reason: 'a test',
    actor: people.operator,
    opKey: newId('op'),
  });
const release = (scope: string, perMinute = 600) =>
  releaseSwitch(database.db, { scope, perMinute, reason: 'over', actor: people.admin, opKey: newId('op') });
const begin = (taskId: string) =>
  beginAttempt(database.db, { taskId, opKey: newId('op'), request: null, actor: 'system' });

async function aParkedTask(target: string, by = agent): Promise<TaskRow> {
  const task = await anApprovedTask(database, people, by, { target });
  expect(await begin(task.id)).toMatchObject({ parked: true });
  return freshTask(database, task.id);
}

async function turnsOf(...scopes: string[]): Promise<Turn[]> {
  return (await findTurns(database.db)).filter(({ scope }) => scopes.includes(scope));
}

/** Lets all parked tasks of a scope go, one after the other, as fast as the rate allows. */
async function drain(scope: string, count: number): Promise<string[]> {
  const gone: string[] = [];
  while (gone.length < count) {
    for (const turn of await turnsOf(scope)) if (await releaseTurn(database.db, turn)) gone.push(turn.taskId);
    await sleep(10);
  }
  return gone;
}

describe('letting go', () => {
  test('no task has its turn while its switch is engaged; after the release the oldest goes first', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const tasks: TaskRow[] = [];
    for (let count = 0; count < 3; count += 1) tasks.push(await aParkedTask(target));
    expect(await turnsOf(scope)).toEqual([]);
    await release(scope);
    expect(await drain(scope, 3)).toEqual(tasks.map(({ id }) => id));
    expect(await freshTask(database, tasks[0]?.id ?? '')).toMatchObject({
      state: 'pending',
      parkedAt: null,
      parkedBecause: null,
      releasedAt: expect.any(Date) as Date,
    });
    const [row] = (await listSwitches(database.db)).filter((each) => each.scope === scope);
    expect(row).toMatchObject({ drained: 3 });
    expect(await auditOf(database.root, tasks[0]?.id ?? '')).toEqual([
      'task.create',
      'task.park',
      'task.release',
    ]);
    expect(await eventsOf(database.root, tasks[0]?.id ?? '')).toEqual([
      'squad.task.created',
      'approval.requested',
      'squad.task.approved',
      'squad.task.parked',
      'squad.task.released',
    ]);
  });

  test('a task that another switch still holds stays parked, and goes with that one', async () => {
    const { scope, target } = aPlace();
    const wide = `${scope.slice(0, -1)}*`;
    await engage(scope);
    await engage(wide);
    const task = await aParkedTask(target);
    await release(scope);
    expect(await turnsOf(scope, wide)).toEqual([]);
    await release(wide);
    expect(await turnsOf(scope, wide)).toMatchObject([{ taskId: task.id, scope: wide }]);
  });

  test('a second engage while it drains holds the rest, and the one that was just let go parks again', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const [first, second] = [await aParkedTask(target), await aParkedTask(target)];
    await release(scope);
    await drain(scope, 1);
    await engage(scope);
    expect(await begin(first.id)).toMatchObject({ dispatched: false, parked: true });
    expect(await turnsOf(scope)).toEqual([]);
    await release(scope);
    expect((await drain(scope, 2)).sort()).toEqual([first.id, second.id].sort());
    expect(await begin(first.id)).toMatchObject({ dispatched: true, attempt: 1 });
    expect(await listTaskAttempts(database.db, second.id)).toEqual([]);
  });

  test('a cancelled task never has its turn', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const task = await aParkedTask(target);
    await cancelTask(database.db, {
      taskId: task.id,
      requestId: null,
      actor: people.operator,
      reason: null,
      opKey: newId('op'),
    });
    await release(scope);
    expect(await turnsOf(scope)).toEqual([]);
  });

  test('eight relays together never exceed the rate, and let each task go once', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const tasks: TaskRow[] = [];
    for (let count = 0; count < 12; count += 1) tasks.push(await aParkedTask(target));
    const perMinute = 240;
    await release(scope, perMinute);
    const gone: string[] = [];
    const relay = async (): Promise<void> => {
      while (gone.length < tasks.length) {
        for (const turn of await turnsOf(scope))
          if (await releaseTurn(database.db, turn)) gone.push(turn.taskId);
      }
    };
    await Promise.all(Array.from({ length: 8 }, relay));
    expect(gone).toEqual(tasks.map(({ id }) => id));
    const rows = await database.root<{ at: Date }[]>`
      select e.at from audit_entries e join tasks t on t.id = e.subject_id
      where e.action = 'task.release' and t.target = ${target} order by e.chain_no`;
    expect(rows).toHaveLength(12);
    const [row] = await database.root<{ soonest: number }[]>`
      select min(gap)::float8 as soonest from (
        select extract(epoch from released_at - lag(released_at) over (order by released_at)) * 1000 as gap
        from tasks where target = ${target}) as gaps`;
    // Times are kept to the millisecond, and a statement begins a little before it writes.
    expect(row?.soonest).toBeGreaterThanOrEqual(60_000 / perMinute - 60);
    const span = (rows.at(-1)?.at.getTime() ?? 0) - (rows[0]?.at.getTime() ?? 0);
    expect(span).toBeGreaterThanOrEqual((11 * 60_000) / perMinute - 100);
  }, 60_000);
});

describe('beginning again', () => {
  test('has the epoch of then, and everything of the park is off the task', async () => {
    const { scope, target } = aPlace();
    const { epoch } = await engage(scope);
    const task = await aParkedTask(target);
    await release(scope);
    await drain(scope, 1);
    expect(await begin(task.id)).toMatchObject({ dispatched: true, epoch });
    expect(await freshTask(database, task.id)).toMatchObject({
      state: 'running',
      parkedAt: null,
      releasedAt: null,
    });
  });

  test('content that moved while it was parked voids the approval (F7)', async () => {
    const { scope, target } = aPlace();
    const moving = await anAgent(database, people);
    await engage(scope);
    const task = await aParkedTask(target, moving);
    await configureAgent(database.db, {
      id: moving,
      config: { taskQueue: 'another' },
      expectedVersion: 1,
      actor: people.admin,
      opKey: newId('op'),
    });
    expect(await begin(task.id)).toMatchObject({ parked: true });
    await release(scope);
    await drain(scope, 1);
    expect(await begin(task.id)).toMatchObject({ dispatched: false, voided: true });
    expect(await freshTask(database, task.id)).toMatchObject({
      state: 'pending-approval',
      parkedAt: null,
      releasedAt: null,
    });
  });

  test('an approval whose time passed while it was parked is void, and a new one is open', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const task = await aParkedTask(target);
    await database.root`update approvals set expires_at = now() - interval '1 s' where id = ${task.approvalId}`;
    await release(scope);
    await drain(scope, 1);
    const outcome = await begin(task.id);
    expect(outcome).toMatchObject({
      voided: true,
      because: 'its time was over while a kill switch held the task',
    });
    expect(await getApproval(database.db, task.approvalId)).toMatchObject({ state: 'void' });
    const now = await freshTask(database, task.id);
    expect(now.state).toBe('pending-approval');
    expect(await getApproval(database.db, now.approvalId)).toMatchObject({ state: 'open', votes: [] });
  });

  test('an approval that was never parked is as good as it was, however late the dispatch', async () => {
    const task = await anApprovedTask(database, people, agent, aPlace());
    await database.root`update approvals set expires_at = now() - interval '1 s' where id = ${task.approvalId}`;
    expect(await begin(task.id)).toMatchObject({ dispatched: true });
  });

  test('a task that was let go and finds no agent waits for a person, and its run is left in peace', async () => {
    const { scope, target } = aPlace();
    const leaving = await anAgent(database, people);
    await engage(scope);
    const task = await aParkedTask(target, leaving);
    await release(scope);
    await drain(scope, 1);
    await database.root`update tasks set attempt = 5 where id = ${task.id}`;
    expect(await begin(task.id)).toMatchObject({ dispatched: false, refused: 'LIMIT' });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'pending', releasedAt: null });
    await setAgentState(database.db, {
      id: leaving,
      state: 'disabled',
      actor: people.admin,
      opKey: newId('op'),
    });
  });

  test('a request by hand under a hold is refused with the switch, and the task is not parked', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const task = await anApprovedTask(database, people, agent, { target });
    const id = newId('dec');
    await storeDecisionRequest(database.db, {
      id,
      action: 'dispatch',
      source: 'api',
      subjectId: task.id,
      approvalId: null,
      workflowId: task.workflowId,
      principalId: people.admin,
      digest: null,
      reason: null,
      expiresAt: null,
    });
    const request = await getDecisionRequest(database.db, id);
    const byHand = { taskId: task.id, opKey: newId('op'), request, actor: people.admin };
    expect(await beginAttempt(database.db, byHand)).toMatchObject({
      dispatched: false,
      refused: 'CONFLICT',
      message: expect.stringContaining(scope),
    });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'pending', parkedAt: null });
    await release(scope);
    expect(await beginAttempt(database.db, { ...byHand, opKey: newId('op') })).toMatchObject({
      dispatched: true,
    });
  });
});

describe('stopping', () => {
  test('runs of attempts from before the engage are told, others are not, and seldomer each time', async () => {
    const [held, free] = [aPlace(), aPlace()];
    const running = await aRunningTask(database, people, agent, { target: held.target });
    const other = await aRunningTask(database, people, agent, { target: free.target });
    await engage(held.scope);
    const claims = await Promise.all(Array.from({ length: 4 }, () => claimStops(database.db, 100)));
    const told = claims.flat().map(({ workflowId }) => workflowId);
    expect(told.filter((id) => id === running.workflowId)).toHaveLength(1);
    expect(told).not.toContain(other.workflowId);
    const again = async (seconds: number): Promise<boolean> => {
      await database.root`
        update task_attempts set stop_asked_at = now() - make_interval(secs => ${seconds}) where task_id = ${running.id}`;
      return (await claimStops(database.db, 100)).some(({ workflowId }) => workflowId === running.workflowId);
    };
    expect([await again(1), await again(2.1), await again(2.1), await again(4.1)]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  test('a released task whose run was never told is told again', async () => {
    const { scope, target } = aPlace();
    await engage(scope);
    const task = await aParkedTask(target);
    await release(scope);
    await drain(scope, 1);
    const untold = async (): Promise<boolean> =>
      (await claimUntold(database.db, 5_000, 100)).some(({ workflowId }) => workflowId === task.workflowId);
    expect(await untold()).toBe(false);
    await database.root`update tasks set released_at = now() - interval '6 s' where id = ${task.id}`;
    expect([await untold(), await untold()]).toEqual([true, false]);
  });

  test('the count says what an engage would stop, hold back, and has parked', async () => {
    const { scope, target } = aPlace();
    await aRunningTask(database, people, agent, { target });
    await anApprovedTask(database, people, agent, { target });
    expect((await countHeld(database.db, [scope])).get(scope)).toEqual({ running: 1, waiting: 1, parked: 0 });
    await engage(scope);
    await aParkedTask(target);
    const counts = await countHeld(database.db, [scope, 'all', 'kind:fabric']);
    expect(counts.get(scope)).toEqual({ running: 1, waiting: 1, parked: 1 });
    expect(counts.get('all')?.running).toBeGreaterThanOrEqual(1);
    expect(counts.get('kind:fabric')).toEqual({ running: 0, waiting: 0, parked: 0 });
  });
});
