import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
beforeAll(async () => {
  api = await startFakeApi();
});
afterAll(() => api.close());

const squad = {
  ...{ name: 'shop', description: 'for the shop', leader: 'agt_1', owner: 'prn_1', version: 2 },
  load: { running: 1, places: 10, openTasks: 4 },
  ...{ successShare: 0.75, createdAt: '2026-01-01T00:00:00.000Z', updatedAt: '2026-01-01T00:00:00.000Z' },
  members: [
    {
      ...{ agentId: 'agt_1', name: 'keeper', role: 'DreamOps', state: 'online' },
      ...{ running: 1, maxConcurrency: 10, successShare: null },
    },
  ],
};
const task = {
  ...{ id: 'tsk_0123456789abcdef', type: 'a.b', title: 'Repair', target: 'probe:shop', targetRole: 'Custom' },
  ...{ state: 'pending', risk: 'low', origin: 'api', requestedBy: 'prn_1', agentId: 'agt_1' },
  ...{ dispatchMode: 'auto', run: 1, attempt: 0, approvalId: 'apr_1', outcomeUnknown: false },
  ...{ progress: null, error: null, createdAt: '2026-01-01T00:00:00.000Z', squad: 'shop', priority: 'high' },
  ...{ score: 82.5, dependsOn: ['tsk_first'], parentId: null, notBefore: null, payload: {}, result: null },
  ...{ dueAt: '2027-01-01T00:00:00.000Z', waitsFor: 'its time: not before 2026-12-01T00:00:00.000Z' },
  ...{ supersededBy: null, supersededBecause: null },
  temporal: { workflowId: 'task/tsk_1', runId: null, url: 'http://temporal/' },
};

const cli = (...args: string[]) => run([...args, '--url', api.url]);

test('a squad is shown with its leader, load, success and members, or as the API said it with --json', async () => {
  api.on('GET /v1/squads/shop', () => ({ body: squad }));
  const shown = await cli('squad', 'show', 'shop');
  expect(shown).toMatchObject({ code: 0 });
  for (const text of ['agt_1', '1 of 10 places, 4 open tasks', '75%', 'keeper'])
    expect(shown.stdout).toContain(text);
  const { stdout } = await cli('squad', 'show', 'shop', '--json');
  expect(JSON.parse(stdout)).toEqual(squad);
});

test.each<[string[], string, object]>([
  [['create', 'shop', '--description', 'd'], 'POST /v1/squads', { name: 'shop', description: 'd' }],
  [['change', 'shop', '--description', 'd'], 'PATCH /v1/squads/shop', { description: 'd' }],
  [['leader', 'shop', 'agt_1'], 'PATCH /v1/squads/shop', { leader: 'agt_1' }],
  [['leader', 'shop', '-'], 'PATCH /v1/squads/shop', { leader: null }],
  [
    ['add', 'shop', 'agt_1', '--role', 'DreamOps'],
    'POST /v1/squads/shop/members',
    { agentId: 'agt_1', role: 'DreamOps' },
  ],
  [['remove', 'shop', 'agt_1'], 'POST /v1/squads/shop/members/remove', { agentId: 'agt_1' }],
])('squad %j asks %s', async (args, route, body) => {
  api.on(route, () => ({ body: squad }));
  expect(await cli('squad', ...args)).toMatchObject({ code: 0 });
  expect(api.asked.at(-1)?.body).toEqual(body);
});

test('squads are listed, and one is deleted', async () => {
  api.on('GET /v1/squads', () => ({ body: { items: [squad], nextCursor: null } }));
  api.on('DELETE /v1/squads/shop', () => ({ body: { name: 'shop' } }));
  expect((await cli('squad', 'list')).stdout).toContain('for the shop');
  expect((await cli('squad', 'delete', 'shop')).stdout).toContain('deleted shop');
});

test('the limit of an agent is a number of its own', async () => {
  const agent = { id: 'agt_1', name: 'keeper', role: 'DreamOps', executor: 'http', state: 'online' };
  api.on('PUT /v1/agents/agt_1/limit', () => ({ body: { ...agent, configVersion: 1, maxConcurrency: 3 } }));
  expect((await cli('agent', 'limit', 'agt_1', '3')).stdout).toContain('at once');
  expect(api.asked.at(-1)?.body).toEqual({ maxConcurrency: 3 });
  expect((await cli('agent', 'limit', 'agt_1', 'many')).code).not.toBe(0);
});

test('a task is created with its whole plan', async () => {
  api.on('POST /v1/tasks', () => ({ status: 201, body: task }));
  const ended = await cli(
    ...['task', 'create', 'a.b', '--title', 'Repair', '--target', 'probe:shop', '--role', 'Custom'],
    ...['--priority', 'high', '--squad', 'shop', '--depends-on', 'tsk_first,tsk_second', '--parent', 'tsk_p'],
    ...['--not-before', '2026-12-01T00:00:00Z', '--due', '2027-01-01T00:00:00Z'],
  );
  expect(ended).toMatchObject({ code: 0 });
  expect(api.asked.at(-1)?.body).toMatchObject({
    ...{ priority: 'high', squad: 'shop', dependsOn: ['tsk_first', 'tsk_second'], parentId: 'tsk_p' },
    ...{ notBefore: '2026-12-01T00:00:00Z', dueAt: '2027-01-01T00:00:00Z' },
  });
  for (const text of ['high (score 82.5)', 'tsk_first', 'not before 2026-12-01'])
    expect(ended.stdout).toContain(text);
});

test('a task is shown with why its agent and how far its parts are; lists are ordered as asked', async () => {
  api.on(`GET /v1/tasks/${task.id}`, () => ({
    body: {
      ...{ task, approval: null, attempts: [] },
      children: { total: 4, ended: 2, done: 1, share: 0.375 },
      choice: { because: 'keeper: less loaded (0 of 2, not 1 of 2) than other', standings: [] },
    },
  }));
  const { stdout } = await cli('task', 'show', task.id);
  expect(stdout).toContain('agent chosen: keeper: less loaded');
  expect(stdout).toContain('parts: 1 of 4 done, 38%');
  api.on('GET /v1/tasks', () => ({ body: { items: [task], nextCursor: null } }));
  const listed = await cli('task', 'list', '--order', 'priority', '--squad', 'shop');
  expect(listed.stdout).toContain('high 82.5');
  expect(api.asked.at(-1)?.query.get('order')).toBe('priority');
  expect(api.asked.at(-1)?.query.get('squad')).toBe('shop');
  expect((await cli('task', 'list', '--order', 'size')).code).not.toBe(0);
});
