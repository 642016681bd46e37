import { OpenAPIHono } from '@hono/zod-openapi';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ApiEnv } from '../../api/context.ts';
import { addShadowRoute } from '../../api/routes/shadow.ts';
import { shadowWormhole, type WormholeShadow } from '../../api/shadow-wormhole.ts';
import { appendEvents } from '../../db/events.ts';
import { endOfLog } from '../../db/event-tail.ts';
import { newId } from '../../db/ids.ts';
import { isClosed } from '../../db/replay-log.ts';
import { createProbe, getProbe, recordProbeResult } from '../../db/probes.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import { refuse } from '../../domain/refusal.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
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

const clock = async (): Promise<string> => {
  const [row] = await database.root<{ now: Date }[]>`select now() as now`;
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
  type Rule = { per: 'event' | 'source' };
  /** Says one thing for each event, or for each source once the window is over. */
  const wormholes: WormholeShadow<Rule> = {
    stored: (id) => Promise.resolve(id === 'wrm_1' ? { per: 'source' } : null),
    read: (draft) => (draft.per === 'event' ? { per: 'event' } : refuse('INVALID', 'draft.per: event')),
    notReplayable: ['nothing'],
    simulateWormhole(rules) {
      const sources = new Set<string>();
      const outcome = (key: string, eventIds: string[] = []) => ({
        key,
        kind: 'log' as const,
        title: key,
        eventIds,
      });
      return {
        take(events: LoggedEvent[]) {
          for (const { sourceId } of events) sources.add(sourceId);
          return rules.some(({ per }) => per === 'event') ? events.map(({ id }) => outcome(id, [id])) : [];
        },
        end: () =>
          rules.some(({ per }) => per === 'source')
            ? [...sources].sort().map((source) => outcome(source))
            : [],
      };
    },
  };
  async function run(given: { wormholeId: string | null; draft: { per: string } | null }) {
    await eventually(() => isClosed(database.log, window)).toBe(true);
    return shadowWormhole(api.deps, wormholes, {
      ...{ window, untilTx: (await endOfLog(database.log)).tx, selection: { type: 'api.endpoint.*' } },
      ...given,
    });
  }

  test('is compared with the stored one, over the events of the window', async () => {
    const { outcomes, events } = await run({ wormholeId: 'wrm_1', draft: { per: 'event' } });
    expect(events).toBe(2);
    expect(keysIn(outcomes.onlyBefore)).toEqual([probeId, slowId].sort());
    expect(outcomes.counts).toEqual({ before: 2, after: 2, onlyBefore: 2, onlyAfter: 2, both: 0 });
  });

  test('is compared with nothing where none is stored', async () => {
    const { outcomes } = await run({ wormholeId: null, draft: { per: 'event' } });
    expect(outcomes.counts).toMatchObject({ before: 0, onlyAfter: 2 });
  });

  test('is refused where it cannot be read, and where the stored one is unknown', async () => {
    await expect(run({ wormholeId: null, draft: { per: 'day' } })).rejects.toMatchObject({ code: 'INVALID' });
    await expect(run({ wormholeId: 'wrm_2', draft: null })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('has its place in the document once wormholes are there', () => {
    const app = new OpenAPIHono<ApiEnv>();
    addShadowRoute(app, api.deps, wormholes);
    const document = JSON.stringify(
      app.getOpenAPI31Document({ openapi: '3.1.0', info: { title: '', version: '' } }),
    );
    expect(document).toContain('"wormholeId"');
  });
});
