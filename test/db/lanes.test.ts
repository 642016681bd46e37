import { beforeAll, describe, expect, test } from 'vitest';
import { commitBatch } from '../../db/batches.ts';
import { appendEvents, readAfter } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { readLane } from '../../db/lane-reader.ts';
import { claimShares, joinShares, leaveShares } from '../../db/lane-shares.ts';
import { type HeldLane, prepareLanes, takeLanes } from '../../db/lanes.ts';
import { ensureSubscription, listLanes, listSubscriptions } from '../../db/subscriptions.ts';
import type { EventMatch } from '../../domain/subscription.ts';
import { aSubscription } from '../support/consumers.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});

const match: EventMatch = { types: ['a.*'], minSeverity: 'error', excludeSourceTypes: ['halo'] };

async function aBuiltIn(): Promise<string> {
  const key = newId('sub');
  await ensureSubscription(database.log, { key, handler: 'test', match });
  return key;
}

async function take(key: string): Promise<HeldLane> {
  const [lane] = await takeLanes(database.log, { key, holder: newId('cns') });
  if (lane === undefined) throw new Error('there is no lane');
  return lane;
}

const first = async (key: string) => (await listLanes(database.db, key))[0];

const move = async (key: string, { lane, epoch, cursor }: HeldLane, seq: number, delivered = 1) => {
  const moves = [{ lane, epoch, from: cursor, to: { tx: cursor.tx, seq: String(seq) }, delivered }];
  return (await commitBatch(database.log, { key, lane, moves, deliveries: [], notes: [] })) !== null;
};

const at = (lane: HeldLane, seq: number): HeldLane => ({
  ...lane,
  cursor: { tx: lane.cursor.tx, seq: String(seq) },
});

describe('a built-in subscription', () => {
  test('starts at the end of the log: what was before is not delivered, what comes is', async () => {
    const event = {
      type: 'a.b',
      source: { type: 'api' as const, id: 'x' },
      severity: 'info' as const,
      payload: {},
      metadata: {},
    };
    const [old] = await appendEvents(database.log, [event]);
    const idsAfter = async (tx: string, seq: string) =>
      (await readAfter(database.log, { tx, seq }, 1000)).map((row) => row.id);
    await eventually(() => idsAfter('0', '0')).toContain(old?.id);
    const key = await aBuiltIn();
    const [fresh] = await appendEvents(database.log, [event]);
    const { cursor } = await take(key);
    await eventually(() => idsAfter(cursor.tx, cursor.seq)).toContain(fresh?.id);
    expect(await idsAfter(cursor.tx, cursor.seq)).not.toContain(old?.id);
  });

  test('that exists keeps its cursor and its holder, and takes over a new match as a new version', async () => {
    const key = await aBuiltIn();
    const lane = await take(key);
    await move(key, lane, 5);
    await ensureSubscription(database.log, {
      key,
      handler: 'test',
      match: { ...match, minSeverity: 'info' },
    });
    expect(await first(key)).toMatchObject({ cursorSeq: '5', leaseEpoch: lane.epoch });
    const row = (await listSubscriptions(database.db)).find((one) => one.key === key);
    expect(row).toMatchObject({ match: { minSeverity: 'info' }, version: 2 });
  });

  test('made sixteen times at once is one', async () => {
    const key = newId('sub');
    await Promise.all(
      Array.from({ length: 16 }, () => ensureSubscription(database.log, { key, handler: 'test', match })),
    );
    expect((await listSubscriptions(database.db)).filter((row) => row.key === key)).toHaveLength(1);
    expect(await listLanes(database.db, key)).toHaveLength(1);
  });
});

test('what was removed takes no place in the list of those that deliver', async () => {
  await database.root`
    insert into subscriptions (key, handler, match, enabled)
    select 'a-removed-' || n, 'test', ${JSON.stringify(match)}::text::jsonb, false from generate_series(1, 1001) n`;
  const key = await aBuiltIn();
  const keys = (await listSubscriptions(database.db)).map((row) => row.key);
  expect(keys).toContain(key);
  expect(keys.filter((one) => one.startsWith('a-removed-'))).toEqual([]);
});

describe('the lease of a lane', () => {
  test('whoever took it last moves the cursor; a consumer that was taken over cannot', async () => {
    const key = await aBuiltIn();
    const zombie = await take(key);
    expect(await move(key, zombie, 1)).toBe(true);
    const holder = await take(key);
    expect(holder.cursor.seq).toBe('1');
    expect(await move(key, at(zombie, 1), 99, 50)).toBe(false);
    expect(await move(key, holder, 2)).toBe(true);
    expect(await first(key)).toMatchObject({ cursorSeq: '2', delivered: 2 });
  });

  test('of sixteen that take it at once exactly one can move the cursor', async () => {
    const key = await aBuiltIn();
    const lanes = await Promise.all(Array.from({ length: 16 }, () => take(key)));
    expect(new Set(lanes.map(({ epoch }) => epoch)).size).toBe(16);
    const moved = await Promise.all(lanes.map((lane, index) => move(key, lane, index + 1)));
    expect(moved.filter(Boolean)).toHaveLength(1);
  });

  test('a batch that is passed again after a lost answer counts once', async () => {
    const key = await aBuiltIn();
    const lane = await take(key);
    expect(await move(key, lane, 4, 3)).toBe(true);
    expect(await move(key, lane, 4, 3)).toBe(false);
    expect(await first(key)).toMatchObject({ cursorSeq: '4', delivered: 3 });
  });

  test('a subscription that is switched off or paused gives none; the batch under way may end while it is paused', async () => {
    const key = await aBuiltIn();
    const lane = await take(key);
    await database.root`update subscriptions set paused_at = now() where key = ${key}`;
    expect(await takeLanes(database.log, { key, holder: 'x' })).toEqual([]);
    expect(await move(key, lane, 6)).toBe(true);
    await database.root`update subscriptions set enabled = false, paused_at = null where key = ${key}`;
    expect(await move(key, at(lane, 6), 7)).toBe(false);
    expect(await takeLanes(database.log, { key, holder: 'x' })).toEqual([]);
    expect(await takeLanes(database.log, { key: 'none', holder: 'x' })).toEqual([]);
  });

  test('a batch without anything to deliver moves the cursor and not the time of delivery', async () => {
    const key = await aBuiltIn();
    const lane = await take(key);
    await move(key, lane, 1, 0);
    expect(await first(key)).toMatchObject({ delivered: 0, lastDeliveredAt: null });
    await move(key, at(lane, 1), 2, 3);
    expect(await first(key)).toMatchObject({ delivered: 3, lastDeliveredAt: expect.any(Date) });
  });
});

describe('the lanes of a strategy', () => {
  test('are laid anew when it changes, all from where the slowest stood, and the old holders are out', async () => {
    const { key } = await aSubscription(database, { strategy: 'priority' });
    const held = await takeLanes(database.log, { key, holder: 'old' });
    const normal = held.find(({ lane }) => lane === 'normal');
    if (normal === undefined) throw new Error('there is no normal lane');
    expect(await move(key, normal, 40)).toBe(true);
    await database.root`
      update subscriptions set strategy = 'balanced', consumers = 3, version = version + 1 where key = ${key}`;
    await Promise.all([prepareLanes(database, key), prepareLanes(database, key)]);
    const laid = await listLanes(database.db, key);
    expect(laid.map(({ lane, cursorSeq }) => [lane, cursorSeq])).toEqual([
      ['0', '0'],
      ['1', '0'],
      ['2', '0'],
    ]);
    await database.root`update subscriptions set consumers = 2, version = version + 1 where key = ${key}`;
    const before = laid.map(({ leaseEpoch }) => leaseEpoch);
    await prepareLanes(database, key);
    const after = await listLanes(database.db, key);
    expect(after.map(({ lane }) => lane)).toEqual(['0', '1']);
    for (const [place, { leaseEpoch }] of after.entries())
      expect(leaseEpoch).toBeGreaterThan(before[place] ?? 0);
  });

  test('every event is in exactly one share, and a thread stays in its own', async () => {
    const { anEvent, type } = await aSubscription(database);
    const threads = Array.from({ length: 40 }, (_, index) => `thread-${index}`);
    const given = threads.flatMap((correlationId) => [
      anEvent({ correlationId }),
      anEvent({ correlationId }),
    ]);
    await appendEvents(database.log, given);
    const shareOf = new Map<string, Set<string>>();
    const read = async () => {
      const ids: string[] = [];
      for (const lane of ['0', '1', '2']) {
        let after = { tx: '0', seq: '0' };
        for (;;) {
          const batch = await readLane(database.log, { lane, lanes: 3, after, limit: 20 });
          if (batch === null) break;
          after = batch.end;
          for (const event of batch.events.filter((one) => one.type === type)) {
            ids.push(event.id);
            const thread = event.correlationId ?? '';
            shareOf.set(thread, (shareOf.get(thread) ?? new Set()).add(lane));
          }
        }
      }
      return ids.sort();
    };
    await eventually(read).toEqual(given.map(({ id }) => id).sort());
    for (const lanes of shareOf.values()) expect(lanes.size).toBe(1);
    expect(new Set([...shareOf.values()].flatMap((lanes) => [...lanes])).size).toBe(3);
  });

  test('each priority has its own lane, and together they miss nothing', async () => {
    const { anEvent, type } = await aSubscription(database);
    const given = (['low', 'normal', 'high', 'critical', 'normal'] as const).map((priority) =>
      anEvent({ priority }),
    );
    await appendEvents(database.log, given);
    const read = async (lane: string) => {
      const ids: (string | undefined)[] = [];
      let after = { tx: '0', seq: '0' };
      for (;;) {
        const batch = await readLane(database.log, { lane, lanes: 4, after, limit: 3 });
        if (batch === null) return ids;
        after = batch.end;
        ids.push(...batch.events.filter((one) => one.type === type).map(({ id }) => id));
      }
    };
    await eventually(() => read('normal')).toEqual([given[1]?.id, given[4]?.id]);
    expect(await read('critical')).toEqual([given[3]?.id]);
    expect(await read('high')).toEqual([given[2]?.id]);
    expect(await read('low')).toEqual([given[0]?.id]);
  });

  test('the rare priorities are read from an index of their own', async () => {
    const session = await database.root.reserve();
    await session`set enable_seqscan = off`;
    const plan = await session`
      explain select id from events where priority = 'critical' and (tx, seq) > ('0'::xid8, 0) order by tx, seq limit 10`;
    await session`reset enable_seqscan`;
    session.release();
    expect(JSON.stringify(plan)).toContain('priority_tx_seq');
  });
});

describe('the shares of a group', () => {
  async function aGroup(consumers: number) {
    const { key } = await aSubscription(database, { strategy: 'balanced', consumers });
    const member = (consumer: number, holder = newId('cns')) => {
      const me = { key, consumer, holder };
      return {
        join: () => joinShares(database.log, me),
        claim: async () => (await claimShares(database.log, me))?.map(({ lane }) => lane) ?? null,
        held: () => claimShares(database.log, me),
        leave: () => leaveShares(database.log, me),
        die: () => database.root`
          with gone as (update subscription_consumers set alive_until = now() - interval '1 s' where holder = ${holder})
          update subscription_lanes set leased_until = now() - interval '1 s' where leased_by = ${holder}`,
      };
    };
    return { key, member };
  }

  test('one alone takes all, and gives back what is over when others join', async () => {
    const { member } = await aGroup(4);
    const [one, two, three] = [member(0), member(1), member(2)];
    await one.join();
    expect(await one.claim()).toEqual(['0', '1', '2', '3']);
    await two.join();
    expect(await two.claim()).toEqual([]);
    expect(await one.claim()).toEqual(['0', '1']);
    expect(await two.claim()).toEqual(['2', '3']);
    await three.join();
    expect(await three.claim()).toEqual([]);
    expect(await one.claim()).toEqual(['0', '1']);
    expect(await two.claim()).toEqual(['2']);
    expect(await three.claim()).toEqual(['3']);
  });

  test('what a dead consumer held falls to the others with a new epoch; what one leaves, at once', async () => {
    const { key, member } = await aGroup(4);
    const [one, two] = [member(0), member(1)];
    await one.join();
    await two.join();
    await one.claim();
    const held = await two.held();
    await two.die();
    const taken = await one.held();
    expect(taken?.map(({ lane }) => lane)).toEqual(['0', '1', '2', '3']);
    const zombie = held?.[0];
    if (zombie === undefined) throw new Error('the second held nothing');
    expect(taken?.find(({ lane }) => lane === zombie.lane)?.epoch).toBe(zombie.epoch + 1);
    expect(await move(key, zombie, 9)).toBe(false);
    const three = member(1);
    await three.join();
    await one.leave();
    expect(await three.claim()).toEqual(['0', '1', '2', '3']);
  });

  test('however many claim at once, no share has two holders and none is left over', async () => {
    const { key, member } = await aGroup(8);
    const members = Array.from({ length: 5 }, (_, consumer) => member(consumer));
    await Promise.all(members.map((one) => one.join()));
    for (let round = 0; round < 3; round += 1) await Promise.all(members.map((one) => one.claim()));
    const parts = await Promise.all(members.map((one) => one.claim()));
    expect(parts.flatMap((part) => part ?? []).sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
    expect(parts.map((part) => part?.length)).toEqual([2, 2, 2, 1, 1]);
    expect(new Set((await listLanes(database.db, key)).map(({ leasedBy }) => leasedBy)).size).toBe(5);
  });

  test('whose place another took learns it; a paused subscription lets nobody in', async () => {
    const { key, member } = await aGroup(2);
    const [zombie, heir] = [member(0), member(0)];
    await zombie.join();
    await zombie.claim();
    await heir.join();
    expect(await zombie.claim()).toBeNull();
    await zombie.leave();
    expect(await heir.claim()).toEqual(['0', '1']);
    await database.root`update subscriptions set paused_at = now() where key = ${key}`;
    expect(await member(1).join()).toBe(false);
  });
});
