import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { finishAttempt } from '../../db/task-end.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';
import { aRunningTask, auditOf } from './flow.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase(24);
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
});

const call = (method: string, path: string, body?: object, as = keys.operator) =>
  api.call(method, path, { as, ...(body === undefined ? {} : { body }) });

async function aSquad(): Promise<string> {
  const name = newId('s').toLowerCase().replace('_', '-');
  const made = await call('POST', '/v1/squads', { name, description: 'for the shop' });
  expect(made.status).toBe(201);
  return name;
}

async function changesOf(name: string): Promise<unknown[]> {
  const rows = await database.root`
    select payload ->> 'change' as change from events
    where type = 'squad.changed' and source_id = ${name} order by seq`;
  return rows.map(({ change }) => change);
}

describe('a squad', () => {
  test('is created, filled, led, described and deleted, each with its event and audit entry', async () => {
    const name = await aSquad();
    const agent = await anAgent(database, people);
    const path = `/v1/squads/${name}`;
    const joined = await call('POST', `${path}/members`, { agentId: agent, role: 'DreamOps' });
    expect(joined.body.members).toMatchObject([{ agentId: agent, role: 'DreamOps', successShare: null }]);
    await call('POST', `${path}/members`, { agentId: agent, role: 'EnvKeeper' });
    const led = await call('PATCH', path, { leader: agent });
    expect(led.body).toMatchObject({ leader: agent, version: 4, members: [{ role: 'EnvKeeper' }] });
    await call('PATCH', path, { description: 'for the till' });
    const left = await call('POST', `${path}/members/remove`, { agentId: agent });
    expect(left.body).toMatchObject({ leader: null, members: [], description: 'for the till' });
    expect((await call('DELETE', path)).status).toBe(200);
    expect((await call('GET', path)).status).toBe(404);
    const steps = ['created', 'joined', 'joined', 'led', 'described', 'left', 'deleted'];
    expect(await changesOf(name)).toEqual(steps);
    expect(await auditOf(database.root, name)).toEqual(steps.map((step) => `squad.${step}`));
  });

  test('shows its load and what share of the attempts of its members succeeded', async () => {
    const name = await aSquad();
    const agent = await anAgent(database, people, { maxConcurrency: 3 });
    await call('POST', `/v1/squads/${name}/members`, { agentId: agent, role: 'DeployKeeper' });
    for (const ok of [true, true, true, false]) {
      const task = await aRunningTask(database, people, agent);
      const result = { ok, summary: 's' };
      await finishAttempt(database.db, { taskId: task.id, attempt: 1, opKey: newId('op'), result });
    }
    await aRunningTask(database, people, agent, { squad: name });
    const { body } = await call('GET', `/v1/squads/${name}`, undefined, keys.viewer);
    expect(body).toMatchObject({
      ...{ successShare: 0.75, load: { running: 1, places: 3, openTasks: 1 } },
      members: [{ agentId: agent, running: 1, maxConcurrency: 3, successShare: 0.75 }],
    });
    const listed = await call('GET', '/v1/squads?limit=200');
    expect(listed.body.items).toContainEqual(expect.objectContaining({ name, successShare: 0.75 }));
  });

  test('with an open task is not deleted', async () => {
    const name = await aSquad();
    const agent = await anAgent(database, people);
    await aRunningTask(database, people, agent, { squad: name });
    const { status, body } = await call('DELETE', `/v1/squads/${name}`);
    expect(status).toBe(409);
    expect(body.detail).toContain('1 open tasks');
    expect((await call('GET', `/v1/squads/${name}`)).status).toBe(200);
  });

  test('refuses a taken name, an unknown agent, a leader from outside and a change of nothing', async () => {
    const name = await aSquad();
    const agent = await anAgent(database, people);
    const path = `/v1/squads/${name}`;
    const before = await changesOf(name);
    expect((await call('POST', '/v1/squads', { name, description: 'x' })).status).toBe(409);
    const unknown = await call('POST', `${path}/members`, { agentId: 'agt_none', role: 'DreamOps' });
    expect(unknown).toMatchObject({ status: 400, body: { detail: expect.stringContaining('agt_none') } });
    expect((await call('PATCH', path, { leader: agent })).body.detail).toContain('is not a member');
    expect((await call('PATCH', path, {})).status).toBe(400);
    expect((await call('POST', `${path}/members`, { agentId: agent, role: 'Boss' })).status).toBe(400);
    expect((await call('POST', `${path}/members/remove`, { agentId: agent })).status).toBe(200);
    expect(await changesOf(name)).toEqual(before);
  });

  test('never has a leader who is not in it, whoever changes it at the same time', async () => {
    for (let round = 0; round < 3; round += 1) {
      const name = await aSquad();
      const agent = await anAgent(database, people);
      const path = `/v1/squads/${name}`;
      await call('POST', `${path}/members`, { agentId: agent, role: 'DreamOps' });
      await Promise.all([
        call('PATCH', path, { leader: agent }),
        call('POST', `${path}/members/remove`, { agentId: agent }),
        call('PATCH', path, { leader: agent }),
      ]);
      const { body } = await call('GET', path);
      expect(body.members).toEqual([]);
      expect(body.leader).toBeNull();
    }
  });
});

const proposal = {
  ...{ type: 'repair.api.endpoint', title: 'Repair the shop', target: 'probe:shop' },
  ...{ targetRole: 'DeployKeeper', payload: {} },
};
const propose = (given: object = {}) => call('POST', '/v1/tasks', { ...proposal, ...given }, keys.requester);

describe('a task with a plan', () => {
  test('keeps and shows all of it, and why its agent was chosen', async () => {
    const name = await aSquad();
    const agent = await anAgent(database, people);
    await anAgent(database, people);
    await call('POST', `/v1/squads/${name}/members`, { agentId: agent, role: 'DeployKeeper' });
    const first = (await propose()).body.id;
    const [notBefore, dueAt] = ['2027-01-01T00:00:00.000Z', '2027-01-02T00:00:00.000Z'];
    const planned = { priority: 'high', squad: name, dependsOn: [first], parentId: first, notBefore, dueAt };
    const made = await propose(planned);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ ...planned, agentId: agent, waitsFor: null });
    const shown = await call('GET', `/v1/tasks/${made.body.id}`, undefined, keys.viewer);
    expect(shown.body.task).toMatchObject({ ...planned, score: 82.5 });
    expect(shown.body.choice).toMatchObject({
      because: expect.stringContaining('of the squad of the task'),
      standings: expect.arrayContaining([expect.objectContaining({ agentId: agent, inSquad: true })]),
    });
    const parent = await call('GET', `/v1/tasks/${first}`, undefined, keys.viewer);
    expect(parent.body.children).toEqual({ total: 1, ended: 0, done: 0, share: 0 });
  });

  test.each<[string, object, string]>([
    ['an unknown dependency', { dependsOn: ['tsk_none'] }, 'dependsOn: there is no task tsk_none'],
    ['too many', { dependsOn: Array.from({ length: 21 }, (_each, n) => `tsk_${n}`) }, ''],
    ['an unknown squad', { squad: 'nobody' }, 'squad: there is no squad nobody'],
    ['an unknown parent', { parentId: 'tsk_none' }, 'parentId: there is no other task tsk_none'],
    ['a due date that is over', { dueAt: '2020-01-01T00:00:00Z' }, 'dueAt: this time is over'],
    ['a time too far away', { notBefore: '2999-01-01T00:00:00Z' }, 'notBefore: give a time within'],
    ['no time', { dueAt: 'tomorrow' }, ''],
    ['no priority', { priority: 'critical' }, ''],
  ])('is refused with %s, and nothing is written', async (_what, given, text) => {
    const counted = async () => (await database.root`select count(*)::int as n from tasks`)[0]?.n;
    const before = await counted();
    const { status, body } = await propose(given);
    expect(status).toBe(400);
    expect(JSON.stringify(body)).toContain(text);
    expect(await counted()).toBe(before);
  });

  test('lists by priority and by due date are paged, each task once and in order', async () => {
    const name = await aSquad();
    const due = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
    const ids: string[] = [];
    for (const given of [
      { priority: 'low' },
      { priority: 'urgent' },
      { priority: 'normal', dueAt: due(0.5) },
      { priority: 'normal', dueAt: due(48) },
      { priority: 'high' },
    ])
      ids.push((await propose({ ...given, squad: name })).body.id);
    const [low, urgent, soon, later, high] = ids;
    const pages = async (order: string): Promise<string[]> => {
      const found: string[] = [];
      for (let cursor = ''; ;) {
        const path = `/v1/tasks?squad=${name}&order=${order}&limit=2${cursor}`;
        const { body } = await call('GET', path, undefined, keys.viewer);
        found.push(...body.items.map(({ id }: { id: string }) => id));
        if (body.nextCursor === null) return found;
        cursor = `&cursor=${body.nextCursor}`;
      }
    };
    const byPriority = await pages('priority');
    expect(byPriority[0]).toBe(urgent);
    expect(byPriority.slice(1, 3).sort()).toEqual([soon, high].sort());
    expect(byPriority.slice(3)).toEqual([later, low]);
    const byDue = await pages('due');
    expect(byDue.slice(0, 2)).toEqual([soon, later]);
    expect(byDue.slice(2).sort()).toEqual([low, urgent, high].sort());
  });
});

test('the limit of an agent is set by who may change agents, within its bounds, and voids no approval', async () => {
  const agent = await anAgent(database, people);
  const set = (maxConcurrency: number, as = keys.admin) =>
    call('PUT', `/v1/agents/${agent}/limit`, { maxConcurrency }, as);
  expect((await set(2)).body).toMatchObject({ maxConcurrency: 2, configVersion: 1 });
  expect((await set(2, keys.operator)).status).toBe(403);
  for (const wrong of [0, 1001, 1.5]) expect((await set(wrong)).status).toBe(400);
  expect(await auditOf(database.root, agent)).toEqual(['agent.register', 'agent.limit']);
});
