import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { beforeAll, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { startTestStack, type TestStack } from '../support/stack.ts';

let stack: TestStack;

beforeAll(async () => {
  stack = await startTestStack({}, { isDurable: true });
});

const batches = 60;
const batchSize = 50;

/** Asked again while what it asks is away, as a producer would. */
async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    const answer = await ask().catch(() => null);
    if (answer !== null) return answer;
    await sleep(200);
  }
}

type Sum = {
  accepted: number;
  processed: number;
  dead: number;
  pending: number;
  missed: number;
  twice: number;
};

/**
 * One statement, for the subscription of the notifications: each event leaves one in the channel, sent or folded into the
 * one that was.
 */
async function sum(channel: string): Promise<Sum> {
  return untilAnswered(async () => {
    const sql = postgres(stack.databaseUrl, { max: 1, connect_timeout: 5, onnotice: () => undefined });
    try {
      const [row] = await sql<Sum[]>`
        select (select count(*)::int from events where type = 'outage.posted') as accepted,
               (select count(distinct event_id)::int from notifications where channel_id = ${channel}) as processed,
               (select count(*)::int from dead_letters
                 where subscription = 'notify' and event_type = 'outage.posted' and error <> '') as dead,
               (select count(*)::int from deliveries d join events e on e.id = d.event_id
                 where d.subscription = 'notify' and d.state in ('pending', 'processing')
                   and e.type = 'outage.posted') as pending,
               (select count(*)::int from events e where e.type = 'outage.posted'
                 and not exists (select from notifications n where n.channel_id = ${channel} and n.event_id = e.id)
                 and not exists (select from deliveries d where d.subscription = 'notify' and d.event_id = e.id)) as missed,
               (select count(*)::int - count(distinct event_id)::int from notifications
                 where channel_id = ${channel}) as twice`;
      return row ?? null;
    } finally {
      await sql.end({ timeout: 1 }).catch(() => undefined);
    }
  }) as Promise<Sum>;
}

test('kill -9 of worker, API and Postgres during delivery: every accepted event is processed, and once', async () => {
  const { status, body } = await stack.admin<{ channel: { id: string } }>('POST', '/v1/channels', {
    name: 'outages',
    kind: 'webhook',
    config: { url: 'http://127.0.0.1:1/hook', allowPrivateNetwork: true },
    topics: ['outage.*'],
    cooldownMs: 3_600_000,
  });
  expect(status).toBe(201);
  const channel = body.channel.id;
  const ids: string[] = [];

  async function post(count: number): Promise<void> {
    for (let batch = 0; batch < count; batch += 1) {
      const events = Array.from({ length: batchSize }, (_, index) => ({
        id: newId('evt'),
        type: 'outage.posted',
        source: { type: 'system', id: 'test' },
        correlationId: 'one-thread',
        ...(index % 10 === 0 ? { deliverAt: new Date(Date.now() + 1_500).toISOString() } : {}),
      }));
      ids.push(...events.map(({ id }) => id));
      await untilAnswered(async () => {
        const answer = await stack.admin('POST', '/v1/events', events);
        return answer.status < 300 ? answer : null;
      });
    }
  }

  async function killDuring(pid: () => number): Promise<void> {
    const before = (await sum(channel)).processed;
    const posting = post(batches / 4);
    await expect
      .poll(async () => (await sum(channel)).processed, { timeout: 60_000 })
      .toBeGreaterThan(before);
    const victim = pid();
    process.kill(victim, 'SIGKILL');
    await posting;
    const after = (await sum(channel)).processed;
    await post(1);
    await expect.poll(async () => (await sum(channel)).processed, { timeout: 60_000 }).toBeGreaterThan(after);
    await expect.poll(pid, { timeout: 60_000 }).not.toBe(victim);
  }

  await killDuring(() => stack.pids().worker);
  await killDuring(() => stack.pids().api);
  await killDuring(() => stack.pids().postgres ?? 0);

  await expect
    .poll(async () => sum(channel), { timeout: 90_000, interval: 250 })
    .toEqual({ accepted: ids.length, processed: ids.length, dead: 0, pending: 0, missed: 0, twice: 0 });
}, 300_000);
