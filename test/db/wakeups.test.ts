import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { listenForEvents, newEvents, type Wakeups } from '../../db/wakeups.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { aDoor } from '../support/door.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  database = await openTestDatabase(2);
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const announce = () => database.root`select pg_notify('dreamnet_events', '')`;

async function openDoor() {
  const door = await aDoor(database.url);
  closing.push(door.close);
  return door;
}

test('an announcement wakes who waits, and nobody misses one that came before the wait', async () => {
  const { through } = await openDoor();
  const wakeups = await listenForEvents(through.log);
  const signal = new AbortController().signal;
  const mark = wakeups.mark([newEvents]);
  const woken = wakeups.after([newEvents], mark, 30_000, signal);
  await announce();
  expect(await woken).toBe('announced');
  expect(await wakeups.after([newEvents], mark, 30_000, signal)).toBe('announced');
});

test.each([0, 2_500])('a listener whose server was away for %d ms hears again', async (awayMs) => {
  const { through, shut, open } = await openDoor();
  const wakeups = await listenForEvents(through.log);
  await shut();
  await sleep(awayMs);
  await open();
  const mark = wakeups.mark([newEvents]);
  await eventually(async () => {
    await announce();
    await sleep(50);
    return wakeups.mark([newEvents]);
  }).toBeGreaterThan(mark + 2);
});

test('a listener that could not begin can be begun again once the server is back', async () => {
  const { through, shut, open } = await openDoor();
  await shut();
  await expect(listenForEvents(through.log)).rejects.toThrow();
  await open();
  let wakeups: Wakeups | null = null;
  await eventually(async () => {
    wakeups = await listenForEvents(through.log).catch(() => null);
    return wakeups;
  }).not.toBeNull();
  const mark = (wakeups as Wakeups | null)?.mark([newEvents]) ?? 0;
  await announce();
  await eventually(() => wakeups?.mark([newEvents])).toBeGreaterThan(mark);
});
