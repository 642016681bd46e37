import { beforeAll, describe, expect, test } from 'vitest';
import { discardDeadLetters } from '../../db/dead-letter-discard.ts';
import { getDeadLetter } from '../../db/dead-letter-list.ts';
import { newId } from '../../db/ids.ts';
import { releaseItems } from '../../db/redrive-release.ts';
import {
  countRedriven,
  createRedrive,
  deleteEndedRedrives,
  endRedrive,
  getRedrive,
  listLiveRedrives,
  listOddItems,
  lookAtRedrive,
  type NewRedrive,
} from '../../db/redrives.ts';
import { noneRedriven } from '../../domain/redrive.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import {
  aSubscription,
  completeDelivery,
  deliveriesOf,
  failDelivery,
  type Letter,
  letterStates,
  someLetters,
} from '../support/dead-letters.ts';
import { auditOf } from './flow.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase(40);
});

const idsOf = (letters: Letter[]): string[] => letters.map(({ id }) => id);

async function create(letters: Letter[], given: Partial<NewRedrive> = {}) {
  const id = newId('rdr');
  const stored = await createRedrive(database.db, {
    ...{ id, ids: idsOf(letters), filter: null, canary: true, perMinute: 60, reason: 'it is mended' },
    ...{ actor: 'prn_ada', requestId: newId('req'), ...given },
  });
  return { id, taken: stored?.taken ?? null };
}

const release = (id: string, count: number, handled: number, canary = false) =>
  releaseItems(database.db, { id, count, canary, handled });
const look = (id: string) => lookAtRedrive(database.db, { id, runId: 'run_1' });
const discard = (ids: string[], actor = 'prn_bob') =>
  discardDeadLetters(database.db, { ids, reason: 'old news', actor, requestId: 'req', opKey: newId('op') });
const eventsOf = (deadLetterIds: string[], type: string) => database.root<
  { payload: Record<string, unknown> }[]
>`
  select payload, causation_id as "causationId" from events
  where type = ${type} and payload->>'deadLetterId' = any(${deadLetterIds})`;

describe('a new redrive', () => {
  test('takes its dead letters in the order of their age and leaves them open until their turn', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 5);
    const { id, taken } = await create(letters.toReversed());
    expect(taken).toBe(5);
    expect(await getRedrive(database.db, id)).toMatchObject({
      ...{ state: 'canary', total: 5, requestedBy: 'prn_ada', workflowId: `redrive/${id}`, runId: null },
    });
    const items = await database.root`
      select dead_letter_id as id from redrive_items where redrive_id = ${id} order by place`;
    expect(items.map((row) => String(row.id))).toEqual(idsOf(letters));
    expect(await letterStates(database, idsOf(letters))).toEqual(Array(5).fill('open'));
    expect(await deliveriesOf(database, subscription, 'failed')).toHaveLength(5);
    expect(await auditOf(database.root, id)).toEqual(['redrive.start']);
  });

  test('without a canary begins with all of them', async () => {
    const letters = await someLetters(database, await aSubscription(database), 2);
    const { id } = await create(letters, { canary: false });
    expect(await look(id)).toMatchObject({ state: 'releasing', waiting: 2 });
  });

  test('of 32 that ask for the same dead letters at once, each is taken by one and handed over once', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 20);
    const asked = await Promise.all(
      Array.from({ length: 32 }, (_none, at) =>
        create(at % 2 === 0 ? letters : letters.slice(at % 10), { canary: false }),
      ),
    );
    const won = asked.filter(({ taken }) => taken !== null);
    expect(won.reduce((sum, { taken }) => sum + (taken ?? 0), 0)).toBe(20);
    for (const { id, taken } of asked)
      if (taken === null) expect(await getRedrive(database.db, id)).toBeNull();
    // Each asks for its release several times at once, as activities that are repeated do.
    await Promise.all(won.flatMap(({ id }) => [1, 2, 3, 4].map(() => release(id, 100, 0))));
    const deliveries = await deliveriesOf(database, subscription);
    expect(deliveries.map(({ state, attempts, claimEpoch }) => [state, attempts, claimEpoch])).toEqual(
      Array(20).fill(['pending', 0, 6]),
    );
    const told = await eventsOf(idsOf(letters), 'bus.dead-letter.redriven');
    expect(told.map(({ payload }) => payload.deadLetterId).sort()).toEqual(idsOf(letters).sort());
  });

  test('of a subscription that is off, of a delivery that is gone or under way, and of nothing is none', async () => {
    const off = await aSubscription(database);
    const [stale, gone, moving] = [
      await someLetters(database, off, 1),
      await someLetters(database, await aSubscription(database), 1),
      await someLetters(database, await aSubscription(database), 1),
    ];
    await database.root`update subscriptions set enabled = false where key = ${off}`;
    await database.root`delete from deliveries where id = ${gone[0]?.deliveryId ?? ''}`;
    await database.root`update deliveries set state = 'processing' where id = ${moving[0]?.deliveryId ?? ''}`;
    for (const letters of [stale, gone, moving, []]) {
      const { id, taken } = await create(letters);
      expect(taken).toBeNull();
      expect(await auditOf(database.root, id)).toEqual([]);
    }
  });
});

describe('a release', () => {
  test('requeues the dead letter and its delivery under the same id, in the name of who asked', async () => {
    const subscription = await aSubscription(database, { deadlineMs: 5_000 });
    const letters = await someLetters(database, subscription, 3, { event: { correlationId: 'thread-1' } });
    const { id } = await create(letters);
    expect(await release(id, 1, 0, true)).toBe(1);
    expect(await letterStates(database, idsOf(letters))).toEqual(['requeued', 'open', 'open']);
    const [first] = letters;
    const whole = await getDeadLetter(database.db, first?.id ?? '');
    expect(whole?.deadLetter).toMatchObject({ handledBy: 'prn_ada', reason: 'it is mended', redriveId: id });
    const [delivery] = await deliveriesOf(database, subscription, 'pending');
    expect(delivery).toMatchObject({
      id: first?.deliveryId,
      attempts: 0,
      claimEpoch: 6,
      deadlineInMs: 5_000,
    });
    expect(delivery?.dueMs).toBeLessThanOrEqual(0);
    // What happened before stays, and the new beginning is marked.
    expect(delivery?.history).toMatchObject([
      { cause: 'HANDLER_FAILED' },
      { cause: 'REDRIVEN', error: `prn_ada handed it over again: ${id}` },
    ]);
    const [told] = await eventsOf(idsOf(letters), 'bus.dead-letter.redriven');
    expect(told).toMatchObject({
      causationId: first?.eventId,
      payload: {
        deadLetterId: first?.id,
        deliveryId: first?.deliveryId,
        by: 'prn_ada',
        redriveId: id,
        subscription,
      },
    });
    const entries = await database.root`select actor, action from audit_entries where subject_id = ${id}`;
    expect(entries).toContainEqual({ actor: 'prn_ada', action: 'redrive.release' });
  });

  test('spreads a chunk over the time that was asked for', async () => {
    const subscription = await aSubscription(database);
    const { id } = await create(await someLetters(database, subscription, 10), {
      canary: false,
      perMinute: 60,
    });
    expect(await release(id, 10, 0)).toBe(10);
    const due = (await deliveriesOf(database, subscription, 'pending')).map(({ dueMs }) => dueMs);
    expect(due.slice(1).map((ms, at) => Math.round(ms - (due[at] ?? 0)))).toEqual(Array(9).fill(1_000));
  });

  test('wakes the consumers', async () => {
    const { id } = await create(await someLetters(database, await aSubscription(database), 1));
    let announced = 0;
    const listening = await database.log.listen('dreamnet_events', () => (announced += 1));
    const before = announced;
    await release(id, 1, 0, true);
    await expect.poll(() => announced).toBeGreaterThan(before);
    await listening.unlisten();
  });

  test('asked for again under the same key hands over nothing twice', async () => {
    const subscription = await aSubscription(database);
    const { id } = await create(await someLetters(database, subscription, 4), { canary: false });
    expect(await release(id, 2, 0)).toBe(2);
    expect(await release(id, 2, 0)).toBe(2);
    expect(await deliveriesOf(database, subscription, 'pending')).toHaveLength(2);
    expect(await release(id, 2, 2)).toBe(2);
    expect(await deliveriesOf(database, subscription, 'pending')).toHaveLength(4);
  });

  test('leaves out what somebody discarded before its turn, and goes on with the others', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 3);
    const { id } = await create(letters, { canary: false });
    expect(await discard([letters[1]?.id ?? ''])).toEqual([letters[1]?.id]);
    expect(await release(id, 3, 0)).toBe(2);
    expect(await letterStates(database, idsOf(letters))).toEqual(['requeued', 'discarded', 'requeued']);
    expect(await look(id)).toMatchObject({ waiting: 0, released: 2, leftOut: 1 });
    expect(await listOddItems(database.db, id, 10)).toMatchObject([
      { deadLetterId: letters[1]?.id, state: 'left-out', because: expect.stringContaining('somebody else') },
    ]);
  });
});

describe('a discard against a redrive', () => {
  test('has one winner for each dead letter, and the loser is told', async () => {
    for (let round = 0; round < 5; round += 1) {
      const subscription = await aSubscription(database);
      const letters = await someLetters(database, subscription, 20);
      const { id } = await create(letters, { canary: false });
      const [released, discarded] = await Promise.all([
        release(id, 20, 0),
        discard(idsOf(letters).toReversed()),
        discard(idsOf(letters).slice(0, 1), 'prn_eve'),
      ]);
      const states = await letterStates(database, idsOf(letters));
      expect(new Set(states).has('open')).toBe(false);
      expect(states.filter((state) => state === 'requeued')).toHaveLength(released);
      expect(await deliveriesOf(database, subscription, 'pending')).toHaveLength(released);
      for (const lost of discarded)
        expect(await getDeadLetter(database.db, lost)).toMatchObject({
          deadLetter: { state: 'discarded', handledBy: 'prn_bob', reason: 'old news' },
          delivery: { state: 'failed' },
        });
      const told = await eventsOf(idsOf(letters), 'bus.dead-letter.discarded');
      expect(told).toHaveLength(states.filter((state) => state === 'discarded').length);
    }
  });

  test('of what is discarded nothing is handed over any more', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 2);
    expect(await discard(idsOf(letters))).toEqual(idsOf(letters).sort());
    expect((await create(letters)).taken).toBeNull();
    expect(await discard(idsOf(letters), 'prn_eve')).toEqual([]);
    expect(await deliveriesOf(database, subscription, 'failed')).toHaveLength(2);
  });

  test('of thousands is done in statements of bounded size, with each of them in the audit', async () => {
    const letters = await someLetters(database, await aSubscription(database), 450);
    const ids = idsOf(letters);
    expect((await discard(ids)).sort()).toEqual(ids.toSorted());
    const entries = await database.root<{ body: string }[]>`
      select body from audit_entries where action = 'dead-letter.discard' and body like ${`%${ids[449] ?? ''}%`}`;
    expect(entries).toHaveLength(1);
    expect(await eventsOf(ids, 'bus.dead-letter.discarded')).toHaveLength(450);
  });
});

describe('what becomes of a redrive', () => {
  async function released(count: number) {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, count);
    const { id } = await create(letters, { canary: false });
    await release(id, count, 0);
    return { id, letters, subscription };
  }

  test('is read from its deliveries: completed, failed anew with the new cause, or still on their way', async () => {
    const { id, letters } = await released(3);
    await completeDelivery(database, letters[0]?.deliveryId ?? '');
    await failDelivery(database, letters[1]?.deliveryId ?? '', 'UNREACHABLE');
    const expected = { waiting: 0, released: 1, completed: 1, failed: 1, leftOut: 0 };
    expect((await countRedriven(database.db, [id])).get(id)).toEqual(expected);
    expect(await look(id)).toMatchObject({ ...expected, failedCause: 'UNREACHABLE' });
    expect(await getRedrive(database.db, id)).toMatchObject({ runId: 'run_1' });
    const again = await getDeadLetter(database.db, letters[1]?.id ?? '');
    expect(again?.occurrences.map(({ state, cause }) => [state, cause])).toEqual([
      ['requeued', 'HANDLER_FAILED'],
      ['open', 'UNREACHABLE'],
    ]);
  });

  test('stays failed when the new dead letter was redriven and completed before anybody looked', async () => {
    const { id, letters } = await released(1);
    const deliveryId = letters[0]?.deliveryId ?? '';
    await failDelivery(database, deliveryId, 'UNREACHABLE');
    const [anew] = await database.root<{ id: string }[]>`
      select id from dead_letters where delivery_id = ${deliveryId} and state = 'open'`;
    const second = await create([{ id: anew?.id ?? '', deliveryId, eventId: '' }]);
    await release(second.id, 1, 0, true);
    await completeDelivery(database, deliveryId);
    expect(await look(id)).toMatchObject({ failed: 1, completed: 0 });
    expect(await look(second.id)).toMatchObject({ failed: 0, completed: 1 });
  });

  test('counts as completed once retention has taken its completed delivery', async () => {
    const { id, letters } = await released(1);
    await database.root`delete from deliveries where id = ${letters[0]?.deliveryId ?? ''}`;
    expect(await look(id)).toMatchObject({ completed: 1 });
  });

  test('at its end frees what had no turn, for the next redrive', async () => {
    const letters = await someLetters(database, await aSubscription(database), 3);
    const { id } = await create(letters);
    await release(id, 1, 0, true);
    expect((await create(letters.slice(1))).taken).toBeNull();
    const end = { state: 'stopped', because: 'the canary failed again' } as const;
    const asked = { id, end, actor: 'system', requestId: null, counts: noneRedriven };
    expect(await endRedrive(database.db, asked)).toBe(true);
    expect(await getRedrive(database.db, id)).toMatchObject({ state: 'stopped', endedBecause: end.because });
    expect(await look(id)).toMatchObject({ state: 'stopped', released: 1, leftOut: 2 });
    expect(await letterStates(database, idsOf(letters))).toEqual(['requeued', 'open', 'open']);
    expect((await create(letters)).taken).toBe(2);
  });

  test('is ended once, by a person or by its run, and releases nothing after that', async () => {
    const subscription = await aSubscription(database);
    const letters = await someLetters(database, subscription, 3);
    const { id } = await create(letters, { canary: false });
    const ends = await Promise.all(
      (['cancelled', 'done', 'stopped'] as const).map((state) =>
        endRedrive(database.db, {
          ...{
            id,
            end: { state, because: null },
            actor: `by-${state}`,
            requestId: null,
            counts: noneRedriven,
          },
        }),
      ),
    );
    expect(ends.filter(Boolean)).toHaveLength(1);
    expect(await release(id, 3, 0)).toBe(0);
    expect(await deliveriesOf(database, subscription, 'failed')).toHaveLength(3);
    const told = await database.root`
      select type from events where type = 'bus.redrive.ended' and payload->>'redriveId' = ${id}`;
    expect(told).toHaveLength(1);
  });

  test('of a cancellation against a release: what was released stays so, the rest is free', async () => {
    for (let round = 0; round < 5; round += 1) {
      const subscription = await aSubscription(database);
      const letters = await someLetters(database, subscription, 10);
      const { id } = await create(letters, { canary: false });
      const end = { state: 'cancelled', because: null } as const;
      const [, count] = await Promise.all([
        endRedrive(database.db, { id, end, actor: 'prn_bob', requestId: 'r', counts: noneRedriven }),
        release(id, 5, 0),
      ]);
      const states = await letterStates(database, idsOf(letters));
      expect(states.filter((state) => state === 'requeued')).toHaveLength(count);
      expect(await deliveriesOf(database, subscription, 'pending')).toHaveLength(count);
      const [taken] = await database.root`
        select count(*)::int as n from dead_letters where redrive_id = ${id} and state = 'open'`;
      expect(taken).toEqual({ n: 0 });
      expect(await getRedrive(database.db, id)).toMatchObject({ state: 'cancelled', cancelledBy: 'prn_bob' });
    }
  });
});

describe('what the relay and retention see', () => {
  test('a redrive is live until its end, and not before it is old enough to have been lost', async () => {
    const { id } = await create(await someLetters(database, await aSubscription(database), 1));
    const live = async (graceMs: number) =>
      (await listLiveRedrives(database.db, graceMs, 1_000)).some((row) => row.id === id);
    expect([await live(0), await live(60_000)]).toEqual([true, false]);
    await endRedrive(database.db, {
      ...{
        id,
        end: { state: 'done', because: null },
        actor: 'system',
        requestId: null,
        counts: noneRedriven,
      },
    });
    expect(await live(0)).toBe(false);
  });

  test('an ended one is deleted with its items when its time is over, one under way never', async () => {
    const subscription = await aSubscription(database);
    const old = await create(await someLetters(database, subscription, 2));
    const live = await create(await someLetters(database, subscription, 2));
    await endRedrive(database.db, {
      ...{ id: old.id, end: { state: 'done', because: null }, actor: 'system', requestId: null },
      counts: noneRedriven,
    });
    await database.root`update redrives set created_at = now() - interval '91 days' where id = ${live.id}`;
    await database.root`update redrives set ended_at = now() - interval '91 days' where id = ${old.id}`;
    expect(await deleteEndedRedrives(database.db, 90, 100)).toBe(1);
    expect(await getRedrive(database.db, old.id)).toBeNull();
    expect(await getRedrive(database.db, live.id)).not.toBeNull();
  });
});
