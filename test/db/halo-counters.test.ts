import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { destination, pino } from 'pino';
import { createHaloCounts } from '../../api/halo-counts.ts';
import { countForHalo, listHaloCounters, listUntoldCounters, settleCounter } from '../../db/halo-counters.ts';
import { aKey, createTestApi, fakeTemporal } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let people: People;
const log = pino({ level: 'silent' }, destination(2));

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});
beforeEach(async () => {
  await database.root`truncate halo_counters`;
});

const counterNow = async (name: 'requests' | 'errors') =>
  (await listHaloCounters(database.db)).find((row) => row.name === name);

function aCount(temporal = fakeTemporal(), thresholds = { requests: 10, errors: 3 }) {
  return { temporal, counts: createHaloCounts({ database, temporal, thresholds, log, everyMs: 3_600_000 }) };
}

describe('counters that trigger HALO', () => {
  test('however many processes count at once, each threshold triggers one cycle', async () => {
    const add = { name: 'requests', add: 5, threshold: 20 } as const;
    const said = await Promise.all(Array.from({ length: 16 }, () => countForHalo(database.db, add)));
    expect(said.filter((reached) => reached !== null).map(({ reached }) => reached)).toHaveLength(4);
    expect(await counterNow('requests')).toMatchObject({ count: 0, reached: 4, told: 0 });
  });

  test('a first batch above the threshold triggers too', async () => {
    const reached = await countForHalo(database.db, { name: 'errors', add: 30, threshold: 25 });
    expect(reached).toEqual({ name: 'errors', reached: 1 });
    expect(await counterNow('errors')).toMatchObject({ count: 0, reached: 1 });
  });

  test('what was told is not told again, what was reached meanwhile is', async () => {
    const reach = () => countForHalo(database.db, { name: 'errors', add: 3, threshold: 3 });
    const first = await reach();
    await reach();
    if (first !== null) await settleCounter(database.db, first);
    expect(await listUntoldCounters(database.db, -60_000)).toEqual([{ name: 'errors', reached: 2 }]);
    await settleCounter(database.db, { name: 'errors', reached: 2 });
    expect(await listUntoldCounters(database.db, -60_000)).toEqual([]);
  });

  test('a young one is left to the process that reached it', async () => {
    await countForHalo(database.db, { name: 'errors', add: 3, threshold: 3 });
    expect(await listUntoldCounters(database.db, 3_600_000)).toEqual([]);
  });
});

describe('what the API counts', () => {
  test('the loop is triggered once the threshold is reached, light by requests and full by errors', async () => {
    const { temporal, counts } = aCount();
    for (let sent = 0; sent < 9; sent += 1) counts.add('requests');
    await counts.flush();
    expect(temporal.triggers).toEqual([]);
    counts.add('requests');
    counts.add('errors', 4);
    await counts.flush();
    expect(temporal.triggers.map(({ name, mode }) => [name, mode]).sort()).toEqual([
      ['errors', 'full'],
      ['requests', 'light'],
    ]);
    expect(await counterNow('requests')).toMatchObject({ reached: 1, told: 1 });
  });

  test('a trigger that was lost on its way stays on record for the relay', async () => {
    const { temporal, counts } = aCount();
    temporal.down = true;
    counts.add('errors', 3);
    await counts.flush();
    expect(temporal.triggers).toEqual([]);
    expect(await listUntoldCounters(database.db, -60_000)).toEqual([{ name: 'errors', reached: 1 }]);
  });

  test('a threshold of 0 counts nothing', async () => {
    const { counts } = aCount(fakeTemporal(), { requests: 0, errors: 0 });
    counts.add('requests');
    counts.add('errors');
    await counts.flush();
    expect(await listHaloCounters(database.db)).toEqual([]);
  });

  test('requests that were let in and errors count; strangers, health, and calls about HALO do not', async () => {
    const seen: Record<string, number> = { requests: 0, errors: 0 };
    const haloCounts = {
      add: (name: string, count = 1) => void (seen[name] = (seen[name] ?? 0) + count),
      flush: () => Promise.resolve(),
    };
    const { call } = createTestApi(database, { haloCounts });
    const { key } = await aKey(database, people.operator);
    await call('GET', '/healthz');
    await call('GET', '/v1/halo', { as: key });
    await call('GET', '/v1/halo/cycles', { as: key });
    await call('GET', '/v1/tasks', { as: 'dn_live_nobody' });
    expect(seen).toEqual({ requests: 0, errors: 0 });
    await call('GET', '/v1/tasks', { as: key });
    expect(seen).toEqual({ requests: 1, errors: 0 });
    const body = { type: 'shop.failed', source: { type: 'api', id: 'shop' }, severity: 'error', payload: {} };
    const posted = await call('POST', '/v1/events', { as: key, body });
    expect(posted.status, JSON.stringify(posted.body)).toBe(202);
    expect(seen).toEqual({ requests: 2, errors: 1 });
    await call('POST', '/v1/events', { as: key, body: { ...body, severity: 'info' } });
    expect(seen).toEqual({ requests: 3, errors: 1 });
  });
});

describe('where the loop stands', () => {
  test('names what waits, for what, and what would trigger the next cycle', async () => {
    const now = Date.UTC(2026, 10, 27);
    const { call, temporal } = createTestApi(database, { now: () => now });
    const { key } = await aKey(database, people.operator);
    await countForHalo(database.db, { name: 'requests', add: 7, threshold: 150 });
    temporal.haloState = () =>
      Promise.resolve({
        ...{ paused: false, runningCycleId: null, cycles: 3, lastEndedMs: now - 10_000 },
        startsMs: Array.from({ length: 3 }, () => now - 60_000),
        askedMs: { time: now - 5_000 },
        pending: {
          ...{ cycleId: 'cyc_7', sinceMs: now - 5_000, urgent: true, manual: false, mode: 'full' as const },
          ...{ requestedBy: null, triggers: { manual: 0, event: 2, time: 1 }, eventIds: [] },
        },
      });
    const { body } = await call('GET', '/v1/halo', { as: key });
    expect(body).toMatchObject({
      pending: {
        triggers: { event: 2, time: 1 },
        because: 'cooldown',
        startsAt: new Date(now + 50_000).toISOString(),
      },
      budgetLeft: 17,
      lastTickAt: new Date(now - 5_000).toISOString(),
      counters: [
        { name: 'requests', count: 7, threshold: 150 },
        { name: 'errors', count: 0, threshold: 25 },
      ],
    });
  });
});
