import { MockActivityEnvironment } from '@temporalio/testing';
import { beforeEach, expect, test } from 'vitest';
import { createRetentionActivities, type RetentionActivities } from '../../activities/retention.ts';
import { getRetention } from '../../db/retention.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let activities: RetentionActivities;
const longAgo = '2020-03-10T00:00:00Z';

beforeEach(async () => {
  database = await openTestDatabase();
  activities = createRetentionActivities({ database });
  for (const month of ['2020_03', '2020_04'])
    await database.root.unsafe(`
      create table events_${month} partition of events
        for values from ('${month.replace('_', '-')}-01T00:00:00Z') to (timestamptz '${month.replace('_', '-')}-01T00:00:00Z' + interval '1 month');
      alter table events_${month} owner to dreamnet_owner`);
  await database.root`
    with keyed as (
      insert into event_keys (id, recorded_at) select 'evt_' || n, ${longAgo} from generate_series(1, 12000) n
    )
    insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata, occurred_at,
                        recorded_at)
    select 'evt_' || n, 'a.b', 'a', 'api', 'x', 'info', 'normal', '{}', '{}', now(), ${longAgo}
    from generate_series(1, 3) n`;
});

const mock = (heartbeatDetails?: unknown) => {
  const beats: unknown[] = [];
  const environment = new MockActivityEnvironment(heartbeatDetails === undefined ? {} : { heartbeatDetails });
  environment.on('heartbeat', (details: unknown) => beats.push(details));
  return { run: environment.run.bind(environment) as <T>(work: () => Promise<T>) => Promise<T>, beats };
};

test('months are dropped one by one, each told as it went', async () => {
  const { run, beats } = mock();
  const dropped = [
    { name: 'events_2020_03', events: 3 },
    { name: 'events_2020_04', events: 0 },
  ];
  expect(await run(() => activities.dropOldMonths())).toEqual(dropped);
  expect(beats).toHaveLength(2);
});

test('a try after one that took a month out and died goes on with what it had done', async () => {
  await database.log`select detach_event_partition()`;
  const { run } = mock([{ name: 'events_2020_02', events: 9 }]);
  expect(await run(() => activities.dropOldMonths())).toEqual([
    { name: 'events_2020_02', events: 9 },
    { name: 'events_2020_03', events: 3 },
    { name: 'events_2020_04', events: 0 },
  ]);
});

test('a log that stays locked fails the try within the moment it waits, with nothing taken out', async () => {
  const holder = await database.root.reserve();
  await holder`select pg_advisory_lock(7)`;
  // A reader whose statement waits keeps its lock on the log until it ends.
  const reader = database.root`select pg_advisory_xact_lock(7) from events limit 1`.execute();
  await expect
    .poll(
      () => database.log`
        select 1 from pg_locks where locktype = 'advisory' and not granted
          and database = (select oid from pg_database where datname = current_database())`,
    )
    .toHaveLength(1);
  const { run } = mock();
  await expect(run(() => activities.dropOldMonths())).rejects.toMatchObject({ code: '55P03' });
  await holder`select pg_advisory_unlock(7)`;
  holder.release();
  await reader;
  expect(await run(() => activities.dropOldMonths())).toHaveLength(2);
});

test('ids are forgotten batch by batch, over tries', async () => {
  await mock().run(() => activities.dropOldMonths());
  const { run, beats } = mock(100);
  expect(await run(() => activities.forgetOldKeys())).toBe(12_100);
  expect(beats).toEqual([5_100, 10_100, 12_100]);
});

test('a run that removed nothing leaves no trace, one that did is told once', async () => {
  const record = (events: number) =>
    mock().run(() =>
      activities.recordRetention({ runId: 'run-1', counts: { partitions: [], events, keys: 0 } }),
    );
  await record(0);
  expect((await getRetention(database.db)).appliedAt).toBeNull();
  await record(3);
  await record(3);
  const told = await database.root`select from events where type = 'bus.retention.applied'`;
  const audited = await database.root`select from audit_entries where action = 'retention.apply'`;
  expect([told.length, audited.length]).toEqual([1, 1]);
});
