import { sql } from 'drizzle-orm';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../db/client.ts';
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

async function openDoor() {
  const door = await aDoor(database.url);
  closing.push(door.close);
  return door;
}

const ask = {
  records: async ({ db }: Database) => (await db.execute(sql`select 1 as one`)).length,
  log: async ({ log }: Database) => (await log`select 1 as one`).length,
};

describe.each(['records', 'log'] as const)('the pool of the %s', (pool) => {
  test('while the server is away every question is answered with the failure, and none waits for ever', async () => {
    const { through, shut } = await openDoor();
    expect(await ask[pool](through)).toBe(1);
    await shut();
    // More than the pool has connections: a place that is not given back would be missed by now.
    for (let index = 0; index < 6; index += 1) await expect(ask[pool](through)).rejects.toThrow();
    const many = await Promise.allSettled(Array.from({ length: 12 }, () => ask[pool](through)));
    expect(many.filter((result) => result.status === 'fulfilled')).toEqual([]);
  });

  test('goes on as soon as the server is back, with all its connections', async () => {
    const { through, shut, open } = await openDoor();
    await shut();
    await Promise.allSettled(Array.from({ length: 12 }, () => ask[pool](through)));
    await open();
    await eventually(() => ask[pool](through).catch(() => 0)).toBe(1);
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask[pool](through)));
    expect(answers).toEqual(Array.from({ length: 12 }, () => 1));
  });

  test('survives connections that are cut in the middle of their work', async () => {
    const { through, cut } = await openDoor();
    for (let round = 0; round < 10; round += 1) {
      const asked = Array.from({ length: 6 }, () => ask[pool](through));
      if (round % 2 === 0) setImmediate(cut);
      await Promise.allSettled(asked);
      cut();
    }
    await eventually(() => ask[pool](through).catch(() => 0)).toBe(1);
  });
});
