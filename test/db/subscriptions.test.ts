import { beforeAll, describe, expect, test } from 'vitest';
import { appendEvents, readAfter } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import {
  ensureSubscription,
  listLanes,
  listSubscriptions,
  moveCursor,
  takeLease,
} from '../../db/subscriptions.ts';
import type { EventMatch } from '../../domain/subscription.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});

const match: EventMatch = { types: ['a.*'], minSeverity: 'error', excludeSourceTypes: ['halo'] };

async function aSubscription(): Promise<string> {
  const key = newId('sub');
  await ensureSubscription(database.log, { key, handler: 'test', match });
  return key;
}

const stored = async (key: string) => {
  const row = (await listSubscriptions(database.db)).find((one) => one.key === key);
  return { ...row, ...(await listLanes(database.db, key))[0] };
};

const move = (key: string, epoch: number, seq: number, delivered = 1) =>
  moveCursor(database.log, { key, epoch, to: { tx: '1000', seq: String(seq) }, delivered });

describe('a subscription', () => {
  test('starts at the end of the log: what was before is not delivered, what comes is', async () => {
    const event = {
      type: 'a.b',
      source: { type: 'api' as const, id: 'x' },
      severity: 'info' as const,
      payload: {},
      metadata: {},
    };
    const [old] = await appendEvents(database.log, [event]);
    await eventually(async () =>
      (await readAfter(database.log, { tx: '0', seq: '0' }, 1000)).map((row) => row.id),
    ).toContain(old?.id);
    const key = await aSubscription();
    const [fresh] = await appendEvents(database.log, [event]);
    const lease = await takeLease(database.log, key);
    expect(lease).toMatchObject({ handler: 'test', match });
    await eventually(async () =>
      (await readAfter(database.log, lease?.cursor ?? { tx: '0', seq: '0' }, 10)).map((row) => row.id),
    ).toContain(fresh?.id);
    const rows = await readAfter(database.log, lease?.cursor ?? { tx: '0', seq: '0' }, 10);
    expect(rows.map((row) => row.id)).not.toContain(old?.id);
  });

  test('that exists keeps its cursor and its holder, and takes over a new match', async () => {
    const key = await aSubscription();
    const lease = await takeLease(database.log, key);
    await move(key, lease?.epoch ?? 0, 5);
    await ensureSubscription(database.log, {
      key,
      handler: 'test',
      match: { ...match, minSeverity: 'info' },
    });
    expect(await stored(key)).toMatchObject({
      cursorTx: '1000',
      cursorSeq: '5',
      leaseEpoch: lease?.epoch,
      match: { minSeverity: 'info' },
    });
    expect((await listSubscriptions(database.db)).map((row) => row.key)).toContain(key);
  });

  test('made sixteen times at once is one', async () => {
    const key = newId('sub');
    await Promise.all(
      Array.from({ length: 16 }, () => ensureSubscription(database.log, { key, handler: 'test', match })),
    );
    expect((await listSubscriptions(database.db)).filter((row) => row.key === key)).toHaveLength(1);
  });
});

describe('the lease', () => {
  test('whoever took it last moves the cursor; a consumer that was taken over cannot', async () => {
    const key = await aSubscription();
    const zombie = await takeLease(database.log, key);
    expect(await move(key, zombie?.epoch ?? 0, 1)).toBe(true);
    const holder = await takeLease(database.log, key);
    expect(holder).toMatchObject({ cursor: { tx: '1000', seq: '1' } });
    expect(await move(key, zombie?.epoch ?? 0, 99, 50)).toBe(false);
    expect(await move(key, holder?.epoch ?? 0, 2)).toBe(true);
    expect(await stored(key)).toMatchObject({ cursorSeq: '2', delivered: 2 });
  });

  test('of sixteen that take it at once exactly one can move the cursor', async () => {
    const key = await aSubscription();
    const leases = await Promise.all(Array.from({ length: 16 }, () => takeLease(database.log, key)));
    expect(new Set(leases.map((lease) => lease?.epoch)).size).toBe(16);
    const moved = await Promise.all(leases.map((lease, index) => move(key, lease?.epoch ?? 0, index)));
    expect(moved.filter(Boolean)).toHaveLength(1);
  });

  test('a subscription that is switched off has none, and its cursor stays', async () => {
    const key = await aSubscription();
    const lease = await takeLease(database.log, key);
    await database.root`update subscriptions set enabled = false where key = ${key}`;
    expect(await move(key, lease?.epoch ?? 0, 7)).toBe(false);
    expect(await takeLease(database.log, key)).toBeNull();
    expect(await takeLease(database.log, 'none')).toBeNull();
  });

  test('a batch without anything to deliver moves the cursor and not the time of delivery', async () => {
    const key = await aSubscription();
    const lease = await takeLease(database.log, key);
    await move(key, lease?.epoch ?? 0, 1, 0);
    expect(await stored(key)).toMatchObject({ delivered: 0, lastDeliveredAt: null });
    await move(key, lease?.epoch ?? 0, 2, 3);
    expect(await stored(key)).toMatchObject({
      delivered: 3,
      lastDeliveredAt: expect.any(Date),
    });
  });
});
