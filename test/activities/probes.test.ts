import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProbeActivities, type ProbeActivities } from '../../activities/probes.ts';
import { getEvent } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { createProbe, getProbe, type NewProbe, setProbeEnabled } from '../../db/probes.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anEnvironment } from './calls.ts';

let database: TestDatabase;
let people: People;
let server: Server;
let url: string;
let hits = 0;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  server = createServer((request, response) => {
    hits += 1;
    if (request.url === '/silent') return;
    const status = Number(request.url?.slice(1));
    const seen = `${request.method} ${String(request.headers['x-token'])} ${String(request.headers['user-agent'])}`;
    response.writeHead(status === 302 ? 302 : status, { location: '/200' }).end(seen);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

async function aProbe(path: string, given: Partial<NewProbe> = {}): Promise<string> {
  const id = newId('prb');
  await createProbe(database.db, {
    id,
    name: id,
    method: 'GET',
    url: `${url}${path}`,
    headers: { 'x-token': 'tok' },
    body: null,
    assertions: { statusFrom: 200, statusTo: 299 },
    timeoutMs: 5_000,
    intervalSeconds: null,
    allowPrivateNetwork: true,
    owner: people.admin,
    opKey: newId('op'),
    ...given,
  });
  return id;
}

type Ran = Awaited<ReturnType<ProbeActivities['runProbe']>>;

const run = (probeId: string, opKey = newId('op')): Promise<Ran> =>
  anEnvironment().run(createProbeActivities({ database }).runProbe, { probeId, opKey });

async function runAndSee(probeId: string, opKey?: string) {
  const result = await run(probeId, opKey);
  if (isRefusal(result)) throw new Error(result.message);
  return {
    result,
    event: await getEvent(database.db, result.eventId),
    probe: await getProbe(database.db, probeId),
  };
}

describe('a probe', () => {
  test('that is answered as it should be passes, and says so on the bus', async () => {
    const { result, event, probe } = await runAndSee(
      await aProbe('/200', {
        assertions: { statusFrom: 200, statusTo: 299, bodyIncludes: 'GET tok dreamnet' },
      }),
    );
    expect(result).toMatchObject({ ok: true, failures: [] });
    expect(event).toMatchObject({ type: 'api.endpoint.success', severity: 'info' });
    expect(probe).toMatchObject({ state: 'ok', lastResult: { status: 200, ok: true } });
  });

  test.each<[string, string, Partial<NewProbe>, string, RegExp]>([
    ['a fault', '/503', {}, 'critical', /status 503/],
    ['a wrong status', '/404', {}, 'error', /status 404/],
    ['a redirect, which is not followed', '/302', {}, 'error', /status 302/],
    [
      'a wrong body',
      '/200',
      { assertions: { statusFrom: 200, statusTo: 299, bodyIncludes: 'absent' } },
      'error',
      /does not include "absent"/,
    ],
    ['no answer in time', '/silent', { timeoutMs: 100 }, 'critical', /no answer: timed out/],
    [
      'a private address nobody allowed',
      '/200',
      { allowPrivateNetwork: false },
      'critical',
      /no answer: .*not a public address/,
    ],
    ['a name nobody has', '', { url: 'http://nobody.invalid/' }, 'critical', /no answer: .+/],
  ])('that meets %s fails, with its evidence', async (_what, path, given, severity, reason) => {
    const { result, event, probe } = await runAndSee(await aProbe(path, given));
    expect(result).toMatchObject({ ok: false, failures: [expect.stringMatching(reason)] });
    expect(event).toMatchObject({
      type: 'api.endpoint.failed',
      severity,
      payload: { failures: result.failures },
    });
    expect(probe).toMatchObject({ state: 'failed', consecutiveFailures: 1 });
  });

  test('at a private address nobody allowed sends nothing', async () => {
    const before = hits;
    await run(await aProbe('/200', { allowPrivateNetwork: false }));
    expect(hits).toBe(before);
  });

  test('run again as the same check is counted once and answers the same', async () => {
    const id = await aProbe('/503');
    const opKey = newId('op');
    const first = await runAndSee(id, opKey);
    await database.root`update probes set url = ${`${url}/200`} where id = ${id}`;
    const second = await runAndSee(id, opKey);
    expect(second.result).toEqual(first.result);
    expect(second.probe).toMatchObject({ consecutiveFailures: 1, state: 'failed' });
  });

  test('that is switched off or unknown is not run', async () => {
    const id = await aProbe('/200');
    await setProbeEnabled(database.db, { id, enabled: false, actor: people.admin, opKey: newId('op') });
    const before = hits;
    expect(await run(id)).toMatchObject({ refused: 'CONFLICT' });
    expect(await run('prb_none')).toMatchObject({ refused: 'NOT_FOUND' });
    expect(hits).toBe(before);
  });
});
