import { beforeAll, beforeEach, expect, test } from 'vitest';
import { checkGrowth, listGrowthAlerts } from '../../db/dead-letter-growth.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { aSubscription, someLetters } from '../support/dead-letters.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await openTestDatabase(20);
});
beforeEach(async () => {
  await database.root`delete from dead_letters`;
});

const limits = { open: 10, growth: 4, cooldownMs: 3_600_000 };
const hourMs = 3_600_000;
const check = () => checkGrowth(database.db, limits);
const passMinutes = (minutes: number) => database.root`
  update dead_letter_alerts set raised_at = raised_at - make_interval(mins => ${minutes})`;
const told = async (subscription: string) => {
  const rows = await database.root<Record<string, unknown>[]>`
    select type, severity, priority, payload from events where source_id = ${subscription} order by seq`;
  return [...rows];
};
const standing = async () => (await listGrowthAlerts(database.db)).map(({ subscription }) => subscription);

test('too many open ones raise one alert, urgent and with the counts, however often it is looked', async () => {
  const subscription = await aSubscription(database);
  await someLetters(database, subscription, 10, { ageMs: hourMs });
  expect((await check()).raised).toEqual([]);
  await someLetters(database, subscription, 1, { ageMs: hourMs });
  expect((await check()).raised).toEqual([subscription]);
  expect((await check()).raised).toEqual([]);
  expect(await told(subscription)).toMatchObject([
    {
      ...{ type: 'bus.dead-letters.growing', severity: 'error', priority: 'high' },
      payload: { subscription, open: 11, grown: 0, reason: expect.stringContaining('11 open (limit 10)') },
    },
  ]);
  expect(await standing()).toContain(subscription);
});

test('a few in a short time raise one, though there are not many', async () => {
  const subscription = await aSubscription(database);
  await someLetters(database, subscription, 5);
  expect((await check()).raised).toEqual([subscription]);
});

test('of sixteen workers that look at once one raises it', async () => {
  const subscription = await aSubscription(database);
  await someLetters(database, subscription, 11);
  const looks = await Promise.all(Array.from({ length: 16 }, check));
  expect(looks.flatMap(({ raised }) => raised)).toEqual([subscription]);
  expect(await told(subscription)).toHaveLength(1);
});

test('what lasts is told again after each cooldown, and not before', async () => {
  const subscription = await aSubscription(database);
  await someLetters(database, subscription, 11);
  await check();
  await passMinutes(59);
  expect((await check()).raised).toEqual([]);
  await passMinutes(2);
  expect((await check()).raised).toEqual([subscription]);
  expect(await told(subscription)).toHaveLength(2);
});

test('it is over once below half, which is told too, and the next one waits for the cooldown', async () => {
  const subscription = await aSubscription(database);
  const letters = await someLetters(database, subscription, 11, { ageMs: hourMs });
  await check();
  const handle = (count: number) => database.root`
    update dead_letters set state = 'discarded' where id = any(${letters.slice(0, count).map(({ id }) => id)})`;
  await handle(6);
  expect((await check()).cleared).toEqual([]);
  await handle(7);
  expect((await check()).cleared).toEqual([subscription]);
  expect((await check()).cleared).toEqual([]);
  expect(await standing()).not.toContain(subscription);
  await someLetters(database, subscription, 11, { ageMs: hourMs });
  expect((await check()).raised).toEqual([]);
  await passMinutes(61);
  expect((await check()).raised).toEqual([subscription]);
  expect((await told(subscription)).map(({ type }) => type)).toEqual([
    'bus.dead-letters.growing',
    'bus.dead-letters.settled',
    'bus.dead-letters.growing',
  ]);
});

test('it is over, too, once nothing at all is left', async () => {
  const subscription = await aSubscription(database);
  await someLetters(database, subscription, 11);
  await check();
  await database.root`update dead_letters set state = 'requeued' where subscription = ${subscription}`;
  expect((await check()).cleared).toEqual([subscription]);
});

test('each subscription has an alert of its own', async () => {
  const [one, other] = [await aSubscription(database), await aSubscription(database)];
  await someLetters(database, one, 11);
  await someLetters(database, other, 11);
  expect((await check()).raised.sort()).toEqual([one, other].sort());
});
