import { setTimeout as wait } from 'node:timers/promises';
import { cpuSeconds, cpuSecondsOfFamily } from '../proc.ts';
import { atMost, beside, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';

const calmMs = 5_000;
const windowMs = 20_000;

/** Processor time while nothing is to be done. */
export async function measureIdle({ stack, signal }: Stage): Promise<Bar[]> {
  const { api, worker, temporal, postgres } = stack.pids();
  if (temporal === null || postgres === null) throw new Error('The servers have to be the local ones.');
  const read = () => ({
    atMs: performance.now(),
    api: cpuSeconds(api),
    worker: cpuSeconds(worker),
    temporal: cpuSeconds(temporal),
    postgres: cpuSecondsOfFamily(postgres),
  });
  await wait(calmMs, undefined, { signal });
  const start = read();
  await wait(windowMs, undefined, { signal });
  const end = read();
  const percent = (what: 'api' | 'worker' | 'temporal' | 'postgres'): number =>
    (100_000 * (end[what] - start[what])) / (end.atMs - start.atMs);
  const unit = '% of a core';
  return [
    atMost('idle cost of our own processes', percent('api') + percent('worker'), 3, unit),
    beside('idle cost of the API', percent('api'), unit),
    beside('idle cost of the worker', percent('worker'), unit),
    beside('idle cost of Temporal', percent('temporal'), unit),
    beside('idle cost of Postgres, all processes', percent('postgres'), unit),
  ];
}
