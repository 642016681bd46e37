export type Repeated = { stop(): Promise<void> };

/** Does one round after the other with a pause in between; what goes wrong in one is told, and the next one tries again. */
export function repeat(
  everyMs: number,
  round: (count: number) => Promise<void>,
  warn: (error: unknown) => void,
): Repeated {
  let stopped = false;
  let wake: () => void = () => undefined;

  async function loop(): Promise<void> {
    for (let count = 0; !stopped; count += 1) {
      await round(count).catch(warn);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, everyMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (stopped) wake();
      });
    }
  }

  const running = loop();
  return {
    stop() {
      stopped = true;
      wake();
      return running;
    },
  };
}

/** One that cannot be helped now must not hold up the others. */
export async function each<T>(
  items: T[],
  work: (item: T) => Promise<void>,
  warn: (error: unknown) => void,
): Promise<void> {
  const results = await Promise.allSettled(items.map(work));
  for (const result of results) if (result.status === 'rejected') warn(result.reason);
}
