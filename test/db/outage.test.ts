import net from 'node:net';
import { sql } from 'drizzle-orm';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../db/client.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from './eventually.ts';

let database: TestDatabase;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  database = await openTestDatabase(2);
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A way to the database that can be closed and opened again, as a server that is restarted. */
async function aDoor() {
  const target = new URL(database.url);
  const sockets = new Set<net.Socket>();
  const proxy = net.createServer((inside) => {
    sockets.add(inside);
    inside.on('close', () => sockets.delete(inside)).on('error', () => undefined);
    const outside = net.connect(Number(target.port), target.hostname);
    outside.on('error', () => inside.destroy()).on('close', () => inside.destroy());
    inside.on('close', () => outside.destroy());
    inside.pipe(outside);
    outside.pipe(inside);
  });
  const listen = (port: number) => new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = proxy.address() as net.AddressInfo;
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  const url = new URL(database.url);
  url.port = String(port);
  const through = openDatabase(url.href, { name: 'test', connections: 3 });
  const shut = async (): Promise<void> => {
    const closed = new Promise((resolve) => proxy.close(resolve));
    cut();
    await closed;
  };
  closing.push(async () => {
    await through.close();
    if (proxy.listening) await shut();
  });
  return {
    through,
    cut,
    shut,
    open: () => listen(port),
  };
}

const ask = {
  records: async ({ db }: Database) => (await db.execute(sql`select 1 as one`)).length,
  log: async ({ log }: Database) => (await log`select 1 as one`).length,
};

describe.each(['records', 'log'] as const)('the pool of the %s', (pool) => {
  test('while the server is away every question is answered with the failure, and none waits for ever', async () => {
    const { through, shut } = await aDoor();
    expect(await ask[pool](through)).toBe(1);
    await shut();
    // More than the pool has connections: a place that is not given back would be missed by now.
    for (let index = 0; index < 6; index += 1) await expect(ask[pool](through)).rejects.toThrow();
    const many = await Promise.allSettled(Array.from({ length: 12 }, () => ask[pool](through)));
    expect(many.filter((result) => result.status === 'fulfilled')).toEqual([]);
  });

  test('goes on as soon as the server is back, with all its connections', async () => {
    const { through, shut, open } = await aDoor();
    await shut();
    await Promise.allSettled(Array.from({ length: 12 }, () => ask[pool](through)));
    await open();
    await eventually(() => ask[pool](through).catch(() => 0)).toBe(1);
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask[pool](through)));
    expect(answers).toEqual(Array.from({ length: 12 }, () => 1));
  });

  test('survives connections that are cut in the middle of their work', async () => {
    const { through, cut } = await aDoor();
    for (let round = 0; round < 10; round += 1) {
      const asked = Array.from({ length: 6 }, () => ask[pool](through));
      if (round % 2 === 0) setImmediate(cut);
      await Promise.allSettled(asked);
      cut();
    }
    await eventually(() => ask[pool](through).catch(() => 0)).toBe(1);
  });
});
