import { beforeAll, describe, expect, test } from 'vitest';
import { sql } from 'drizzle-orm';
import { limitAgent, listCandidates } from '../../db/agents.ts';
import { getDecisionRequest, storeDecisionRequest } from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import type { NewTask } from '../../db/task-create.ts';
import { finishAttempt } from '../../db/task-end.ts';
import { taskScore } from '../../db/task-order.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { claimWaits } from '../../db/task-wait.ts';
import { childProgress, reportProgress } from '../../db/tasks.ts';
import { taskPriorities } from '../../domain/task.ts';
import { pathAfter, pathNow } from '../../domain/task-path.ts';
import { priorityScore } from '../../domain/task-priority.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { anApprovedTask, aRunningTask, auditOf, eventsOf, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase(24);
  people = await createPeople(database);
});

const begin = (taskId: string, opKey = newId('op')) =>
  beginAttempt(database.db, { taskId, opKey, request: null, actor: 'system' });

/** A person's dispatch, as the run hands it on. */
async function beginByHand(taskId: string) {
  const id = newId('dsp');
  const { workflowId } = await freshTask(database, taskId);
  await storeDecisionRequest(database.db, {
    ...{ id, action: 'dispatch', source: 'api', subjectId: taskId, approvalId: null, workflowId },
    ...{ principalId: people.operator, digest: null, reason: null, expiresAt: null },
  });
  const request = await getDecisionRequest(database.db, id);
  return beginAttempt(database.db, { taskId, opKey: newId('op'), request, actor: people.operator });
}

async function end(taskId: string, ok: boolean): Promise<void> {
  const { attempt } = await freshTask(database, taskId);
  await finishAttempt(database.db, { taskId, attempt, opKey: newId('op'), result: { ok, summary: 's' } });
}

const approved = (agent: string, given: Partial<NewTask> = {}) =>
  anApprovedTask(database, people, agent, { dispatchMode: 'auto', ...given });

/** Those of these tasks whose runs are told now. */
async function told(...ids: string[]): Promise<string[]> {
  const runs = (await claimWaits(database.db, 500)).map(({ workflowId }) => workflowId);
  return ids.filter((id) => runs.includes(`task/${id}`));
}

describe('dependencies', () => {
  test('an approved task waits until all it depends on succeeded, and says for what, once', async () => {
    const agent = await anAgent(database, people);
    const first = await aRunningTask(database, people, agent);
    const task = await approved(agent, { dependsOn: [first.id] });
    const opKey = newId('op');
    for (let asked = 0; asked < 2; asked += 1)
      expect(await begin(task.id, opKey)).toMatchObject({
        ...{ dispatched: false, parked: true, waits: true },
        message: `what it depends on to succeed: ${first.id} (running)`,
      });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'pending', waitsOn: 'dependencies' });
    expect(await eventsOf(database.root, task.id)).toEqual([
      ...['squad.task.created', 'approval.requested', 'squad.task.approved', 'squad.task.waiting'],
    ]);
    expect(await auditOf(database.root, task.id)).toEqual(['task.create', 'task.wait']);
    expect(await told(task.id)).toEqual([]);
    await end(first.id, true);
    expect(await told(task.id)).toEqual([task.id]);
    expect(await begin(task.id)).toMatchObject({ dispatched: true });
    expect(await freshTask(database, task.id)).toMatchObject({ state: 'running', waitsFor: null, wakes: 0 });
  });

  test('a telling is not repeated at once, so that a run that does not begin fills no history', async () => {
    const agent = await anAgent(database, people);
    const first = await aRunningTask(database, people, agent);
    const task = await approved(agent, { dependsOn: [first.id] });
    await begin(task.id);
    await end(first.id, true);
    expect(await told(task.id)).toEqual([task.id]);
    expect(await told(task.id)).toEqual([]);
    await database.root`update tasks set woken_at = now() - interval '1 minute' where id = ${task.id}`;
    expect(await told(task.id)).toEqual([task.id]);
  });

  test('after one that did not succeed a person is waited for, whose word is kept with what it went without', async () => {
    const agent = await anAgent(database, people);
    const first = await aRunningTask(database, people, agent);
    const task = await approved(agent, { dependsOn: [first.id] });
    await begin(task.id);
    expect(await beginByHand(task.id)).toMatchObject({
      ...{ dispatched: false, refused: 'CONFLICT' },
      message: `It waits for what it depends on to succeed: ${first.id} (running).`,
    });
    await end(first.id, false);
    expect(await told(task.id)).toEqual([task.id]);
    const said = await begin(task.id);
    expect(said).toMatchObject({ dispatched: false, parked: true });
    expect(await freshTask(database, task.id)).toMatchObject({
      ...{ state: 'pending', waitsOn: 'person' },
      waitsFor: expect.stringContaining(`${first.id} (failed), which did not succeed; dispatch it by hand`),
    });
    expect(await told(task.id)).toEqual([]);
    expect(await beginByHand(task.id)).toMatchObject({ dispatched: true });
    const [entry] = await database.root`
      select body::jsonb -> 'detail' -> 'without' as without from audit_entries
      where subject_id = ${task.id} and action = 'task.dispatch'`;
    expect(entry?.without).toEqual([first.id]);
  });
});

describe('not before', () => {
  test('nobody begins a task before its time, and its run is told when it has come', async () => {
    const agent = await anAgent(database, people);
    const task = await approved(agent, { notBefore: new Date(Date.now() + 3_600_000) });
    expect(await begin(task.id)).toMatchObject({ waits: true, parked: true });
    expect(await beginByHand(task.id)).toMatchObject({
      ...{ dispatched: false, refused: 'CONFLICT' },
      message: expect.stringContaining('not before'),
    });
    expect(await told(task.id)).toEqual([]);
    await database.root`update tasks set not_before = now() - interval '1 second' where id = ${task.id}`;
    expect(await told(task.id)).toEqual([task.id]);
    expect(await begin(task.id)).toMatchObject({ dispatched: true });
  });
});

describe('places of an agent', () => {
  test('of two tasks that begin at once for one place one runs and the other waits', async () => {
    for (let round = 0; round < 5; round += 1) {
      const agent = await anAgent(database, people, { maxConcurrency: 1 });
      const tasks = [await approved(agent), await approved(agent)];
      const said = await Promise.all(tasks.map(({ id }) => begin(id)));
      expect(said.filter(({ dispatched }) => dispatched)).toHaveLength(1);
      expect(said.find(({ dispatched }) => !dispatched)).toMatchObject({ parked: true, waits: true });
      const states = await Promise.all(tasks.map(async ({ id }) => (await freshTask(database, id)).state));
      expect(states.sort()).toEqual(['pending', 'running']);
    }
  });

  test('twelve that begin at once never get more than four places', async () => {
    const agent = await anAgent(database, people, { maxConcurrency: 4 });
    const tasks = await Promise.all(Array.from({ length: 12 }, () => approved(agent)));
    await Promise.all(tasks.map(({ id }) => begin(id)));
    const [row] = await database.root`
      select count(*)::int as running from tasks where agent_id = ${agent} and state = 'running'`;
    expect(row?.running).toBe(4);
  });

  test('a freed place goes to the most urgent, not to who waited longest or came just now', async () => {
    const agent = await anAgent(database, people, { maxConcurrency: 1 });
    const busy = await approved(agent);
    await begin(busy.id);
    const low = await approved(agent, { priority: 'low' });
    const urgent = await approved(agent, { priority: 'urgent' });
    for (const { id } of [low, urgent])
      expect(await begin(id)).toMatchObject({
        message: expect.stringContaining('runs 1 of at most 1 tasks'),
      });
    expect(await told(low.id, urgent.id)).toEqual([]);
    await end(busy.id, true);
    const late = await approved(agent, { priority: 'high' });
    expect(await begin(late.id)).toMatchObject({ message: expect.stringContaining('more urgent tasks') });
    expect(await told(low.id, urgent.id, late.id)).toEqual([urgent.id]);
    expect(await begin(urgent.id)).toMatchObject({ dispatched: true });
  });

  test('a person is told who is at work there, and a higher limit makes a place', async () => {
    const agent = await anAgent(database, people, { maxConcurrency: 1 });
    await begin((await approved(agent)).id);
    const task = await approved(agent);
    expect(await beginByHand(task.id)).toMatchObject({ dispatched: false, refused: 'LIMIT' });
    const op = { actor: people.admin, opKey: newId('op') };
    await limitAgent(database.db, { id: agent, maxConcurrency: 2, ...op });
    expect(await beginByHand(task.id)).toMatchObject({ dispatched: true });
  });
});

describe('paths', () => {
  async function pathOf(agent: string): Promise<number> {
    const found = (await listCandidates(database.db)).find(({ id }) => id === agent);
    return found?.paths['repair.api.endpoint'] ?? 0;
  }

  test('an end of an attempt counts once, however often it is recorded', async () => {
    const agent = await anAgent(database, people);
    const task = await aRunningTask(database, people, agent);
    const given = { taskId: task.id, attempt: 1, result: { ok: true, summary: 's' } };
    const opKey = newId('op');
    await Promise.all([1, 2, 3].map(() => finishAttempt(database.db, { ...given, opKey })));
    await finishAttempt(database.db, { ...given, opKey: newId('op') });
    expect(await pathOf(agent)).toBeCloseTo(0.1, 4);
    const [row] = await database.root`select successes, failures from task_paths where agent_id = ${agent}`;
    expect(row).toMatchObject({ successes: 1, failures: 0 });
  });

  test('move and fade as the rule of the domain says', async () => {
    const agent = await anAgent(database, people);
    const day = 86_400_000;
    let expected = 0;
    for (const [ok, days] of [
      [true, 0],
      [true, 1],
      [false, 2],
      [true, 0.5],
      [false, 0],
      [false, 0],
      [false, 0],
    ] as const) {
      await database.root`
        update task_paths set updated_at = now() - ${days} * interval '1 day' where agent_id = ${agent}`;
      expected = pathAfter(pathNow(expected, days * day), ok);
      await end((await aRunningTask(database, people, agent)).id, ok);
      expect(await pathOf(agent)).toBeCloseTo(expected, 4);
    }
    await database.root`update task_paths set updated_at = now() - interval '60 days' where agent_id = ${agent}`;
    expect(await pathOf(agent)).toBe(0);
  });
});

test('the database scores as the rule of the domain does', async () => {
  const now = Date.UTC(2026, 0, 1);
  const [hour, day] = [3_600_000, 86_400_000];
  const cases = taskPriorities.flatMap((priority) =>
    [null, -1, 0, hour, hour + 1, day, day + 1].flatMap((left) =>
      [0, 2].map((dependencies) => ({ priority, left, dependencies })),
    ),
  );
  for (const { priority, left, dependencies } of cases) {
    const dueAtMs = left === null ? null : now + left;
    const [row] = await database.db.execute(sql`
      select ${taskScore(sql`t`, sql`to_timestamp(${now}::float8 / 1000)`)} as score
      from (select ${priority}::text as priority, to_timestamp(${dueAtMs}::float8 / 1000) as due_at,
                   ${JSON.stringify(Array.from({ length: dependencies }, () => 'x'))}::text::jsonb as depends_on) as t`);
    expect(Number(row?.score)).toBeCloseTo(priorityScore({ priority, dueAtMs, dependencies }, now), 9);
  }
});

test('a parent shows what share of its parts is done', async () => {
  const agent = await anAgent(database, people);
  const parent = await aTask(database, people);
  expect(await childProgress(database.db, parent.id)).toEqual({ total: 0, ended: 0, done: 0, share: null });
  const parentId = parent.id;
  const done = await aRunningTask(database, people, agent, { parentId });
  await end(done.id, true);
  const failed = await aRunningTask(database, people, agent, { parentId });
  await end(failed.id, false);
  const half = await aRunningTask(database, people, agent, { parentId });
  await reportProgress(database.db, { taskId: half.id, attempt: 1, fraction: 0.5, message: 'half' });
  await aTask(database, people, { parentId });
  expect(await childProgress(database.db, parent.id)).toEqual({ total: 4, ended: 2, done: 1, share: 0.375 });
});
