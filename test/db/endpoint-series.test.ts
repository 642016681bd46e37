import { beforeAll, expect, test } from 'vitest';
import { defaultSeries, endpointSnapshots } from '../../db/endpoint-series.ts';
import { newId } from '../../db/ids.ts';
import { createProbe } from '../../db/probes.ts';
import { analyzeEndpointLook } from '../../domain/analyzers/endpoint-health.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});

async function aProbe(): Promise<string> {
  const id = newId('prb');
  await createProbe(database.db, {
    ...{ id, name: id, method: 'GET', url: 'http://shop/', headers: {}, body: null, owner: people.admin },
    ...{ assertions: { statusFrom: 200, statusTo: 299 }, timeoutMs: 1000, intervalSeconds: null },
    ...{ allowPrivateNetwork: false, opKey: newId('op') },
  });
  return id;
}

type Results = { many: number; ok: boolean; endMinutesAgo?: number; everySeconds?: number; payload?: object };

/** Results in the log, the newest so long ago, and the probe's row as they left it. */
async function results(
  id: string,
  { many, ok, endMinutesAgo = 0, everySeconds = 60, payload = {} }: Results,
) {
  const seen = { probeId: id, status: ok ? 200 : 503, latencyMs: 100, failures: ok ? [] : ['status 503'] };
  await database.root`
    insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at, recorded_at)
    select 'evt_' || ${id} || '_' || ${endMinutesAgo}::int || '_' || lpad(n::text, 6, '0'),
           ${ok ? 'api.endpoint.success' : 'api.endpoint.failed'}, 'api', 'api', ${id},
           ${ok ? 'info' : 'critical'}, 'normal', ${JSON.stringify({ ...seen, ...payload })}::text::jsonb, '{}'::jsonb, at, at
    from (select n, date_trunc('minute', now()) + interval '1 second' - make_interval(mins => ${endMinutesAgo}::int,
                   secs => n * ${everySeconds}::float8) as at
          from generate_series(0, ${many - 1}::int) as n) as times`;
  await database.root`
    update probes set consecutive_failures = ${ok ? 0 : many}, state = ${ok ? 'ok' : 'failed'}, updated_at = now(),
      last_result = ${JSON.stringify({ ...seen, ok, at: new Date().toISOString() })}::text::jsonb where id = ${id}`;
}

async function lookAt(id: string, options = defaultSeries) {
  const { endpoints } = await endpointSnapshots(database.db, options);
  const endpoint = endpoints.find(({ probeId }) => probeId === id);
  if (endpoint === undefined) throw new Error('the endpoint was not looked at');
  return { ...endpoint, series: endpoint.series ?? [] };
}

const issuesOf = async (id: string) =>
  analyzeEndpointLook(await endpointSnapshots(database.db)).filter(({ entityId }) => entityId === id);

test('results of one minute are one point with their mean latency, oldest first', async () => {
  const id = await aProbe();
  await results(id, { many: 2, ok: true, endMinutesAgo: 10, payload: { latencyMs: 50 } });
  await results(id, { many: 3, ok: true, endMinutesAgo: 5, everySeconds: 0, payload: { latencyMs: 90 } });
  await results(id, { many: 1, ok: false, endMinutesAgo: 5 });
  const { series } = await lookAt(id);
  expect(series.map(({ atMs: _atMs, ...point }) => point)).toEqual([
    { results: 1, failures: 0, latencyMs: 50 },
    { results: 1, failures: 0, latencyMs: 50 },
    { results: 4, failures: 1, latencyMs: 90 },
  ]);
  expect(series.map(({ atMs }) => atMs)).toEqual(series.map(({ atMs }) => atMs).sort((a, b) => a - b));
});

test('an outage after a good history is critical after its third failure, with its newest events', async () => {
  const id = await aProbe();
  await results(id, { many: 100, ok: true, endMinutesAgo: 3 });
  await results(id, { many: 1, ok: false, endMinutesAgo: 2 });
  expect(await issuesOf(id)).toMatchObject([{ severity: 'low' }]);
  await results(id, { many: 3, ok: false });
  expect(await issuesOf(id)).toMatchObject([
    {
      severity: 'critical',
      evidence: [0, 1, 2].map((n) => `evt_${id}_0_00000${n}`).concat(`evt_${id}_2_000000`),
      observed: { failures: 4, failuresInARow: 3 },
    },
  ]);
});

test('a storm of a thousand failures leaves one issue with five events', async () => {
  const id = await aProbe();
  await results(id, { many: 200, ok: true, endMinutesAgo: 60 });
  await results(id, { many: 1_000, ok: false, everySeconds: 1 });
  const issues = await issuesOf(id);
  expect(issues).toHaveLength(1);
  expect(issues[0]?.evidence).toHaveLength(5);
  const { series } = await lookAt(id);
  expect(series.reduce((total, { results: seen }) => total + seen, 0)).toBe(defaultSeries.most);
});

test('results from before a repair of the target are not counted against it', async () => {
  const id = await aProbe();
  await results(id, { many: 40, ok: false, endMinutesAgo: 1 });
  const task = await aTask(database, people, { target: `probe:${id}` });
  const end = (state: string) =>
    database.root`update tasks set state = ${state}, ended_at = now() where id = ${task.id}`;
  await end('failed');
  expect(await issuesOf(id)).toMatchObject([{ severity: 'critical' }]);
  await end('success');
  expect(await issuesOf(id)).toEqual([]);
  expect((await lookAt(id)).series).toEqual([]);
  await database.root`update tasks set ended_at = now() - interval '30 seconds' where id = ${task.id}`;
  await results(id, { many: 3, ok: true, everySeconds: 0 });
  await database.root`update events set recorded_at = now() where source_id = ${id} and type = 'api.endpoint.success'`;
  expect(await issuesOf(id)).toEqual([]);
  expect((await lookAt(id)).series).toMatchObject([{ results: 3, failures: 0 }]);
});

test('results that are older than the window, or only look like those of the probe, do not count', async () => {
  const id = await aProbe();
  await results(id, { many: 3, ok: false, endMinutesAgo: 8 * 24 * 60 });
  await results(id, { many: 5, ok: false, endMinutesAgo: 2, payload: { probeId: 'somebody' } });
  await results(id, { many: 2, ok: true });
  expect(await lookAt(id)).toMatchObject({ evidence: [], series: [{ failures: 0 }, { failures: 0 }] });
});

test.each(['fast', null, -5, true, { ms: 3 }])('a latency of %j does not end the look', async (latencyMs) => {
  const id = await aProbe();
  await results(id, { many: 2, ok: true, payload: { latencyMs } });
  expect((await lookAt(id)).series).toHaveLength(2);
});

test('nor does one that no number type can hold', async () => {
  const id = await aProbe();
  await results(id, { many: 1, ok: true });
  await database.root`
    update events set payload = payload || '{"latencyMs": 1e400}'::jsonb where source_id = ${id} and type = 'api.endpoint.success'`;
  expect((await lookAt(id)).series).toMatchObject([{ latencyMs: 3_600_000 }]);
});

test('with more endpoints than can be looked at closely the worst ones are, and the others are counted', async () => {
  const [bad, fine] = [await aProbe(), await aProbe()];
  await results(fine, { many: 30, ok: true, endMinutesAgo: 5 });
  await results(bad, { many: 30, ok: true, endMinutesAgo: 50 });
  await results(bad, { many: 20_000, ok: false, everySeconds: 0 });
  const look = await endpointSnapshots(database.db, { days: 7, results: 40, most: 500, fewest: 40 });
  const series = (id: string) => look.endpoints.find(({ probeId }) => probeId === id)?.series ?? [];
  expect(look.withoutSeries).toBe(look.endpoints.length - 1);
  expect(series(bad).reduce((total, { results: seen }) => total + seen, 0)).toBe(40);
  expect(series(fine)).toEqual([]);
});
