import { notMeasured, type Bar } from './report.ts';
import type { Stage } from './stage.ts';
import { within } from './until.ts';

export type Part = { title: string; limitMs: number; measure: (stage: Stage) => Promise<Bar[]> };

/** Measures the wanted parts one after the other. A part that breaks counts as missed; the others are still measured. */
export async function measureParts<Name extends string>(
  stage: Stage,
  parts: Record<Name, Part>,
  only: readonly string[],
): Promise<Bar[]> {
  const { log, signal } = stage;
  const bars: Bar[] = [];
  for (const [name, { title, limitMs, measure }] of Object.entries<Part>(parts)) {
    if (!only.includes(name)) continue;
    log.info(`${name}: ${title}`);
    const limited = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
    const work = measure({ ...stage, signal: limited });
    try {
      bars.push(...(await within(signal, title, limitMs, work)));
    } catch (error) {
      signal.throwIfAborted();
      log.warn(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      bars.push(notMeasured(title));
      await work.catch(() => {});
    }
  }
  return bars;
}

/** So many at once, each one call after the other, for so long; answers calls a second. */
export async function callsPerSecond(many: number, ms: number, call: () => Promise<void>): Promise<number> {
  let done = 0;
  const startedAt = performance.now();
  const until = startedAt + ms;
  const caller = async (): Promise<void> => {
    while (performance.now() < until) {
      await call();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: many }, caller));
  return (done * 1000) / (performance.now() - startedAt);
}
