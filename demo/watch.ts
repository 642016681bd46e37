import { setTimeout as wait } from 'node:timers/promises';

// 600 questions a minute stay below what a founder may ask.
const everyMs = 100;
const defaultTimeoutMs = 30_000;

/** Throws a sentence about the world when it is not as it has to be. */
export function must(isSo: boolean, what: string): asserts isSo {
  if (!isSo) throw new Error(`It should be so, and is not: ${what}.`);
}

export type Until = <T>(what: string, ask: () => Promise<T | null>, timeoutMs?: number) => Promise<T>;

/** Asks again until there is an answer; says what it waited for when there is none in time. */
export function createUntil(signal: AbortSignal): Until {
  return async (what, ask, timeoutMs = defaultTimeoutMs) => {
    for (const end = Date.now() + timeoutMs; ;) {
      signal.throwIfAborted();
      const answer = await ask();
      if (answer !== null) return answer;
      if (Date.now() > end) throw new Error(`Waited ${timeoutMs / 1000} s in vain for this: ${what}.`);
      await wait(everyMs);
    }
  };
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
