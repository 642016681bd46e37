import { setTimeout as sleep } from 'node:timers/promises';

/** Ctrl-C and SIGTERM end what waits or follows; everything else ends by itself. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const end = (): void => {
    controller.abort();
    // A read of a stdin that nobody closes would hold the process for good.
    process.stdin.destroy();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  return controller.signal;
}

/** Waits, but not longer than until the stop. */
export async function pause(ms: number, stop: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal: stop });
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}
