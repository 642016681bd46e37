import { setTimeout as wait } from 'node:timers/promises';
import { callsPerSecond } from '../parts.ts';
import { atLeast, atMost, beside, percentile, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { until } from '../until.ts';
import { openDreamnet } from './dreamnet.ts';
import { openGraphile } from './graphile.ts';
import { openPgBoss } from './pg-boss.ts';
import type { Queue } from './queue.ts';

const rounds = 3;
const singleMs = 4_000;
const concurrent = 100;
const batchSize = 100;
const batchMs = 3_000;
const writers = 4;
const backlog = 20_000;
const idleWarmUp = 10;
const idleRounds = 100;
const calmMs = 30;

type Measured = { queue: Queue; values: number[] };

/** Opens all three, gives each its turn in every round, and closes them. */
async function inTurn(
  stage: Stage,
  what: string,
  measure: (queue: Queue, round: number) => Promise<number[]>,
  turns = rounds,
): Promise<Map<string, number[]>> {
  const open: Queue[] = [];
  try {
    for (const each of [openDreamnet, openGraphile, openPgBoss]) open.push(await each(stage));
    const all: Measured[] = open.map((queue) => ({ queue, values: [] }));
    for (let round = 0; round < turns; round += 1) {
      for (const { queue, values } of round % 2 === 0 ? all : all.toReversed()) {
        stage.signal.throwIfAborted();
        values.push(...(await measure(queue, round)));
        await queue.clear();
      }
      const last = all.map(({ queue, values }) => `${queue.name} ${(values.at(-1) ?? 0).toFixed(1)}`);
      stage.log.info(`  ${what}, round ${round + 1} of ${turns}: ${last.join(', ')}`);
    }
    return new Map(all.map(({ queue, values }) => [queue.name, values]));
  } finally {
    for (const queue of open) await queue.close().catch(() => {});
  }
}

function besides(what: string, of: Map<string, number[]>, unit: string): Bar[] {
  return [...of].map(([name, values]) => beside(`${what}: ${name}`, percentile(values, 50), unit));
}

export async function measureEnqueue(stage: Stage): Promise<Bar[]> {
  let number = 0;
  const single = await inTurn(stage, 'one by one', async (queue) => [
    await callsPerSecond(concurrent, singleMs, () => queue.one((number += 1))),
  ]);
  const batched = await inTurn(stage, `in batches of ${batchSize}`, async (queue) => [
    (await callsPerSecond(writers, batchMs, () =>
      queue.many(Array.from({ length: batchSize }, () => (number += 1))),
    )) * batchSize,
  ]);
  return [
    ...besides(`enqueue one by one, ${concurrent} at once`, single, 'events/s'),
    ...besides(`enqueue in batches of ${batchSize}, ${writers} at once`, batched, 'events/s'),
  ];
}

/** A backlog is handed over to a handler that does nothing, from the start of the consumer to the last one. */
export async function measureDelivery(stage: Stage): Promise<Bar[]> {
  const rates = await inTurn(stage, `${backlog} handed over`, async (queue) => {
    for (let from = 0; from < backlog; from += 1000)
      await queue.many(Array.from({ length: 1000 }, (_, at) => from + at));
    let handled = 0;
    let lastAt = 0;
    const startedAt = performance.now();
    const consumer = await queue.consume((count) => {
      handled += count;
      lastAt = performance.now();
    });
    await until(stage.signal, `${queue.name} has handed ${backlog} over`, () => handled >= backlog, {
      timeoutMs: 120_000,
    });
    await consumer.stop();
    return [(handled * 1000) / (lastAt - startedAt)];
  });
  const [ours = [], ...peers] = rates.values();
  const names = [...rates.keys()].slice(1);
  return [
    atLeast('delivery to a no-op handler, one subscription', percentile(ours, 50), 10_000, 'events/s'),
    ...peers.map((values, at) => beside(`handed over: ${names[at]}`, percentile(values, 50), 'jobs/s')),
  ];
}

/** One at a time on an idle system: from the call that puts it in until the handler is entered. */
export async function measureIdleDelivery(stage: Stage): Promise<Bar[]> {
  const latencies = await inTurn(
    stage,
    'milliseconds to the handler',
    async (queue) => {
      const values: number[] = [];
      let handledAt = 0;
      const consumer = await queue.consume(() => {
        handledAt = performance.now();
      });
      for (let round = 0; round < idleWarmUp + idleRounds; round += 1) {
        await wait(calmMs, undefined, { signal: stage.signal });
        handledAt = 0;
        const sentAt = performance.now();
        await queue.one(round);
        await until(stage.signal, `${queue.name} hands one over`, () => handledAt > 0, { everyMs: 1 });
        if (round >= idleWarmUp) values.push(handledAt - sentAt);
      }
      await consumer.stop();
      return values;
    },
    2,
  );
  const [ours = [], ...peers] = latencies.values();
  const names = [...latencies.keys()].slice(1);
  return [
    atMost('append to handler, idle, p50', percentile(ours, 50), 20, 'ms'),
    beside('append to handler, idle, p99', percentile(ours, 99), 'ms'),
    ...peers.map((values, at) =>
      beside(`to the handler, idle, p50: ${names[at]}`, percentile(values, 50), 'ms'),
    ),
  ];
}
