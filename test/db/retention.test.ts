import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { appendEvents } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { planRetention } from '../../db/retention-plan.ts';
import {
  deleteExpiredEvents,
  deleteExpiredKeys,
  detachPartition,
  dropDetached,
  getRetention,
  putRetention,
  recordRetention,
} from '../../db/retention.ts';
import type { RetentionRule } from '../../domain/retention.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
const day = 86_400_000;
const now = Date.now();
const ago = (days: number): Date => new Date(now - days * day);

beforeAll(async () => {
  database = await openTestDatabase();
});

/** The months from so many days ago on have a partition each, as if the system had run since then. */
async function makeMonths(days: number): Promise<void> {
  for (
    let at = ago(days);
    at.getTime() < now;
    at = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 1))
  ) {
    const month = `${at.getUTCFullYear()}-${String(at.getUTCMonth() + 1).padStart(2, '0')}`;
    const next = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1, 1)).toISOString();
    const name = `events_${month.replace('-', '_')}`;
    await database.root.unsafe(
      `create table if not exists ${name} partition of events for values from ('${month}-01T00:00:00Z') to ('${next}');
       alter table ${name} owner to dreamnet_owner`,
    );
  }
}

async function anEvent(type: string, at: Date): Promise<string> {
  const id = newId('evt');
  await database.root`
    with keyed as (insert into event_keys (id, recorded_at) values (${id}, ${at}))
    insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at,
                        recorded_at)
    values (${id}, ${type}, 'x', 'api', 'x', 'info', 'normal', '{}', '{}', ${at}, ${at})`;
  return id;
}

async function setRules(rules: RetentionRule[]): Promise<void> {
  const { version } = await getRetention(database.db);
  const opKey = newId('op');
  expect(await putRetention(database.db, { rules, from: version, actor: 'test', opKey })).toMatchObject({
    status: 'changed',
  });
}

const isThere = async (id: string): Promise<boolean> =>
  (await database.root`select from events where id = ${id}`).length === 1;
const isRemembered = async (id: string): Promise<boolean> =>
  (await database.root`select from event_keys where id = ${id}`).length === 1;

async function sweep(): Promise<{ months: string[]; events: number; keys: number }> {
  const months: string[] = [];
  for (
    let name = await detachPartition(database.log);
    name !== null;
    name = await detachPartition(database.log)
  )
    months.push(name);
  while ((await dropDetached(database.log)) !== null);
  const all = async (step: () => Promise<number>): Promise<number> => {
    let total = 0;
    for (let gone = await step(); gone > 0; gone = await step()) total += gone;
    return total;
  };
  return {
    months,
    events: await all(() => deleteExpiredEvents(database.log, 5_000)),
    keys: await all(() => deleteExpiredKeys(database.log, 5_000)),
  };
}

async function aSubscription(
  key: string,
  given: { enabled?: boolean; paused?: boolean; before?: string } = {},
) {
  const { enabled = true, paused = false, before } = given;
  await database.root`
    insert into subscriptions (key, handler, match, enabled, paused_at)
    values (${key}, 'x', '{}', ${enabled}, ${paused ? new Date() : null})`;
  // Just before an event, or at the end of the log: not at the horizon, which other test files may hold back.
  await database.root`
    insert into subscription_lanes (subscription, lane, cursor_tx, cursor_seq)
    select ${key}, 'all',
           coalesce((select tx from events where id = ${before ?? ''}), (select tx from events order by tx desc limit 1),
                    pg_snapshot_xmin(pg_current_snapshot())),
           coalesce((select seq - 1 from events where id = ${before ?? ''}), 9000000000)`;
}

beforeEach(async () => {
  await database.root`truncate deliveries, dead_letters, subscription_lanes, subscriptions cascade`;
  await database.root`truncate events, event_keys`;
  await makeMonths(400);
  await setRules([{ types: '*', keepDays: 90 }]);
});

describe('the rules', () => {
  test('keep everything for 90 days, until somebody says otherwise', async () => {
    const fresh = await openTestDatabase(1);
    expect(await getRetention(fresh.db)).toMatchObject({ rules: [{ types: '*', keepDays: 90 }], version: 1 });
  });

  test('that two people change at once are those of one of them', async () => {
    const { version } = await getRetention(database.db);
    const put = (keepDays: number) =>
      putRetention(database.db, {
        ...{ rules: [{ types: '*', keepDays }], from: version, actor: 'test', opKey: newId('op') },
      });
    const outcomes = await Promise.all([put(10), put(20)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['changed', 'unchanged']);
  });

  test.each([
    ['an empty set', '[]'],
    ['one without a rule for everything', '[{"types":"a.*","keepDays":1}]'],
    ['a rule of no day', '[{"types":"*","keepDays":0}]'],
    ['a rule of no number', '[{"types":"*","keepDays":"all"}]'],
    ['a rule of no type', '[{"types":"*","keepDays":1},{"keepDays":5}]'],
    ['no list', '{"types":"*","keepDays":1}'],
  ])('%s cannot be written, also by who goes past the API', async (_what, rules) => {
    await expect(
      database.log`update retention_rules set rules = ${rules}::text::jsonb`,
    ).rejects.toMatchObject({ constraint_name: 'retention_rules_are_sound' });
  });

  test.each([
    ['a.b', 1],
    ['a.b.c', 2],
    ['a.x', 3],
    ['x', 4],
  ])('of %s the narrowest counts', async (type, days) => {
    const rules = JSON.stringify([
      { types: '*', keepDays: 4 },
      { types: 'a.*', keepDays: 3 },
      { types: 'a.b*', keepDays: 2 },
      { types: 'a.b', keepDays: 1 },
    ]);
    const [row] = await database.log`select retention_keep_days(${rules}::text::jsonb, ${type}) as days`;
    expect(row?.days).toBe(days);
  });
});

describe('a run', () => {
  test('drops whole months that the longest rule is over for, and forgets their ids', async () => {
    const [old, kept] = [await anEvent('a.b', ago(200)), await anEvent('a.b', ago(80))];
    const { months, events, keys } = await sweep();
    expect(months.length).toBeGreaterThanOrEqual(7);
    expect({ events, keys }).toEqual({ events: 0, keys: 1 });
    expect([await isThere(old), await isRemembered(old)]).toEqual([false, false]);
    expect([await isThere(kept), await isRemembered(kept)]).toEqual([true, true]);
    expect(
      await database.root`
      select from pg_class where relname ~ '^events_[0-9]{4}_' and relkind = 'r' and not relispartition`,
    ).toEqual([]);
  });

  test('keeps a month as long as a day of it is not over', async () => {
    // The month before this one has days that are younger than its length.
    await setRules([{ types: '*', keepDays: 32 }]);
    const first = new Date(ago(0).toISOString().slice(0, 8) + '01T00:00:00Z');
    const lastMonth = await anEvent('a.b', new Date(first.getTime() - 1));
    await sweep();
    expect(await isThere(lastMonth)).toBe(true);
  });

  test('deletes events of a shorter rule one by one, and still knows a repetition of them', async () => {
    await setRules([
      { types: '*', keepDays: 90 },
      { types: 'noise.*', keepDays: 2 },
      { types: 'noise.loud', keepDays: 30 },
    ]);
    const [over, young, loud, other] = [
      await anEvent('noise.low', ago(3)),
      await anEvent('noise.low', ago(1)),
      await anEvent('noise.loud', ago(3)),
      await anEvent('signal', ago(3)),
    ];
    expect(await sweep()).toMatchObject({ events: 1, keys: 0 });
    expect([await isThere(over), await isThere(young), await isThere(loud), await isThere(other)]).toEqual([
      ...[false, true, true, true],
    ]);
    const again = {
      id: over,
      type: 'noise.low',
      source: { type: 'api', id: 'x' },
      severity: 'info',
    } as const;
    const [stored] = await appendEvents(database.log, [{ ...again, payload: {}, metadata: {} }]);
    expect(stored).toEqual({ id: over, duplicate: true });
  });

  test('deletes so many at once at most', async () => {
    await setRules([
      { types: '*', keepDays: 90 },
      { types: 'noise.*', keepDays: 1 },
    ]);
    await database.root`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata,
                          occurred_at, recorded_at)
      select 'evt_n' || n, 'noise.' || (n % 7), 'x', 'api', 'x', 'info', 'normal', '{}', '{}', ${ago(2)}, ${ago(2)}
      from generate_series(1, 6000) n`;
    expect(await deleteExpiredEvents(database.log, 100)).toBe(100);
    expect(await deleteExpiredEvents(database.log, 1_000_000)).toBe(5_000);
    expect(await deleteExpiredEvents(database.log, 5_000)).toBe(900);
    expect(await deleteExpiredEvents(database.log, 5_000)).toBe(0);
  });

  test('deletes what lies in no month by its own rule', async () => {
    const stray = await anEvent('a.b', ago(3000));
    expect(await sweep()).toMatchObject({ events: 1, keys: 1 });
    expect([await isThere(stray), await isRemembered(stray)]).toEqual([false, false]);
  });

  test('removes nothing of the audit, and is told and audited with its counts once', async () => {
    const before = await database.root`select count(*)::int as n from audit_entries`;
    const counts = { partitions: [{ name: 'events_2020_01', events: 3 }], events: 2, keys: 5 };
    const opKey = newId('op');
    expect(await recordRetention(database.db, { counts, opKey })).toMatchObject({ status: 'changed' });
    expect(await recordRetention(database.db, { counts, opKey })).toMatchObject({ status: 'repeated' });
    const after = await database.root`select count(*)::int as n from audit_entries`;
    expect(after[0]?.n).toBe((before[0]?.n as number) + 1);
    expect(await database.root`select payload from events where type = 'bus.retention.applied'`).toEqual([
      { payload: counts },
    ]);
    expect((await getRetention(database.db)).applied).toEqual(counts);
  });
});

const shorter: RetentionRule[] = [
  { types: '*', keepDays: 90 },
  { types: 'noise', keepDays: 2 },
];

/** Everything that can still need an event, each with whether it holds it back. */
const holders: [string, boolean, (id: string, at: Date) => Promise<unknown>][] = [
  ['a subscription that has not read it', true, (id) => aSubscription('reader', { before: id })],
  ['a paused subscription', true, (id) => aSubscription('sleeper', { before: id, paused: true })],
  ['a removed subscription', false, (id) => aSubscription('gone', { before: id, enabled: false })],
  ['a subscription that has read it', false, () => aSubscription('done')],
  ...(['pending', 'processing', 'completed', 'failed'] as const).map(
    (state): [string, boolean, (id: string, at: Date) => Promise<unknown>] => [
      `a ${state} delivery`,
      state === 'pending' || state === 'processing',
      async (id, at) => {
        await aSubscription('done');
        await database.root`
          insert into deliveries (id, subscription, event_id, event_recorded_at, state, due_at)
          values (${newId('dlv')}, 'done', ${id}, ${at}, ${state}, now())`;
      },
    ],
  ),
  ...(['open', 'requeued', 'discarded'] as const).map(
    (state): [string, boolean, (id: string, at: Date) => Promise<unknown>] => [
      `a dead letter that is ${state}`,
      state === 'open',
      (id, at) => database.root`
        insert into dead_letters (id, delivery_id, subscription, event_id, event_type, event, cause, error, history,
                                  attempts, state)
        values (${newId('dlt')}, 'dlv_1', 'done', ${id}, 'noise',
                ${JSON.stringify({ id, recordedAt: at.toISOString() })}::text::jsonb, 'X', 'x', '[]', 5, ${state})`,
    ],
  ),
];

describe('what may still be needed', () => {
  test.each(holders)('%s holds a single event back: %s', async (_what, holds, make) => {
    await setRules(shorter);
    const id = await anEvent('noise', ago(3));
    await make(id, ago(3));
    const plan = await planRetention(database.log, shorter);
    await sweep();
    expect(await isThere(id)).toBe(holds);
    expect(plan.types).toEqual([{ type: 'noise', keepDays: 2, expired: 1, held: holds ? 1 : 0 }]);
    expect(plan.holders).toHaveLength(holds ? 1 : 0);
  });

  test.each(holders)('%s holds a month back: %s', async (_what, holds, make) => {
    const id = await anEvent('noise', ago(200));
    await make(id, ago(200));
    const plan = await planRetention(database.log, [{ types: '*', keepDays: 90 }]);
    await sweep();
    expect(await isThere(id)).toBe(holds);
    expect(await isRemembered(id)).toBe(holds);
    expect(plan.partitions.find(({ events }) => events === 1)?.held).toBe(holds);
    expect(plan.holders).toHaveLength(holds ? 1 : 0);
  });

  test('is named by its subscription, with whether that is paused', async () => {
    const id = await anEvent('noise', ago(200));
    await aSubscription('sleeper', { before: id, paused: true });
    const { holders: named } = await planRetention(database.log, [{ types: '*', keepDays: 90 }]);
    expect(named).toEqual([
      { kind: 'subscription', subscription: 'sleeper', lane: 'all', isPaused: true, count: 1 },
    ]);
  });
});

test('a plan counts what other rules would remove, and removes nothing', async () => {
  const ids = [await anEvent('a.b', ago(200)), await anEvent('a.b', ago(40)), await anEvent('c', ago(40))];
  const plan = await planRetention(database.log, [
    { types: '*', keepDays: 90 },
    { types: 'a.*', keepDays: 30 },
  ]);
  expect(plan.types).toEqual([{ type: 'a.b', keepDays: 30, expired: 2, held: 0 }]);
  expect(plan.partitions.reduce((sum, { events }) => sum + events, 0)).toBe(1);
  expect(plan.holders).toEqual([]);
  for (const id of ids) expect(await isThere(id)).toBe(true);
});

test('writers and readers go on without an error while months are dropped', async () => {
  for (const days of [390, 360, 330, 300, 270, 240, 210, 180, 150]) await anEvent('old', ago(days));
  let isOver = false;
  let written = 0;
  const work = Array.from({ length: 6 }, async (_, writer) => {
    while (!isOver) {
      const events = Array.from({ length: 20 }, (_none, at) => ({
        ...({ type: 'busy', source: { type: 'api', id: `w${writer}` }, severity: 'info' } as const),
        ...{ payload: { at }, metadata: {} },
      }));
      const stored = await appendEvents(database.log, events);
      expect(stored.every(({ duplicate }) => !duplicate)).toBe(true);
      written += stored.length;
      await database.log`select count(*) from events where type = 'busy'`;
    }
  });
  const dropped: string[] = [];
  while (written < 200) await new Promise(setImmediate);
  for (;;) {
    // Waiting for the lock ends soon, whoever holds it; the next try may get it.
    const name = await detachPartition(database.log).catch((error: unknown) => {
      expect(error).toMatchObject({ code: '55P03' });
      return undefined;
    });
    if (name === null) break;
    if (name !== undefined) dropped.push(name);
    await dropDetached(database.log);
  }
  const during = written;
  while (written < during + 200) await new Promise(setImmediate);
  isOver = true;
  await Promise.all(work);
  expect(dropped.length).toBeGreaterThanOrEqual(9);
  const [row] = await database.root`select count(*)::int as n from events where type = 'busy'`;
  expect(row?.n).toBe(written);
});

describe('the application role', () => {
  test.each([
    'delete from event_keys',
    'delete from events',
    'drop table events_default',
    "insert into retention_rules (one, rules, changed_by) values (false, '[]', 'x')",
    'delete from retention_rules',
    'alter table retention_rules drop constraint retention_rules_are_sound',
  ])('cannot %s', async (statement) => {
    await expect(database.log.unsafe(statement)).rejects.toMatchObject({ code: '42501' });
  });

  test('removes nothing that the rules keep, whatever it asks for', async () => {
    const id = await anEvent('a.b', ago(89));
    await database.log`select delete_expired_events(1000000), delete_expired_event_keys(-5)`;
    expect([await isThere(id), await isRemembered(id)]).toEqual([true, true]);
  });
});
