import { afterEach, beforeEach, expect, test } from 'vitest';
import { event, type FakeApi, problem, run, start, startFakeApi, task, taskId } from './fake-api.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

test('tail goes on behind the last event after the API was down, and Ctrl-C ends it well', async () => {
  let isDown = true;
  api.on('GET /v1/events', ({ query }) => {
    if (query.get('after') === 'now') return { body: { items: [], nextCursor: 'c0' } };
    if (query.get('after') === 'c0') return { body: { items: [event('evt_1')], nextCursor: 'c1' } };
    if (query.get('after') === 'c1' && isDown) {
      isDown = false;
      return problem(503, 'UNAVAILABLE', 'The database does not answer.');
    }
    if (query.get('after') === 'c1') return { body: { items: [event('evt_2')], nextCursor: 'c2' } };
    return { body: { items: [], nextCursor: 'c2' } };
  });
  const tail = start(['event', 'tail', '--json', '--type', 'deploy.*', '--url', api.url]);
  await tail.printed('evt_2');
  tail.kill('SIGINT');
  const ended = await tail.ended;
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(
    ended.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([event('evt_1'), event('evt_2')]);
  expect(api.asked.map(({ query }) => query.get('type'))).toContain('deploy.*');
});

test('tail with --once ends after one event, on one line', async () => {
  const items = [event('evt_1', { payload: { text: 'a\nb' } }), event('evt_2')];
  api.on('GET /v1/events', () => ({ body: { items, nextCursor: 'c' } }));
  const ended = await run(['event', 'tail', '--once', '--after', 'start', '--url', api.url]);
  expect(ended.code).toBe(0);
  expect(ended.stdout.split('\n')).toHaveLength(2);
  expect(ended.stdout).toContain('evt_1');
});

test('tail that may not read ends at once', async () => {
  api.on('GET /v1/events', () => problem(403, 'FORBIDDEN', 'no'));
  expect((await run(['event', 'tail', '--url', api.url])).code).toBe(4);
});

test('send takes its payload from stdin and prints the id', async () => {
  api.on('POST /v1/events', () => ({ status: 202, body: { id: 'evt_1', duplicate: false } }));
  const args = [
    'event',
    'send',
    'deploy.finished',
    '--severity',
    'error',
    '--source',
    'agent:a:b',
    '--payload',
    '-',
  ];
  const ended = await run([...args, '--url', api.url], {}, '{"n": 1}');
  expect(ended).toMatchObject({ code: 0, stdout: 'evt_1\n' });
  const source = { type: 'agent', id: 'a:b' };
  expect(api.asked[0]?.body).toEqual({
    type: 'deploy.finished',
    severity: 'error',
    source,
    payload: { n: 1 },
  });
});

test('the log of a task is followed until the task has ended, each line once', async () => {
  const line = (id: number) => ({
    id,
    attempt: 1,
    at: '2026-01-01T00:00:00.000Z',
    level: 'info',
    message: `step ${id}`,
  });
  let reads = 0;
  api.on(`GET /v1/tasks/${taskId}`, () => ({
    body: { task: task({ state: reads > 0 ? 'success' : 'running' }), approval: null, attempts: [] },
  }));
  api.on(`GET /v1/tasks/${taskId}/logs`, () => {
    reads += 1;
    return { body: { items: reads === 1 ? [line(1)] : [line(1), line(2)], nextCursor: null } };
  });
  const ended = await run(['task', 'logs', taskId, '--follow', '--json', '--url', api.url]);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(
    ended.stdout
      .trimEnd()
      .split('\n')
      .map((text) => JSON.parse(text)),
  ).toEqual([line(1), line(2)]);
});

test('halo run --wait shows the cycle that was asked for once it has ended', async () => {
  const temporal = { workflowId: 'halo-cycle/c1', runId: null, url: 'http://ui/halo-cycle/c1' };
  const cycle = {
    ...{ id: 'c1', mode: 'full', weakPoints: [], taskIds: ['tsk_1'], insightsUsed: ['ins_1'], error: null },
    temporal,
  };
  const states = ['analyzing', 'completed'];
  let asks = 0;
  api.on('POST /v1/halo/cycles', () => ({
    status: 202,
    body: { cycleId: 'c1', because: 'starts now', temporal, loop: temporal },
  }));
  api.on('GET /v1/halo/cycles/c1', () => {
    asks += 1;
    if (asks === 1) return problem(404, 'NOT_FOUND', 'There is no cycle c1.');
    return { body: { ...cycle, state: states[asks - 2] } };
  });
  const ended = await run(['halo', 'run', '--wait', '--url', api.url]);
  expect(ended.code).toBe(0);
  for (const part of ['completed', 'tsk_1', 'ins_1', 'http://ui/halo-cycle/c1'])
    expect(ended.stdout).toContain(part);
});

test('a cycle and a task say which proposals were superseded, by whom and why', async () => {
  const temporal = { workflowId: 'halo-cycle/c2', runId: null, url: 'http://ui/halo-cycle/c2' };
  const because = 'its target is healthy again';
  const superseded = [{ taskId, title: 'Repair', target: 'probe:shop', state: 'cancelled', because }];
  const cycle = {
    id: 'c2',
    mode: 'full',
    state: 'completed',
    weakPoints: [],
    taskIds: [],
    insightsUsed: [],
    error: null,
    temporal,
  };
  api.on('GET /v1/halo/cycles/c2', () => ({ body: { ...cycle, superseded } }));
  const shown = await run(['halo', 'cycles', 'c2', '--url', api.url]);
  expect(shown.stdout).toContain(`superseded  ${taskId}  cancelled  ${because}`);
  const gone = { state: 'cancelled', supersededBy: 'c2', supersededBecause: because };
  const children = { total: 0, done: 0, ended: 0, share: null };
  const whole = { task: task(gone), approval: null, attempts: [], children, choice: null };
  api.on(`GET /v1/tasks/${taskId}`, () => ({ body: whole }));
  const told = await run(['task', 'show', taskId, '--url', api.url]);
  expect(told.stdout).toContain(`by c2: ${because}`);
});

test('a task is proposed with a key, so that a repetition makes no second one', async () => {
  api.on('POST /v1/tasks', () => ({ status: 201, body: task({ state: 'pending-approval' }) }));
  const args = ['task', 'create', 'repair.api.endpoint', '--title', 'Repair shop', '--target', 'probe:shop'];
  const ended = await run([...args, '--role', 'DeployKeeper', '--payload', '{"a":1}', '--url', api.url]);
  expect(ended.code).toBe(0);
  expect(ended.stdout).toContain('http://ui/task/');
  expect(api.asked[0]?.body).toEqual({
    type: 'repair.api.endpoint',
    title: 'Repair shop',
    target: 'probe:shop',
    targetRole: 'DeployKeeper',
    payload: { a: 1 },
  });
});
