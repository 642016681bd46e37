import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createReplayActivities } from '../../activities/replays.ts';
import { openDatabase } from '../../db/client.ts';
import { appendEvents } from '../../db/events.ts';
import { derivedId, newId } from '../../db/ids.ts';
import { queuePage, readPage, withdrawReplay } from '../../db/replay-run.ts';
import {
  countDeliveries,
  createReplay,
  deleteEndedReplays,
  getReplay,
  listReplayDeliveries,
  listUnstartedReplays,
  type NewReplay,
} from '../../db/replays.ts';
import { ensureSubscription } from '../../db/subscriptions.ts';
import type { EventInput } from '../../domain/events.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
let activities: ReturnType<typeof createReplayActivities>;
let subscription: string;

beforeAll(async () => {
  database = await openTestDatabase();
  activities = createReplayActivities({ database });
});
beforeEach(async () => {
  subscription = newId('sub');
  await ensureSubscription(database.log, {
    ...{ key: subscription, handler: 'test' },
    match: { types: ['shop.*'], minSeverity: 'info', excludeSourceTypes: [] },
  });
});

function anEvent(given: Partial<EventInput> = {}): EventInput {
  return {
    ...{
      type: 'shop.order',
      source: { type: 'api', id: 'shop' },
      severity: 'info',
      payload: {},
      metadata: {},
    },
    ...given,
  };
}

async function append(count: number, given: Partial<EventInput> = {}): Promise<string[]> {
  const events = Array.from({ length: count }, (_, n) => anEvent({ ...given, payload: { n } }));
  return (await appendEvents(database.log, events)).map(({ id }) => id);
}

async function aReplay(given: Partial<NewReplay> = {}): Promise<string> {
  const id = newId('rpl');
  await createReplay(database.db, {
    ...{ id, subscription, selection: { type: 'shop.*' }, onlyMatching: false, sideEffects: false },
    ...{ perMinute: 6_000, maximum: 10_000, reason: 'a test', requestedBy: 'prn_operator', ...given },
  });
  return id;
}

const row = async (id: string) => {
  const found = await getReplay(database.db, id);
  if (found === null) throw new Error(`there is no replay ${id}`);
  return found;
};

/** Queues pages as the run does, until there is none left. */
async function queueAll(replayId: string): Promise<void> {
  await eventually(async () => (await activities.queueReplayPage({ replayId })).end).toBe('all');
}

async function queued(replayId: string): Promise<{ event: string; due: number }[]> {
  return [
    ...(await database.root<{ event: string; due: number }[]>`
      select event_id as event, (extract(epoch from due_at) * 1000)::float8 as due from deliveries
      where replay_id = ${replayId} order by due_at, id`),
  ];
}

/** What the consumer of part engine does with a delivery, in short. */
async function deliver(replayId: string, state: 'completed' | 'failed' | 'processing', count: number) {
  await database.root`
    update deliveries set state = ${state}, attempts = attempts + 1, previews = '[{"would": "call"}]',
      claimed_until = case when ${state} = 'processing' then now() + interval '1 hour' end,
      ended_at = case when ${state} <> 'processing' then now() end
    where id in (select id from deliveries where replay_id = ${replayId} and state = 'pending'
                 order by due_at limit ${count})`;
}

const end = (replayId: string, state: 'done' | 'cancelled' | 'failed', opKey = newId('op')) =>
  activities.endReplay({ replayId, state, because: null, actor: 'prn_operator', requestId: null, opKey });

describe('a replay', () => {
  test('queues each selected event once, in the order of the log, at its rate', async () => {
    const correlationId = newId('thread');
    const ids = await append(7, { correlationId });
    await append(3);
    const replayId = await aReplay({ selection: { correlationId }, perMinute: 60 });
    await queueAll(replayId);
    const found = await queued(replayId);
    expect(found.map(({ event }) => event)).toEqual(ids);
    expect(found.map(({ due }) => due - (found[0]?.due ?? 0))).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((n) => n * 1000),
    );
    expect(await row(replayId)).toMatchObject({ matched: 7, queued: 7, skipped: 0, because: null });
    const [delivery] = await database.root`select * from deliveries where replay_id = ${replayId} limit 1`;
    expect(delivery).toMatchObject({
      state: 'pending',
      side_effects: false,
      part: '',
      subscription,
      attempts: 0,
    });
    expect(delivery?.id).toBe(derivedId('dlv', [subscription, delivery?.event_id, '', replayId].join('|')));
  });

  test('of several pages keeps the order over all of them', async () => {
    const correlationId = newId('thread');
    const ids = [...(await append(800, { correlationId })), ...(await append(450, { correlationId }))];
    const replayId = await aReplay({ selection: { correlationId }, perMinute: 60_000 });
    const ends: string[] = [];
    await eventually(async () => {
      const { end: how } = await activities.queueReplayPage({ replayId });
      if (how !== 'behind') ends.push(how);
      return how;
    }).toBe('all');
    expect(ends).toEqual(['more', 'more', 'all']);
    const found = await queued(replayId);
    expect(found.map(({ event }) => event)).toEqual(ids);
    expect(new Set(found.map(({ due }) => due)).size).toBe(ids.length);
  });

  test.each([
    ['ids', (ids: string[]) => ({ ids: [ids[1] ?? '', ids[3] ?? ''] }), [1, 3]],
    ['a type', () => ({ type: 'pick.one' }), [0, 1]],
    ['the beginning of a type', () => ({ type: 'pick.*' }), [0, 1, 2]],
    ['a source', () => ({ sourceType: 'agent' as const, sourceId: 'agt_pick' }), [3]],
  ])('selects by %s', async (_what, select, places) => {
    const only = newId('thread');
    const ids = [
      ...(await append(2, { type: 'pick.one', correlationId: only })),
      ...(await append(1, { type: 'pick.two', correlationId: only })),
      ...(await append(1, { type: 'other', source: { type: 'agent', id: 'agt_pick' }, correlationId: only })),
    ];
    const replayId = await aReplay({ selection: { ...select(ids), correlationId: only } });
    await queueAll(replayId);
    expect((await queued(replayId)).map(({ event }) => event)).toEqual(places.map((place) => ids[place]));
  });

  test('selects by a window of the time of recording, both ends included', async () => {
    const correlationId = newId('thread');
    const ids = [];
    for (let n = 0; n < 4; n += 1) ids.push(...(await append(1, { correlationId })));
    const times = await database.root<{ at: Date }[]>`
      select recorded_at as at from events where correlation_id = ${correlationId} order by events.tx, events.seq`;
    const [from, to] = [times[1]?.at.toISOString() ?? '', times[2]?.at.toISOString() ?? ''];
    const replayId = await aReplay({ selection: { correlationId, from, to } });
    await queueAll(replayId);
    const found = (await queued(replayId)).map(({ event }) => event);
    // Two events can be recorded in one millisecond.
    const inside = ids.filter(
      (_id, n) => (times[n]?.at ?? 0) >= (times[1]?.at ?? 0) && (times[n]?.at ?? 0) <= (times[2]?.at ?? 0),
    );
    expect(found).toEqual(inside);
    expect(found).toEqual(expect.arrayContaining([ids[1], ids[2]]));
  });

  test('hands over events that the subscription does not want, unless only matching ones were asked for', async () => {
    const correlationId = newId('thread');
    const wanted = await append(2, { correlationId });
    const unwanted = await append(1, { correlationId, type: 'bank.transfer' });
    const all = await aReplay({ selection: { correlationId } });
    const some = await aReplay({ selection: { correlationId }, onlyMatching: true });
    await queueAll(all);
    await queueAll(some);
    expect((await queued(all)).map(({ event }) => event)).toEqual([...wanted, ...unwanted]);
    expect((await queued(some)).map(({ event }) => event)).toEqual(wanted);
    expect(await row(some)).toMatchObject({ matched: 3, queued: 2, skipped: 1 });
  });

  test('stops at its maximum and says that there are more', async () => {
    const correlationId = newId('thread');
    const ids = await append(5, { correlationId });
    const replayId = await aReplay({ selection: { correlationId }, maximum: 3 });
    await queueAll(replayId);
    expect((await queued(replayId)).map(({ event }) => event)).toEqual(ids.slice(0, 3));
    expect(await row(replayId)).toMatchObject({
      queued: 3,
      because: expect.stringContaining('maximum of 3'),
    });
  });

  test('of exactly its maximum says nothing of more', async () => {
    const correlationId = newId('thread');
    await append(3, { correlationId });
    const replayId = await aReplay({ selection: { correlationId }, maximum: 3 });
    await queueAll(replayId);
    expect(await row(replayId)).toMatchObject({ queued: 3, because: null });
  });
});

describe('what commits late', () => {
  test('belongs to the replay when it had begun before, and is waited for', async () => {
    const correlationId = newId('thread');
    const [first] = await append(1, { correlationId });
    const session = await database.root.reserve();
    await session.unsafe('begin');
    await session`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata,
                          correlation_id, occurred_at)
      values ('late', 'shop.late', 'shop', 'api', 'slow', 'info', 'normal', '{}', '{}', ${correlationId}, now())`;
    const replayId = await aReplay({ selection: { correlationId } });
    // The first is below the horizon only if nothing older is open elsewhere.
    for (let look = 0; look < 5; look += 1)
      expect((await activities.queueReplayPage({ replayId })).end).not.toBe('all');
    await session.unsafe('commit');
    session.release();
    const [after] = await append(1, { correlationId });
    await queueAll(replayId);
    const found = (await queued(replayId)).map(({ event }) => event);
    expect(found).toEqual([first, 'late']);
    expect(found).not.toContain(after);
  });

  test('a replay never takes what came after it, nor what it caused itself', async () => {
    const replayId = await aReplay({ selection: { from: '2020-01-01T00:00:00.000Z' }, maximum: 100_000 });
    await append(3);
    await queueAll(replayId);
    const [own] = await database.root`
      select count(*)::int as n from deliveries d join events e on e.id = d.event_id
      where d.replay_id = ${replayId} and e.tx >= (select until_tx from replays where id = ${replayId})`;
    expect(own?.n).toBe(0);
  });
});

describe('each event once', () => {
  test('however often a page is repeated, also by two at once', async () => {
    const correlationId = newId('thread');
    const ids = await append(1_200, { correlationId });
    const replayId = await aReplay({ selection: { correlationId }, perMinute: 60_000 });
    await eventually(async () => {
      const ends = await Promise.all([1, 2, 3].map(() => activities.queueReplayPage({ replayId })));
      return ends.some((page) => page.end === 'all');
    }).toBe(true);
    expect((await queued(replayId)).map(({ event }) => event)).toEqual(ids);
    expect(await row(replayId)).toMatchObject({ matched: 1_200, queued: 1_200 });
  });

  test('when the worker dies between a page and its answer', async () => {
    const correlationId = newId('thread');
    const ids = await append(700, { correlationId });
    const replayId = await aReplay({ selection: { correlationId } });
    const before = await row(replayId);
    await eventually(() => readPage(database.log, before, () => true)).not.toBeNull();
    const page = await readPage(database.log, before, () => true);
    if (page === null) throw new Error('no page');
    expect(await queuePage(database.log, before, page)).toBe(true);
    // Its answer was lost: the same page comes again, from what was read before.
    expect(await queuePage(database.log, before, page)).toBe(false);
    await queueAll(replayId);
    expect((await queued(replayId)).map(({ event }) => event)).toEqual(ids);
  });

  test('when sessions are killed at random while pages are queued', async () => {
    const correlationId = newId('thread');
    const ids = await append(3_000, { correlationId });
    const replayId = await aReplay({ selection: { correlationId }, perMinute: 60_000 });
    const victim = openDatabase(database.url, { name: 'victim', connections: 2 });
    const { queueReplayPage } = createReplayActivities({ database: victim });
    let isOver = false;
    const killer = (async () => {
      while (!isOver) {
        await database.root`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'victim' and random() < 0.3`;
        await new Promise((resolve) => setTimeout(resolve, 15));
      }
    })();
    try {
      await eventually(() =>
        queueReplayPage({ replayId }).then(
          ({ end: how }) => how,
          () => 'killed',
        ),
      ).toBe('all');
    } finally {
      isOver = true;
      await killer;
      await victim.close();
    }
    expect((await queued(replayId)).map(({ event }) => event)).toEqual(ids);
  });

  test('in each of two replays at once, which know nothing of each other', async () => {
    const correlationId = newId('thread');
    const ids = await append(900, { correlationId });
    const [one, two] = [
      await aReplay({ selection: { correlationId } }),
      await aReplay({ selection: { correlationId }, sideEffects: true }),
    ];
    await Promise.all([queueAll(one), queueAll(two)]);
    for (const replayId of [one, two])
      expect((await queued(replayId)).map(({ event }) => event)).toEqual(ids);
    const effects = await database.root`
      select replay_id as id, bool_and(side_effects) as effects from deliveries
      where replay_id in (${one}, ${two}) group by 1`;
    expect(Object.fromEntries(effects.map(({ id, effects: are }) => [id, are]))).toEqual({
      [one]: false,
      [two]: true,
    });
    await end(one, 'cancelled');
    await activities.withdrawReplay({ replayId: one });
    expect(await queued(one)).toEqual([]);
    expect(await queued(two)).toHaveLength(900);
  });
});

describe('the end of a replay', () => {
  async function aQueuedReplay(count: number) {
    const correlationId = newId('thread');
    await append(count, { correlationId });
    const replayId = await aReplay({ selection: { correlationId } });
    await queueAll(replayId);
    return replayId;
  }

  const told = (replayId: string) => database.root`
    select type, severity, payload from events
    where correlation_id = ${replayId} order by events.tx, events.seq`;

  test('is done only once every delivery has ended, with how they ended', async () => {
    const replayId = await aQueuedReplay(4);
    await deliver(replayId, 'completed', 3);
    expect(await end(replayId, 'done')).toEqual({ state: 'running' });
    await deliver(replayId, 'failed', 1);
    const opKey = newId('op');
    expect(await end(replayId, 'done', opKey)).toEqual({ state: 'done' });
    expect(await end(replayId, 'done', opKey)).toEqual({ state: 'done' });
    expect(await end(replayId, 'cancelled')).toEqual({ state: 'done' });
    const counts = { pending: 0, processing: 0, completed: 3, failed: 1 };
    expect(await row(replayId)).toMatchObject({ state: 'done', outcome: counts });
    expect((await told(replayId)).map(({ type }) => type)).toEqual([
      'bus.replay.started',
      'bus.replay.ended',
    ]);
    // What is kept does not change when retention forgets the deliveries.
    await database.root`delete from deliveries where replay_id = ${replayId}`;
    expect((await countDeliveries(database.db, [await row(replayId)])).get(replayId)).toEqual(counts);
    const audit = await database.root`
      select action, actor from audit_entries where subject_id = ${replayId} order by chain_no`;
    expect([...audit]).toEqual([
      { action: 'replay.start', actor: 'prn_operator' },
      { action: 'replay.done', actor: 'prn_operator' },
    ]);
  });

  test('by a cancellation takes back what nobody has begun, waits for the rest, and queues no more', async () => {
    const replayId = await aQueuedReplay(6);
    await deliver(replayId, 'completed', 1);
    await deliver(replayId, 'processing', 2);
    await end(replayId, 'cancelled');
    expect(await activities.withdrawReplay({ replayId })).toBe(2);
    expect(await row(replayId)).toMatchObject({ state: 'cancelled', withdrawn: 3, outcome: null });
    await database.root`
      update deliveries set state = 'completed', ended_at = now() where replay_id = ${replayId} and state = 'processing'`;
    expect(await activities.withdrawReplay({ replayId })).toBe(0);
    expect(await row(replayId)).toMatchObject({ withdrawn: 3, outcome: { completed: 3, failed: 0 } });
    expect((await activities.queueReplayPage({ replayId })).end).toBe('over');
  });

  test('takes back what a dead consumer had claimed, and leaves a living claim alone', async () => {
    const replayId = await aQueuedReplay(2);
    await deliver(replayId, 'processing', 2);
    await database.root`
      update deliveries set claimed_until = now() - interval '1 second'
      where id = (select min(id) from deliveries where replay_id = ${replayId})`;
    await end(replayId, 'failed');
    expect(await withdrawReplay(database.log, replayId, 1)).toBe(1);
    expect(await row(replayId)).toMatchObject({ withdrawn: 1 });
  });

  test('of a running replay is no reason to take anything back', async () => {
    const replayId = await aQueuedReplay(3);
    expect(await withdrawReplay(database.log, replayId)).toBe(3);
    expect(await queued(replayId)).toHaveLength(3);
  });

  test('finds a page that was on its way', async () => {
    const correlationId = newId('thread');
    await append(600, { correlationId });
    const replayId = await aReplay({ selection: { correlationId } });
    await eventually(async () => (await activities.queueReplayPage({ replayId })).end).toBe('more');
    await Promise.all([activities.queueReplayPage({ replayId }), end(replayId, 'cancelled')]);
    await activities.withdrawReplay({ replayId });
    expect(await queued(replayId)).toEqual([]);
    const { queued: stored, withdrawn } = await row(replayId);
    expect(withdrawn).toBe(stored);
  });

  test('of a subscription that is switched off meanwhile is a refusal', async () => {
    const replayId = await aReplay();
    await database.root`update subscriptions set enabled = false where key = ${subscription}`;
    await expect(activities.queueReplayPage({ replayId })).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

test('one whose run never began is found, and one that ended long ago is deleted', async () => {
  const [unstarted, begun] = [await aReplay(), await aReplay()];
  await activities.claimReplay({ replayId: begun, runId: 'run_1' });
  const found = (await listUnstartedReplays(database.db, 0, 1_000)).map(({ id }) => id);
  expect(found).toContain(unstarted);
  expect(found).not.toContain(begun);
  await end(begun, 'cancelled');
  await activities.withdrawReplay({ replayId: begun });
  await database.root`update replays set ended_at = now() - interval '91 days' where id = ${begun}`;
  await deleteEndedReplays(database.log, 90, 1_000);
  expect(await getReplay(database.db, begun)).toBeNull();
  expect(await getReplay(database.db, unstarted)).not.toBeNull();
});

test('its deliveries are listed oldest event first, each with its type and what would have been done', async () => {
  const correlationId = newId('thread');
  const ids = await append(5, { correlationId });
  const replayId = await aReplay({ selection: { correlationId } });
  await queueAll(replayId);
  await deliver(replayId, 'completed', 5);
  const seen = [];
  let after: { at: Date; id: string } | null = null;
  for (;;) {
    const page = await listReplayDeliveries(database.db, replayId, {}, after, 2);
    const last = page.at(-1);
    if (last === undefined) break;
    seen.push(...page);
    after = { at: last.recordedAt, id: last.id };
  }
  expect(seen.map(({ eventId }) => eventId).sort()).toEqual([...ids].sort());
  expect(seen[0]).toMatchObject({
    eventType: 'shop.order',
    state: 'completed',
    previews: [{ would: 'call' }],
  });
  expect(await listReplayDeliveries(database.db, replayId, { state: 'failed' }, null, 10)).toEqual([]);
});
