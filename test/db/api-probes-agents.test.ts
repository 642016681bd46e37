import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ProblemError } from '../../api/problems.ts';
import { agentSecret } from '../../db/signing-secret.ts';
import { beginCycle, recordIssues } from '../../db/halo.ts';
import { supersede, withdrawSuperseded } from '../../db/superseded.ts';
import { emptyHaloLoop } from '../../domain/halo-loop.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
});
beforeEach(() => {
  api = createTestApi(database);
});

const post = (path: string, body: object | undefined, as: string) =>
  api.call('POST', path, { as, ...(body === undefined ? {} : { body }) });

describe('a probe', () => {
  test('is owned by whoever made it, and scheduled where it has an interval', async () => {
    const made = await post(
      '/v1/probes',
      { name: 'shop', url: 'https://shop.example/', intervalSeconds: 30 },
      keys.operator,
    );
    expect(made).toMatchObject({
      status: 201,
      body: { owner: people.operator, state: 'unknown', enabled: true },
    });
    const { id } = made.body;
    expect(made.body.scheduleId).toBe(`probe-schedule/${id}`);
    expect(api.temporal.schedules).toEqual([{ probeId: id, intervalSeconds: 30, paused: false }]);
    const off = await post(`/v1/probes/${id}/disable`, undefined, keys.operator);
    expect(off.body.enabled).toBe(false);
    expect(api.temporal.schedules.at(-1)).toMatchObject({ paused: true });
    expect(await post(`/v1/probes/${id}/run`, undefined, keys.operator)).toMatchObject({ status: 409 });
    expect((await post(`/v1/probes/${id}/enable`, undefined, keys.operator)).body.enabled).toBe(true);
    expect(await post('/v1/probes', { name: 'shop', url: 'https://a/' }, keys.operator)).toMatchObject({
      status: 409,
    });
  });

  test('that cannot be scheduled yet is stored, and scheduled when it is enabled again', async () => {
    api.temporal.down = true;
    const made = await post(
      '/v1/probes',
      { name: 'later', url: 'https://a/', intervalSeconds: 5 },
      keys.operator,
    );
    expect(made.status).toBe(202);
    api.temporal.down = false;
    await post(`/v1/probes/${made.body.id}/enable`, undefined, keys.operator);
    expect(api.temporal.schedules).toEqual([{ probeId: made.body.id, intervalSeconds: 5, paused: false }]);
  });

  test('reaches private addresses only where an admin said so', async () => {
    const body = { name: 'inside', url: 'http://127.0.0.1/', allowPrivateNetwork: true };
    expect(await post('/v1/probes', body, keys.operator)).toMatchObject({ status: 403 });
    expect(await post('/v1/probes', body, keys.admin)).toMatchObject({ status: 201 });
  });

  test('that is run answers with what it saw, or with a link while it is busy', async () => {
    const { body: probe } = await post('/v1/probes', { name: 'run', url: 'https://a/' }, keys.operator);
    const done = await post(`/v1/probes/${probe.id}/run`, undefined, keys.operator);
    expect(done).toMatchObject({ status: 200, body: { done: true, ok: true, eventId: 'evt_1' } });
    api.temporal.runProbe = () => Promise.resolve({ runId: 'run-2', result: null, failed: null });
    const busy = await post(`/v1/probes/${probe.id}/run`, undefined, keys.operator);
    expect(busy).toMatchObject({
      status: 202,
      body: { done: false, ok: null, temporal: { runId: 'run-2' } },
    });
  });

  test('that is run twice with one Idempotency-Key is one run', async () => {
    const { body: probe } = await post('/v1/probes', { name: 'once', url: 'https://a/' }, keys.operator);
    const occurrences: string[] = [];
    api.temporal.runProbe = ({ occurrence }) => {
      occurrences.push(occurrence);
      return Promise.resolve({ runId: null, result: null, failed: null });
    };
    const headers = { 'idempotency-key': 'k' };
    for (let times = 0; times < 2; times += 1)
      await api.call('POST', `/v1/probes/${probe.id}/run`, { as: keys.operator, headers });
    await api.call('POST', `/v1/probes/${probe.id}/run`, { as: keys.operator });
    expect(new Set(occurrences).size).toBe(2);
  });
});

describe('an agent', () => {
  const register = (body: object) => post('/v1/agents', body, keys.admin);
  const agent = {
    role: 'DeployKeeper',
    capabilities: ['repair.*'],
    executor: 'temporal',
    config: { taskQueue: 'q' },
  };

  test('gets a principal, a key of its own and nothing more', async () => {
    const { status, body } = await register({ name: 'keeper', ...agent });
    expect(status).toBe(201);
    expect(body.signingSecret).toBeNull();
    const me = await api.call('GET', '/v1/me', { as: body.key });
    expect(me.body).toMatchObject({
      kind: 'agent',
      role: 'agent',
      name: 'agent:keeper',
      agentId: body.agent.id,
    });
    const shown = await api.call('GET', `/v1/agents/${body.agent.id}`, { as: keys.viewer });
    expect(JSON.stringify(shown.body)).not.toContain(body.key.split('_')[3]);
    expect(await register({ name: 'keeper', ...agent })).toMatchObject({ status: 409 });
  });

  test('behind HTTP gets the secret that the worker signs with, once', async () => {
    const { body } = await register({
      name: 'remote',
      ...agent,
      executor: 'http',
      config: { url: 'https://a/' },
    });
    expect(body.signingSecret).toBe(agentSecret(api.deps.agentRoot, body.agent.id));
  });

  test('beats for itself only', async () => {
    const one = (await register({ name: 'beat-1', ...agent })).body;
    const two = (await register({ name: 'beat-2', ...agent })).body;
    expect(await post(`/v1/agents/${one.agent.id}/beat`, undefined, one.key)).toMatchObject({
      status: 200,
      body: { state: 'online' },
    });
    expect(await post(`/v1/agents/${two.agent.id}/beat`, undefined, one.key)).toMatchObject({ status: 404 });
    expect(await post(`/v1/agents/${one.agent.id}/beat`, undefined, keys.admin)).toMatchObject({
      status: 403,
    });
    await post(`/v1/agents/${one.agent.id}/disable`, undefined, keys.admin);
    expect(await post(`/v1/agents/${one.agent.id}/beat`, undefined, one.key)).toMatchObject({ status: 409 });
    const back = await post(`/v1/agents/${one.agent.id}/enable`, undefined, keys.admin);
    expect(back.body.state).toBe('registered');
  });

  test('is configured on the version that was seen', async () => {
    const { id } = (await register({ name: 'config', ...agent })).body.agent;
    const patch = (expectedVersion: number) =>
      api.call('PATCH', `/v1/agents/${id}`, {
        as: keys.admin,
        body: { config: { taskQueue: 'other' }, expectedVersion },
      });
    expect(await patch(1)).toMatchObject({
      status: 200,
      body: { configVersion: 2, config: { taskQueue: 'other' } },
    });
    expect(await patch(1)).toMatchObject({ status: 412, body: { code: 'STALE', details: { current: 2 } } });
  });
});

describe('halo', () => {
  test('takes a request for a cycle and links its run', async () => {
    const { status, body } = await post('/v1/halo/cycles', undefined, keys.operator);
    expect(status).toBe(202);
    expect(body).toMatchObject({
      cycleId: 'cyc_1',
      temporal: { workflowId: 'halo-cycle/cyc_1' },
      loop: { workflowId: 'halo' },
    });
  });

  test('says where the loop stands, also while it does not run', async () => {
    expect((await api.call('GET', '/v1/halo', { as: keys.viewer })).body).toMatchObject({
      running: false,
      paused: null,
    });
    api.temporal.haloState = () => Promise.resolve({ ...emptyHaloLoop(), paused: true, lastEndedMs: 5 });
    expect((await api.call('GET', '/v1/halo', { as: keys.viewer })).body).toMatchObject({
      running: true,
      paused: true,
      lastEndedAt: '1970-01-01T00:00:00.005Z',
    });
  });

  test('refuses a pause while it is paused', async () => {
    expect(await post('/v1/halo/pause', undefined, keys.operator)).toMatchObject({
      status: 200,
      body: { paused: true },
    });
    api.temporal.setHaloPaused = () =>
      Promise.resolve({ refused: 'CONFLICT', message: 'HALO is already paused.' });
    expect(await post('/v1/halo/pause', undefined, keys.operator)).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT' },
    });
  });

  test('writes a pause down before the loop hears of it; without an answer it is void', async () => {
    const asks: string[] = [];
    api.temporal.setHaloPaused = ({ paused, requestId }) => {
      asks.push(requestId);
      if (asks.length === 2) throw new ProblemError('UNAVAILABLE', 'Temporal does not answer.');
      return Promise.resolve({ paused });
    };
    expect((await post('/v1/halo/pause', undefined, keys.operator)).status).toBe(200);
    expect((await post('/v1/halo/resume', undefined, keys.operator)).status).toBe(503);
    const rows = await database.root`
      select id, action, principal_id, state from decision_requests
      where id = any(${asks}) order by created_at`;
    const by = { principal_id: people.operator };
    expect([...rows]).toEqual([
      { id: asks[0], action: 'pause', state: 'open', ...by },
      { id: asks[1], action: 'resume', state: 'refused', ...by },
    ]);
  });

  test('is not available while Temporal is down, and says so', async () => {
    api.temporal.down = true;
    const answer = await post('/v1/halo/cycles', undefined, keys.operator);
    expect(answer).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE' } });
    expect(answer.headers.get('retry-after')).toBe('2');
  });

  test('shows a cycle with what it found', async () => {
    const cycleId = 'cyc_shown';
    await beginCycle(database.db, {
      cycleId,
      mode: 'full',
      trigger: { manual: 1 },
      workflowId: `halo-cycle/${cycleId}`,
      runId: 'run-1',
    });
    await recordIssues(database.db, {
      cycleId,
      issues: [
        {
          key: 'k',
          analyzer: 'endpoint-health',
          entityKind: 'probe',
          entityId: 'prb_1',
          entityName: 'shop',
          severity: 'low',
          title: 'slow',
          subject: {},
          owner: '',
          evidence: [],
        },
      ],
      weakPoints: [],
    });
    const { body } = await api.call('GET', `/v1/halo/cycles/${cycleId}`, { as: keys.viewer });
    expect(body).toMatchObject({ id: cycleId, state: 'planning', issues: [{ key: 'k', title: 'slow' }] });
    expect(body.superseded).toEqual([]);
    expect(body.temporal.url).toContain(`halo-cycle%2F${cycleId}/run-1/history`);
    const list = await api.call('GET', '/v1/halo/cycles', { as: keys.viewer });
    expect(list.body.items.map((item: { id: string }) => item.id)).toContain(cycleId);
  });

  test('shows which proposals a cycle superseded, and on the task why and by which cycle', async () => {
    const cycleId = 'cyc_superseding';
    const workflowId = `halo-cycle/${cycleId}`;
    await beginCycle(database.db, { cycleId, mode: 'full', trigger: {}, workflowId, runId: 'run-1' });
    const task = await aTask(database, people, { origin: 'halo', originId: 'cyc_earlier' });
    const because = 'its target is healthy again';
    await supersede(database.db, { cycleId, taskId: task.id, because });
    await withdrawSuperseded(database.db, task.id);
    const cycle = await api.call('GET', `/v1/halo/cycles/${cycleId}`, { as: keys.viewer });
    const { id: taskId, title, target } = task;
    expect(cycle.body.superseded).toEqual([{ taskId, title, target, state: 'cancelled', because }]);
    const shown = await api.call('GET', `/v1/tasks/${task.id}`, { as: keys.viewer });
    const error = `superseded by ${cycleId}: ${because}`;
    expect(shown.body.task).toMatchObject({
      ...{ state: 'cancelled', supersededBy: cycleId, supersededBecause: because, error },
    });
    const approval = await api.call('GET', `/v1/approvals/${task.approvalId}`, { as: keys.viewer });
    expect(approval.body).toMatchObject({ state: 'withdrawn', closedBecause: error });
  });
});
