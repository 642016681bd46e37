import { beforeAll, describe, expect, test } from 'vitest';
import { endpointSnapshots } from '../../db/endpoint-series.ts';
import { getEvent } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import {
  createProbe,
  getProbe,
  listProbes,
  type NewProbe,
  type ProbeRow,
  recordProbeResult,
  setProbeEnabled,
} from '../../db/probes.ts';
import { countRecords } from '../../db/status.ts';
import { judgeProbe, type ProbeObservation } from '../../domain/probe.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase(20);
  people = await createPeople(database);
});

async function aProbe(given: Partial<NewProbe> = {}): Promise<ProbeRow> {
  const id = newId('prb');
  await createProbe(database.db, {
    id,
    name: id,
    method: 'GET',
    url: 'http://shop/health',
    headers: {},
    body: null,
    assertions: { statusFrom: 200, statusTo: 299 },
    timeoutMs: 1000,
    intervalSeconds: null,
    allowPrivateNetwork: false,
    owner: people.admin,
    opKey: newId('op'),
    ...given,
  });
  const row = await getProbe(database.db, id);
  if (row === null) throw new Error('the probe is gone');
  return row;
}

const up: ProbeObservation = { status: 200, latencyMs: 12.7, body: '', error: null };
const down: ProbeObservation = { status: 503, latencyMs: 5, body: '', error: null };

const see = (probe: ProbeRow, observation: ProbeObservation, opKey = newId('op')) =>
  recordProbeResult(database.db, {
    probe,
    opKey,
    observation,
    judgement: judgeProbe(probe.assertions, observation),
  });

describe('results', () => {
  test('failures in a row are counted, a success begins anew', async () => {
    const probe = await aProbe();
    for (const [observation, state, failures] of [
      [down, 'failed', 1],
      [down, 'failed', 2],
      [up, 'ok', 0],
      [down, 'failed', 1],
    ] as const) {
      await see(probe, observation);
      expect(await getProbe(database.db, probe.id)).toMatchObject({ state, consecutiveFailures: failures });
    }
    expect(await getProbe(database.db, probe.id)).toMatchObject({
      lastResult: { ok: false, status: 503, latencyMs: 5, failures: ['status 503, expected 200 to 299'] },
    });
  });

  test.each([
    [up, 'api.endpoint.success', 'info', true],
    [down, 'api.endpoint.failed', 'critical', false],
  ] as const)('each is an event with its evidence', async (observation, type, severity, ok) => {
    const probe = await aProbe();
    const { eventId, ok: recorded } = await see(probe, observation);
    expect(recorded).toBe(ok);
    expect(await getEvent(database.db, eventId)).toMatchObject({
      type,
      severity,
      sourceType: 'api',
      sourceId: probe.id,
      payload: { probeId: probe.id, url: probe.url, status: observation.status },
    });
  });

  test('a repeated run of one check is counted once, also at once, and answers what was recorded first', async () => {
    const probe = await aProbe();
    const opKey = newId('op');
    const first = await see(probe, down, opKey);
    expect(await see(probe, up, opKey)).toEqual(first);
    const other = newId('op');
    const answers = await Promise.all(Array.from({ length: 8 }, () => see(probe, down, other)));
    expect(new Set(answers.map((answer) => answer.eventId)).size).toBe(1);
    expect(await getProbe(database.db, probe.id)).toMatchObject({ state: 'failed', consecutiveFailures: 2 });
    const rows =
      await database.root`select 1 as one from events where source_id = ${probe.id} and category = 'api' and type like 'api.endpoint%'`;
    expect(rows).toHaveLength(2);
  });

  test('of different checks at once are all counted', async () => {
    const probe = await aProbe();
    await Promise.all(Array.from({ length: 12 }, () => see(probe, down)));
    expect(await getProbe(database.db, probe.id)).toMatchObject({ consecutiveFailures: 12 });
  });
});

describe('what the analyzer sees', () => {
  const snapshotOf = async (id: string) =>
    (await endpointSnapshots(database.db)).endpoints.find((endpoint) => endpoint.probeId === id);

  test('a probe that never ran has no result and no evidence', async () => {
    const probe = await aProbe();
    expect(await snapshotOf(probe.id)).toMatchObject({ last: null, evidence: [], consecutiveFailures: 0 });
  });

  test('the newest five failures are the evidence', async () => {
    const probe = await aProbe();
    const ids: string[] = [];
    for (let index = 0; index < 7; index += 1) {
      const { eventId } = await see(probe, down);
      await database.root`update events set recorded_at = now() + make_interval(secs => ${index}) where id = ${eventId}`;
      ids.push(eventId);
    }
    await see(probe, up);
    expect(await snapshotOf(probe.id)).toMatchObject({
      owner: people.admin,
      last: { ok: true },
      evidence: ids.slice(2).reverse(),
    });
  });

  test('a probe that is switched off is not looked at', async () => {
    const probe = await aProbe();
    const set = (enabled: boolean) =>
      setProbeEnabled(database.db, { id: probe.id, enabled, actor: people.admin, opKey: newId('op') });
    expect(await set(false)).toMatchObject({ status: 'changed' });
    expect(await set(false)).toEqual({ status: 'unchanged' });
    expect(await snapshotOf(probe.id)).toBeUndefined();
    expect(await set(true)).toMatchObject({ status: 'changed' });
    expect(await snapshotOf(probe.id)).toBeDefined();
  });
});

describe('the record', () => {
  test('a name is taken once', async () => {
    const probe = await aProbe();
    await expect(aProbe({ name: probe.name })).rejects.toThrow('gone');
  });

  test('pages of probes show each once', async () => {
    const seen: string[] = [];
    for (let after = ''; ;) {
      const page = await listProbes(database.db, after, 3);
      const last = page.at(-1);
      if (last === undefined) break;
      seen.push(...page.map((row) => row.id));
      after = last.id;
    }
    expect(seen).toEqual([...new Set(seen)].sort());
  });

  test('one look counts what there is', async () => {
    const counts = await countRecords(database.db);
    expect(counts.probes.unknown).toBeGreaterThanOrEqual(1);
    expect(counts).toMatchObject({ openApprovals: 0, agents: {}, lastCycle: null });
  });
});
