import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let keys: Record<keyof People, string>;
let api: TestApi;

type Row = {
  id: string;
  type: string;
  at: string;
  occurredMsBefore?: number;
  severity?: string;
  source?: string;
  thread?: string;
  cause?: string;
};

/** Rows with times of their own, which only the test may give them. */
async function record(rows: Row[]): Promise<void> {
  for (const row of rows)
    await database.root`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata,
                          correlation_id, causation_id, recorded_at, occurred_at)
      values (${row.id}, ${row.type}, 'stats', 'api', ${row.source ?? 'shop'}, ${row.severity ?? 'info'}, 'normal',
              '{}', '{}', ${row.thread ?? null}, ${row.cause ?? null}, ${row.at}::timestamptz,
              ${row.at}::timestamptz - make_interval(secs => ${(row.occurredMsBefore ?? 0) / 1000}))`;
}

beforeAll(async () => {
  database = await openTestDatabase();
  keys = await keysOf(database, await createPeople(database));
  await record([
    { id: 's1', type: 'order.made', at: '2026-03-01T10:00:00Z', thread: 't1', occurredMsBefore: 10 },
    {
      id: 's2',
      type: 'order.paid',
      at: '2026-03-01T10:00:10Z',
      thread: 't1',
      cause: 's1',
      occurredMsBefore: 20,
    },
    {
      id: 's3',
      type: 'order.sent',
      at: '2026-03-01T10:01:30Z',
      thread: 't1',
      cause: 's2',
      occurredMsBefore: 30,
    },
    { id: 's4', type: 'order.made', at: '2026-03-01T10:01:00Z', thread: 't2', severity: 'error' },
    {
      id: 's5',
      type: 'order.paid',
      at: '2026-03-01T10:01:05Z',
      thread: 't2',
      cause: 's4',
      severity: 'critical',
    },
    { id: 's6', type: 'alone', at: '2026-03-01T10:02:59.999Z', source: 'bell', occurredMsBefore: -5 },
    { id: 's7', type: 'order.paid', at: '2026-03-01T10:01:06Z', thread: 't2', cause: 'before-all' },
    { id: 'before', type: 'order.made', at: '2026-03-01T09:59:59.999Z', thread: 't1' },
    { id: 'behind', type: 'order.made', at: '2026-03-01T10:03:00Z', thread: 't1' },
  ]);
});
beforeEach(() => {
  api = createTestApi(database);
});

const stretch = 'from=2026-03-01T10:00:00Z&to=2026-03-01T10:03:00Z';
const stats = async (query: string, where = api) =>
  where.call('GET', `/v1/events/stats?${query}`, { as: keys.viewer });

describe('the statistics of events', () => {
  test('count exactly what was recorded between two times', async () => {
    const { status, body } = await stats(`${stretch}&bucket=60`);
    expect(status).toBe(200);
    expect(body).toEqual({
      from: '2026-03-01T10:00:00.000Z',
      to: '2026-03-01T10:03:00.000Z',
      bucketSeconds: 60,
      events: 7,
      errors: 2,
      errorShare: 0.2857,
      withoutThread: 1,
      bySeverity: { info: 5, error: 1, critical: 1 },
      types: [
        { type: 'order.paid', events: 3, errors: 1, errorShare: 0.3333, perMinute: 1 },
        { type: 'order.made', events: 2, errors: 1, errorShare: 0.5, perMinute: 0.667 },
        { type: 'alone', events: 1, errors: 0, errorShare: 0, perMinute: 0.333 },
        { type: 'order.sent', events: 1, errors: 0, errorShare: 0, perMinute: 0.333 },
      ],
      buckets: [
        {
          ...{ at: '2026-03-01T10:00:00Z', events: 2, errors: 0, errorShare: 0 },
          types: { 'order.made': 1, 'order.paid': 1 },
        },
        {
          ...{ at: '2026-03-01T10:01:00Z', events: 4, errors: 2, errorShare: 0.5 },
          types: { 'order.made': 1, 'order.paid': 2, 'order.sent': 1 },
        },
        { at: '2026-03-01T10:02:00Z', events: 1, errors: 0, errorShare: 0, types: { alone: 1 } },
      ],
      sources: [
        { type: 'api', id: 'shop', events: 6, errors: 2, errorShare: 0.3333 },
        { type: 'api', id: 'bell', events: 1, errors: 0, errorShare: 0 },
      ],
      chains: [
        { cause: 'order.made', effect: 'order.paid', events: 2 },
        { cause: 'order.paid', effect: 'order.sent', events: 1 },
      ],
      recordingLagMs: { p50: 0, p90: 30, p99: 30, max: 30 },
      threads: 2,
      threadDurationMs: { p50: 6000, p90: 90_000, p99: 90_000, max: 90_000 },
      chainDepth: { p50: 2, p90: 3, p99: 3, max: 3 },
    });
    expect((await stats(`${stretch}&bucket=60`)).body).toEqual(body);
  });

  test('of a time without events are zero, with nothing to measure', async () => {
    const { body } = await stats('from=2026-02-01T00:00:00Z&to=2026-02-02T00:00:00Z');
    expect(body).toMatchObject({
      ...{ events: 0, errors: 0, errorShare: 0, types: [], buckets: [], sources: [], chains: [], threads: 0 },
      ...{ recordingLagMs: null, threadDurationMs: null, chainDepth: null, bySeverity: {} },
    });
  });

  test('name twenty types; the buckets count the others as one', async () => {
    const names = Array.from({ length: 25 }, (_, at) => `kind-${String(at).padStart(2, '0')}`);
    await record(
      names.map((name, at) => ({ id: `many-${name}`, type: name, at: `2026-03-02T10:00:${10 + at}Z` })),
    );
    const { body } = await stats('from=2026-03-02T10:00:00Z&to=2026-03-02T10:01:00Z&bucket=60');
    expect(body.types.map(({ type }: { type: string }) => type)).toEqual(names.slice(0, 20));
    expect(body.buckets[0].types['*']).toBe(5);
    const all: number[] = Object.values(body.buckets[0].types);
    expect(all.reduce((sum, each) => sum + each, 0)).toBe(25);
  });

  test('are about the last day unless another time is asked for, in sixty buckets', async () => {
    const { body } = await stats('');
    expect(Date.parse(body.to) - Date.parse(body.from)).toBe(86_400_000);
    expect(body.bucketSeconds).toBe(1440);
  });

  test('of causes that go in a circle come to an end', async () => {
    const at = '2026-03-03T10:00:00Z';
    await record([
      { id: 'c1', type: 'a', at, thread: 'circle', cause: 'c3' },
      { id: 'c2', type: 'b', at, thread: 'circle', cause: 'c1' },
      { id: 'c3', type: 'c', at, thread: 'circle', cause: 'c2' },
      { id: 'c4', type: 'd', at, thread: 'itself', cause: 'c4' },
    ]);
    const { body } = await stats('from=2026-03-03T00:00:00Z&to=2026-03-04T00:00:00Z');
    expect(body).toMatchObject({ events: 4, threads: 2 });
    expect(body.chains).toHaveLength(4);
  });

  test.each([
    ['from=2026-01-01T00:00:00Z&to=2026-02-15T00:00:00Z', '31 days'],
    ['from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'before'],
    [`${stretch}&bucket=0`, 'bucket'],
    ['from=2026-01-01T00:00:00Z&to=2026-01-31T00:00:00Z&bucket=60', '5184 s or more'],
    ['from=yesterday', 'from'],
  ])('refuse %s', async (query, word) => {
    const { status, body } = await stats(query);
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'INVALID' });
    expect(body.detail).toContain(word);
  });

  test('that Postgres breaks off say so, and what to ask for instead', async () => {
    const session = await database.root.reserve();
    await session`set statement_timeout = 50`;
    const db = new Proxy(database.db, {
      get: (target, name, receiver) =>
        name === 'execute'
          ? () => session`select pg_sleep(20)`
          : (Reflect.get(target, name, receiver) as unknown),
    });
    const { status, body } = await stats(stretch, createTestApi({ ...database, db }));
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'UNAVAILABLE' });
    expect(body.detail).toContain('less time');
    await session`reset statement_timeout`;
    session.release();
  });

  test('are for those who may read events', async () => {
    expect((await api.call('GET', '/v1/events/stats')).status).toBe(401);
    expect((await api.call('GET', '/v1/events/stats', { as: keys.agent })).status).toBe(403);
  });
});
