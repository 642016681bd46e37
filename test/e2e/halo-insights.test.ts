import { createServer } from 'node:http';
import { beforeAll, expect, test } from 'vitest';
import { atFileEnd } from '../support/file-end.ts';
import { startTestStack, type TestStack } from '../support/stack.ts';

/* What HALO learns, as its users have it: probes, the bus, memory, cycles of the real workflow, and the API. */

let stack: TestStack;
let url: string;

beforeAll(async () => {
  stack = await startTestStack({
    ...{ DREAMNET_HALO_INTERVAL_MS: '0', DREAMNET_HALO_REQUESTS: '0', DREAMNET_HALO_ERRORS: '100000' },
    // Cycles only when somebody asks: the failures themselves would wait out the window.
    ...{ DREAMNET_HALO_CYCLES_PER_HOUR: '50', DREAMNET_HALO_ERROR_WINDOW_MS: '3600000' },
  });
  // It answers, and refuses: a weak point that is high, and not yet critical.
  const server = createServer((_request, response) => response.writeHead(404).end());
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  atFileEnd(() => new Promise<void>((done) => server.close(() => done())));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  url = `http://127.0.0.1:${address.port}/`;
});

type Listed<T> = { items: T[] };
type Found = { id: string; severity: string };
type Cycle = { id: string; state: string; insightsUsed: string[]; weakPoints: Found[] };
type Insight = {
  id: string;
  pattern: string;
  severity: string;
  entities: string[];
  usedBy: { id: string }[];
};

async function read<T>(path: string): Promise<T> {
  const { status, body } = await stack.operator<T>('GET', path);
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
}

async function aProbe(name: string): Promise<string> {
  const body = { name, url, allowPrivateNetwork: true };
  const made = await stack.admin<{ id: string }>('POST', '/v1/probes', body);
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return made.body.id;
}

/** A cycle that somebody asks for, once it is over. */
async function aCycle(): Promise<Cycle> {
  const asked = await stack.operator<{ cycleId: string }>('POST', '/v1/halo/cycles', { mode: 'full' });
  expect(asked.status, JSON.stringify(asked.body)).toBe(202);
  const look = () => stack.operator<Cycle>('GET', `/v1/halo/cycles/${asked.body.cycleId}`);
  await expect
    .poll(async () => (await look()).body.state, { timeout: 90_000, interval: 200 })
    .toBe('completed');
  return (await look()).body;
}

test('what one cycle learns of two unreliable endpoints makes them graver in the next, which says so (trap D9)', async () => {
  const probes = [await aProbe('left'), await aProbe('right')];
  for (const probe of probes)
    for (let run = 0; run < 2; run += 1)
      expect((await stack.operator('POST', `/v1/probes/${probe}/run`, {})).status).toBe(200);
  // The bus brings the failures to memory: 0.5 less 0.1 each.
  for (const probe of probes)
    await expect
      .poll(
        async () =>
          (
            await stack.operator<{ record?: { traits: { reliability: number } } }>(
              'GET',
              `/v1/memory/endpoint:${probe}`,
            )
          ).body.record?.traits.reliability,
        { timeout: 60_000, interval: 200 },
      )
      .toBe(0.3);
  const severities = ({ weakPoints }: Cycle) =>
    probes.map((probe) => weakPoints.find(({ id }) => id.includes(probe))?.severity);

  const first = await aCycle();
  expect([severities(first), first.insightsUsed]).toEqual([['high', 'high'], []]);
  const { items } = await read<Listed<Insight>>('/v1/insights');
  expect(items).toMatchObject([{ pattern: 'endpoints-unreliable', severity: 'high', foundBy: first.id }]);
  expect([...(items[0]?.entities ?? [])].sort()).toEqual(probes.map((probe) => `endpoint:${probe}`).sort());

  const second = await aCycle();
  expect([severities(second), second.insightsUsed]).toEqual([['critical', 'critical'], [items[0]?.id]]);
  const insight = await read<Insight>(`/v1/insights/${items[0]?.id}`);
  expect(insight.usedBy.map(({ id }) => id)).toEqual([second.id]);
  expect(insight).toMatchObject({ foundBy: first.id, lastSeenBy: second.id, endedAt: null });
  // It was told once: the second cycle found nothing new.
  const told = await read<Listed<{ payload: { insightId: string } }>>('/v1/events?type=halo.insight.found');
  expect(told.items.map(({ payload }) => payload.insightId)).toEqual([insight.id]);
});
