import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { beginAttempt } from '../../db/task-run.ts';
import { recordDecision } from '../../db/decisions.ts';
import { finishAttempt } from '../../db/task-end.ts';
import { newId } from '../../db/ids.ts';
import { getTask, type TaskRow } from '../../db/tasks.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;
let agentId: string;

beforeAll(async () => {
  database = await openTestDatabase(24);
  people = await createPeople(database);
  keys = await keysOf(database, people);
  agentId = await anAgent(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
});

const proposal = {
  type: 'repair.api.endpoint',
  title: 'Repair the shop',
  target: 'probe:shop',
  targetRole: 'DeployKeeper',
  payload: { url: 'http://127.0.0.1:1/' },
};

const propose = (given: object = {}, headers: Record<string, string> = {}, as = keys.requester) =>
  api.call('POST', '/v1/tasks', { as, body: { ...proposal, ...given }, headers });

async function countOf(table: 'tasks' | 'events' | 'audit_entries'): Promise<number> {
  const [row] = await database.root`select count(*)::int as n from ${database.root(table)}`;
  return Number(row?.n);
}

describe('a proposal', () => {
  test('is stored, bound to the agent that would run it, and its run is started', async () => {
    const { status, body } = await propose({ severity: 'high' });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      state: 'pending-approval',
      requestedBy: people.requester,
      agentId,
      origin: 'api',
      temporal: { workflowId: `task/${body.id}`, runId: `run-of-${body.id}` },
    });
    expect(body.temporal.url).toBe(
      `http://127.0.0.1:8233/namespaces/default/workflows/task%2F${body.id}/run-of-${body.id}/history`,
    );
    expect(api.temporal.started).toMatchObject([{ taskId: body.id, run: 1, severity: 'high' }]);
    const shown = await api.call('GET', `/v1/tasks/${body.id}`, { as: keys.viewer });
    expect(shown.body).toMatchObject({
      task: { id: body.id, payload: proposal.payload },
      approval: { id: body.approvalId, state: 'open', votes: 0 },
      attempts: [],
    });
  });

  test('while Temporal is down is stored all the same, without a run', async () => {
    api.temporal.down = true;
    const { status, body } = await propose();
    expect(status).toBe(202);
    expect(body.temporal.runId).toBeNull();
    expect(await getTask(database.db, body.id)).toMatchObject({ state: 'pending-approval', runId: null });
  });

  test('cannot say by its body who asks, how far it is or what it is bound to', async () => {
    for (const extra of ['requestedBy', 'state', 'agentId', 'approvalId', 'digest', 'origin', 'id'])
      expect(await propose({ [extra]: 'x' })).toMatchObject({ status: 400, body: { code: 'INVALID' } });
  });

  test('with a payload beyond 256 KiB is too large', async () => {
    expect(await propose({ payload: { text: 'x'.repeat(300_000) } })).toMatchObject({ status: 413 });
  });
});

describe('a proposal with an Idempotency-Key', () => {
  test('makes one task however often it is sent', async () => {
    const headers = { 'idempotency-key': 'order-1' };
    const first = await propose({}, headers);
    const second = await propose({}, headers);
    expect(first.status).toBe(201);
    expect(second).toMatchObject({ status: 201, body: first.body });
    expect(second.headers.get('idempotency-replayed')).toBe('true');
  });

  test('makes one task also when it is sent at the same time', async () => {
    const before = await countOf('tasks');
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => propose({}, { 'idempotency-key': 'order-2' })),
    );
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(12).fill(201));
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(11);
    expect(await countOf('tasks')).toBe(before + 1);
  });

  test('and another body is a conflict that writes nothing but its refusal', async () => {
    await propose({}, { 'idempotency-key': 'order-3' });
    const before = [await countOf('tasks'), await countOf('events')];
    const entries = await countOf('audit_entries');
    expect(await propose({ title: 'Another' }, { 'idempotency-key': 'order-3' })).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT' },
    });
    expect([await countOf('tasks'), await countOf('events')]).toEqual(before);
    await expect.poll(() => countOf('audit_entries')).toBe(entries + 1);
  });

  test('is another request when another person sends it', async () => {
    const headers = { 'idempotency-key': 'order-4' };
    const mine = await propose({}, headers);
    const theirs = await propose({}, headers, keys.admin);
    expect(theirs.status).toBe(201);
    expect(theirs.body.id).not.toBe(mine.body.id);
  });

  test('makes no second task where the first answer was not kept, and starts a run that could not be started', async () => {
    api.temporal.down = true;
    const headers = { 'idempotency-key': 'order-5' };
    const first = await propose({}, headers);
    expect(first.status).toBe(202);
    // As after a process that died between the task and its answer, or a day later.
    await database.root`delete from idempotency_keys where key = 'order-5'`;
    api.temporal.down = false;
    const again = await propose({}, headers);
    expect(again).toMatchObject({ status: 200, body: { id: first.body.id } });
    expect(api.temporal.started).toHaveLength(1);
  });
});

async function approved(): Promise<TaskRow> {
  const task = await aTask(database, people, {
    binding: { agentId, executor: 'temporal', configVersion: 1 },
  });
  await recordDecision(database.db, {
    approvalId: task.approvalId,
    workflowId: task.workflowId,
    decision: 'approve',
    principalId: people.operator,
    digest: task.digest,
    reason: null,
    requestId: null,
    opKey: newId('op'),
  });
  return task;
}

async function running(): Promise<TaskRow> {
  const task = await approved();
  const outcome = await beginAttempt(database.db, {
    taskId: task.id,
    opKey: newId('op'),
    request: null,
    actor: 'test',
  });
  if (!outcome.dispatched) throw new Error(JSON.stringify(outcome));
  return task;
}

describe('asking a run', () => {
  const post = (task: TaskRow, what: string, body?: object, as = keys.operator) =>
    api.call('POST', `/v1/tasks/${task.id}/${what}`, { as, ...(body === undefined ? {} : { body }) });

  test('to dispatch is refused early while nobody has approved', async () => {
    const task = await aTask(database, people);
    expect(await post(task, 'dispatch')).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT', details: { state: 'pending-approval' } },
    });
    expect(api.temporal.asked).toEqual([]);
  });

  test('to dispatch is stored and sent as an update of the same id', async () => {
    const task = await approved();
    api.temporal.answer = () => Promise.resolve({ answer: { accepted: true, state: 'running' } });
    const { status } = await post(task, 'dispatch');
    expect(status).toBe(200);
    const [ask] = api.temporal.asked;
    expect(ask).toMatchObject({ name: 'dispatch', workflowId: task.workflowId });
    const [row] = await database.root`select * from decision_requests where id = ${ask?.requestId ?? ''}`;
    expect(row).toMatchObject({ action: 'dispatch', subject_id: task.id, principal_id: people.operator });
  });

  test('to dispatch and being refused is a problem with the code of the run', async () => {
    const task = await approved();
    api.temporal.answer = () =>
      Promise.resolve({ answer: { accepted: false, refused: 'STALE', message: 'The approval is void.' } });
    expect(await post(task, 'dispatch')).toMatchObject({ status: 412, body: { code: 'STALE' } });
  });

  test('to cancel takes a reason, and is on its way while the run is silent', async () => {
    const task = await approved();
    const { status, body } = await post(task, 'cancel', { reason: 'not wanted' });
    expect(status).toBe(202);
    const [row] = await database.root`select * from decision_requests where id = ${body.requestId}`;
    expect(row).toMatchObject({ action: 'cancel', reason: 'not wanted', state: 'open' });
  });

  test('to cancel what has ended is a conflict', async () => {
    const task = await running();
    const result = { ok: true, summary: 'done' };
    await finishAttempt(database.db, { taskId: task.id, attempt: 1, opKey: newId('op'), result });
    expect(await post(task, 'cancel')).toMatchObject({
      status: 409,
      body: { details: { state: 'success' } },
    });
    expect(api.temporal.asked).toEqual([]);
  });

  test('about an unknown task is a 404', async () => {
    for (const what of ['dispatch', 'cancel', 'retry'])
      expect(await api.call('POST', `/v1/tasks/tsk_unknown/${what}`, { as: keys.operator })).toMatchObject({
        status: 404,
        body: { code: 'NOT_FOUND' },
      });
  });
});

describe('a retry', () => {
  const retry = (task: TaskRow) => api.call('POST', `/v1/tasks/${task.id}/retry`, { as: keys.operator });

  test('of a task that has not failed is a conflict', async () => {
    expect(await retry(await aTask(database, people))).toMatchObject({ status: 409 });
  });

  test('of a failed task is one new run, also when two people ask at once', async () => {
    const task = await running();
    const result = { ok: false, summary: 'it broke' };
    await finishAttempt(database.db, { taskId: task.id, attempt: 1, opKey: newId('op'), result });
    const answers = await Promise.all([retry(task), retry(task)]);
    for (const { status, body } of answers) {
      expect([200, 409]).toContain(status);
      if (status === 200) expect(body.task).toMatchObject({ run: 2, state: 'pending' });
    }
    expect(answers.some(({ status }) => status === 200)).toBe(true);
    expect(await getTask(database.db, task.id)).toMatchObject({ run: 2, workflowId: `task/${task.id}/2` });
    expect(api.temporal.started.every(({ run }) => run === 2)).toBe(true);
  });
});

describe('progress', () => {
  const report = (task: TaskRow, as: string, given: object = {}) =>
    api.call('POST', `/v1/tasks/${task.id}/progress`, {
      as,
      body: { attempt: 1, fraction: 0.5, message: 'half way', ...given },
    });

  test('of its own agent is kept on the task and in its log', async () => {
    const task = await running();
    expect(await report(task, keys.agent)).toMatchObject({ status: 200, body: { recorded: true } });
    const shown = await api.call('GET', `/v1/tasks/${task.id}`, { as: keys.viewer });
    expect(shown.body.task.progress).toMatchObject({ fraction: 0.5, message: 'half way' });
    const logs = await api.call('GET', `/v1/tasks/${task.id}/logs`, { as: keys.viewer });
    expect(logs.body.items.at(-1)).toMatchObject({ attempt: 1, level: 'info', message: 'half way' });
  });

  test('is refused from people, for other attempts and for tasks of other agents', async () => {
    const task = await running();
    expect(await report(task, keys.operator)).toMatchObject({ status: 403 });
    expect(await report(task, keys.agent, { attempt: 2 })).toMatchObject({ status: 409 });
    expect(await report(await aTask(database, people), keys.agent)).toMatchObject({ status: 404 });
    expect(await report(task, keys.agent, { fraction: 1.5 })).toMatchObject({ status: 400 });
  });
});

describe('lists', () => {
  test('are filtered and paged, newest first, each task once', async () => {
    for (let made = 0; made < 5; made += 1) await aTask(database, people, { target: 'probe:paged' });
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body } = await api.call('GET', `/v1/tasks?limit=2&target=probe:paged${query}`, {
        as: keys.viewer,
      });
      seen.push(...body.items.map((item: { id: string }) => item.id));
      cursor = body.nextCursor;
    }
    expect(seen).toHaveLength(5);
    expect(new Set(seen).size).toBe(5);
  });

  test('refuse unknown filters, states and cursors', async () => {
    for (const query of [
      'colour=red',
      'state=done',
      'limit=0',
      'limit=201',
      'limit=x',
      'cursor=abc',
      'state=failed&state=success',
    ])
      expect(await api.call('GET', `/v1/tasks?${query}`, { as: keys.viewer })).toMatchObject({
        status: 400,
        body: { code: 'INVALID' },
      });
  });
});

test('the status counts what there is', async () => {
  const { status, body } = await api.call('GET', '/v1/status', { as: keys.viewer });
  expect(status).toBe(200);
  expect(body.tasks['pending-approval']).toBeGreaterThan(0);
  expect(body.openApprovals).toBeGreaterThan(0);
  expect(body.readiness).toMatchObject({ ready: true });
  api.temporal.down = true;
  expect((await api.call('GET', '/readyz')).status).toBe(503);
});
