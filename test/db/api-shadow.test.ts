import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { isClosed } from '../../db/replay-log.ts';
import { createProbe, getProbe, recordProbeResult } from '../../db/probes.ts';
import { createTestApi, keysOf, type TestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;
let probeId: string;
let slowId: string;
let window: { from: string; to: string };

async function aProbe(): Promise<string> {
  const id = newId('prb');
  await createProbe(database.db, {
    ...{ id, name: id, method: 'GET', url: 'http://127.0.0.1:1/', headers: {}, body: null },
    ...{ assertions: { statusFrom: 200, statusTo: 299 }, timeoutMs: 1_000, intervalSeconds: null },
    ...{ allowPrivateNetwork: false, owner: people.operator, opKey: id },
  });
  return id;
}

async function probed(id: string, status: number, latencyMs = 10): Promise<void> {
  const probe = await getProbe(database.db, id);
  if (probe === null) throw new Error('no probe');
  const ok = status === 200;
  await recordProbeResult(database.db, {
    ...{ probe, opKey: newId('op'), observation: { status, latencyMs, body: '', error: null } },
    judgement: { ok, failures: ok ? [] : [`status ${status}`], severity: ok ? 'info' : 'critical' },
  });
}

/** A moment that nothing before or after it shares. */
const clock = async (): Promise<string> => {
  await sleep(5);
  const [row] = await database.root<{ now: Date }[]>`select now() as now`;
  await sleep(5);
  return row?.now.toISOString() ?? '';
};

/** A window with a slow probe, a failing one, and the task that HALO really proposed for the latter. */
beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  api = createTestApi(database);
  [probeId, slowId] = [await aProbe(), await aProbe()];
  const from = await clock();
  await probed(slowId, 200, 1_500);
  await probed(probeId, 503);
  await aTask(database, people, {
    ...{ origin: 'halo', originId: 'cyc_1', requestedBy: people.operator, target: `probe:${probeId}` },
    fingerprint: `repair.api.endpoint|probe:${probeId}`,
  });
  window = { from, to: await clock() };
});

const ask = (rule: object, more: object = {}) =>
  api.call('POST', '/v1/replays/shadow', {
    ...{ as: keys.viewer, body: { kind: 'halo', ...window, rule, ...more } },
  });
/** Other test files can hold the horizon back; until it has passed the window, the answer is to wait. */
async function shadow(rule: object, more: object = {}) {
  let answer = await ask(rule, more);
  await eventually(async () => (answer = await ask(rule, more)).status).not.toBe(409);
  return answer;
}
const counts = async () => {
  const [row] = await database.root`
    select (select count(*)::int from events) as events, (select count(*)::int from tasks) as tasks,
           (select count(*)::int from audit_entries) as audit, (select count(*)::int from deliveries) as deliveries,
           (select count(*)::int from halo_cycles) as cycles, (select count(*)::int from notifications) as told`;
  return row;
};
const keysIn = (items: { key: string }[]) => items.map(({ key }) => key);

describe('a changed HALO rule', () => {
  test('that changes nothing proposes what was proposed, and says when its cycles ran', async () => {
    const { status, body } = await shadow({});
    expect(status, JSON.stringify(body)).toBe(200);
    expect(body).toMatchObject({ kind: 'halo', window, complete: true });
    const fingerprint = `repair.api.endpoint|probe:${probeId}`;
    const { againstRecorded, againstPresent } = body.tasks;
    expect(againstRecorded.counts).toEqual({ before: 1, after: 1, onlyBefore: 0, onlyAfter: 0, both: 1 });
    expect(againstRecorded.both).toMatchObject([{ key: fingerprint, kind: 'task', risk: 'medium' }]);
    expect(againstPresent.counts).toMatchObject({ onlyBefore: 0, onlyAfter: 0, both: 1 });
    expect(body.cycles.changed).toMatchObject({ count: 1, items: [{ events: 1, proposed: [fingerprint] }] });
    expect(body.cycles.recorded).toEqual({ count: 0, items: [] });
    expect(body.notReplayable.length).toBeGreaterThan(3);
  });

  test('that holds more for slow proposes more', async () => {
    const { body } = await shadow({ slowEndpointMs: 1_000 });
    expect(keysIn(body.tasks.againstPresent.onlyAfter)).toEqual([`repair.api.endpoint|probe:${slowId}`]);
    expect(body.rule.present.slowEndpointMs).toBe(2_500);
    expect(body.rule.changed.slowEndpointMs).toBe(1_000);
  });

  test('that is not woken proposes nothing of what was proposed', async () => {
    const { body } = await shadow({ trigger: { types: ['agent.error'] } });
    expect(body.cycles.changed.count).toBe(0);
    expect(body.tasks.againstRecorded.counts).toMatchObject({ onlyBefore: 1, after: 0 });
    const off = await shadow({ strategies: [{ analyzer: 'endpoint-health', off: true }] });
    expect(off.body.tasks.againstPresent.counts).toMatchObject({ onlyBefore: 1, after: 0 });
  });

  test('shows the other risk it would give', async () => {
    const { body } = await shadow({ strategies: [{ analyzer: 'endpoint-health', risk: 'high' }] });
    expect(body.tasks.againstPresent.both).toMatchObject([{ risk: 'high' }]);
  });

  test('gives the same answer for the same window, also later, and writes nothing', async () => {
    const before = await counts();
    const first = await shadow({ slowEndpointMs: 1_000 });
    expect(await counts()).toEqual(before);
    await probed(probeId, 200);
    await probed(slowId, 503);
    const second = await shadow({ slowEndpointMs: 1_000 });
    expect(second.body).toEqual(first.body);
  });

  test('begins with what the log knew of probes before the window', async () => {
    const from = await clock();
    await appendEvents(database.log, [
      {
        ...{ type: 'squad.task.failed', source: { type: 'squad', id: 'tsk_x' }, severity: 'critical' },
        ...{ payload: {}, metadata: {} },
      },
    ]);
    const to = await clock();
    const { body } = await shadow({}, { from, to });
    expect(keysIn(body.tasks.againstPresent.both)).toContain(`repair.api.endpoint|probe:${slowId}`);
  });

  test.each([
    [{ to: '2999-01-01T00:00:00.000Z' }, 400],
    [{ from: '2998-01-01T00:00:00.000Z', to: '2999-01-01T00:00:00.000Z' }, 400],
    [{ rule: { tresholds: 1 } }, 400],
    [{ rule: { weakPointFrom: 'awful' } }, 400],
    [{ kind: 'wormhole' }, 400],
  ])('asked with %j is refused', async (more, status) => {
    expect((await ask({}, more)).status).toBe(status);
  });

  test('over a window that an open transaction may still add to is refused', async () => {
    const session = await database.log.reserve();
    await session.unsafe('begin');
    await session`select pg_current_xact_id()`;
    const to = await clock();
    const { status, body } = await ask({}, { to });
    await session.unsafe('rollback');
    session.release();
    expect([status, body.code]).toEqual([409, 'CONFLICT']);
  });
});

describe('a changed wormhole', () => {
  const match = { types: ['api.endpoint.*'], minSeverity: 'info', excludeSourceTypes: [] };
  const draft = {
    name: 'shadowed',
    match,
    action: {
      kind: 'create-task',
      task: {
        ...{ type: 'wormhole.suggested', title: 'Look at {source.id}', target: 'probe:{source.id}' },
        targetRole: 'DeployKeeper',
      },
    },
  };
  const shadow = (body: object) =>
    api.call('POST', '/v1/replays/shadow', {
      as: keys.operator,
      body: { kind: 'wormhole', ...window, ...body },
    });

  async function run(given: object): Promise<Untyped> {
    await eventually(() => isClosed(database.log, window)).toBe(true);
    const { status, body } = await shadow(given);
    expect(body).not.toHaveProperty('detail');
    expect(status).toBe(200);
    return body;
  }

  test('is compared with nothing where none is stored', async () => {
    const { outcomes, events, notReplayable } = await run({ draft });
    expect(events).toBeGreaterThan(0);
    expect(outcomes.counts).toMatchObject({ before: 0, both: 0 });
    expect(outcomes.onlyAfter.map(({ kind }: Untyped) => kind)).toContain('task');
    expect(notReplayable.length).toBeGreaterThan(0);
  });

  test('is compared with the stored one over the same events, and nothing is written', async () => {
    const made = await api.call('POST', '/v1/wormholes', { as: keys.admin, body: draft });
    expect(made.status).toBe(201);
    const { id } = made.body.wormhole;
    const [before] = await database.root`select count(*)::int as n from tasks`;
    const same = await run({ wormholeId: id, draft });
    expect(same.outcomes.counts).toMatchObject({ onlyBefore: 0, onlyAfter: 0 });
    expect(same.outcomes.counts.both).toBeGreaterThan(0);
    const quiet = { ...draft, match: { ...match, types: ['nothing.of.it'] } };
    const changed = await run({ wormholeId: id, draft: quiet });
    expect(changed.outcomes.counts).toMatchObject({
      after: 0,
      both: 0,
      onlyBefore: same.outcomes.counts.both,
    });
    expect(await run({ wormholeId: id, draft: quiet })).toEqual(changed);
    expect(await database.root`select count(*)::int as n from tasks`).toEqual([before]);
  });

  test('is refused where it cannot be read, and where the stored one is unknown', async () => {
    const broken = { ...draft, match: { ...match, filter: 'payload.total >' } };
    expect(await shadow({ draft: broken })).toMatchObject({ status: 400 });
    expect(await shadow({ wormholeId: 'wrm_unknown' })).toMatchObject({ status: 404 });
    expect(await shadow({})).toMatchObject({ status: 400 });
  });
});
