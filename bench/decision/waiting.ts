import { setTimeout as wait } from 'node:timers/promises';
import { listUnstartedTasks } from '../../db/tasks.ts';
import type { Agent } from '../agent.ts';
import { residentMiB } from '../proc.ts';
import { atLeast, atMost, beside, percentile, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { until } from '../until.ts';
import { storedBytes } from './stores.ts';
import { approve, propose, type Proposal } from './tasks.ts';

const lanes = 8;
const createMs = 480_000;
const calmMs = 5_000;
const firstLook = 2_000;
const decisions = 200;
const progressEveryMs = 10_000;

/** Many tasks wait at once: what they cost, and whether a decision on one of them is still quick. */
export async function measureWaiting(stage: Stage, agent: Agent, count: number): Promise<Bar[]> {
  const { stack, log, signal } = stage;
  const waiting: Proposal[] = [];
  const some = Math.min(firstLook, Math.ceil(count / 2));
  const memory = (): number => residentMiB(stack.pids().worker);
  const before = await storedBytes(stage);
  const memoryBefore = memory();
  const firstMs = await proposeUntil(stage, waiting, some, createMs);
  await untilCalm(stage);
  const memoryOfSome = memory();
  const allMs = firstMs + (await proposeUntil(stage, waiting, count, createMs - firstMs));
  await untilCalm(stage);
  const memoryOfAll = memory();
  const after = await storedBytes(stage);
  const kib = (store: 'postgres' | 'temporal'): number =>
    (after[store] - before[store]) / waiting.length / 1024;

  const chosen = shuffle(waiting).slice(0, decisions);
  const times: number[] = [];
  for (const [index, proposal] of chosen.entries()) {
    signal.throwIfAborted();
    times.push((await approve(stage, agent, proposal)).ms);
    if ((index + 1) % 50 === 0) log.info(`  ${index + 1} of ${chosen.length} decisions`);
  }
  return [
    atLeast('tasks waiting for approval', waiting.length, count, 'tasks'),
    beside(`created over HTTP, ${lanes} at a time`, waiting.length / (allMs / 1000), 'tasks/s'),
    beside('memory of the worker, before', memoryBefore, 'MiB'),
    beside(`memory of the worker, ${some} waiting`, memoryOfSome, 'MiB'),
    beside(`memory of the worker, ${waiting.length} waiting`, memoryOfAll, 'MiB'),
    atMost('memory of the worker, growth', memoryOfAll / memoryOfSome, 1.25, 'x'),
    atMost('stored for a waiting task', kib('postgres') + kib('temporal'), 20, 'KiB'),
    beside('stored for a waiting task in Postgres', kib('postgres'), 'KiB'),
    beside('stored for a waiting task by Temporal', kib('temporal'), 'KiB'),
    atMost('decision to agent, many waiting, p99', percentile(times, 99), 150, 'ms'),
    beside('decision to agent, many waiting, p50', percentile(times, 50), 'ms'),
  ];
}

/** Proposes until there are so many, or the time is over; says how long that took. */
async function proposeUntil(
  stage: Stage,
  waiting: Proposal[],
  count: number,
  limitMs: number,
): Promise<number> {
  const startedAt = performance.now();
  let next = waiting.length;
  let saidAt = startedAt;
  const lane = async (): Promise<void> => {
    while (next < count && performance.now() - startedAt < limitMs) {
      stage.signal.throwIfAborted();
      next += 1;
      waiting.push(await propose(stage, next));
      if (performance.now() - saidAt < progressEveryMs) continue;
      saidAt = performance.now();
      stage.log.info(`  ${waiting.length} tasks wait for approval`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  stage.log.info(`  ${waiting.length} tasks wait for approval`);
  return performance.now() - startedAt;
}

async function untilCalm({ database, signal }: Stage): Promise<void> {
  const isNoneLeft = async (): Promise<boolean> => (await listUnstartedTasks(database.db, 0, 1)).length === 0;
  await until(signal, 'each task has its run', isNoneLeft, { everyMs: 200, timeoutMs: 120_000 });
  await wait(calmMs, undefined, { signal });
}

function shuffle<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
