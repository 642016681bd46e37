import { setTimeout as wait } from 'node:timers/promises';

/** Asks again until it is so; says what it waited for when that does not come in time. */
export async function until(
  signal: AbortSignal,
  what: string,
  isSo: () => boolean | Promise<boolean>,
  { everyMs = 10, timeoutMs = 30_000 } = {},
): Promise<void> {
  for (const end = performance.now() + timeoutMs; ; await wait(everyMs, undefined, { signal })) {
    signal.throwIfAborted();
    if (await isSo()) return;
    if (performance.now() > end) throw new Error(`Waited ${timeoutMs / 1000} s in vain until ${what}.`);
  }
}

/** The work's outcome, unless it takes too long or everything ends. */
export async function within<T>(signal: AbortSignal, what: string, ms: number, work: Promise<T>): Promise<T> {
  const ending = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  const never = new Promise<never>((_resolve, reject) => {
    const stop = (): void =>
      reject(signal.aborted ? asError(signal.reason) : new Error(`${ms / 1000} s were not enough: ${what}.`));
    if (ending.aborted) stop();
    ending.addEventListener('abort', stop, { once: true });
  });
  return Promise.race([work, never]);
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
