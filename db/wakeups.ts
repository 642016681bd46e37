import type { Sql } from './client.ts';

export type Wakeups = {
  /** How many announcements there were so far: taken before reading, so that none is missed in between. */
  mark(): number;
  /** Resolves when there was an announcement after the mark, after `ms`, or when the signal aborts. */
  after(mark: number, ms: number, signal: AbortSignal): Promise<'announced' | 'timeout'>;
};

/** Shares one LISTEN connection between all who follow the log in this process. postgres.js listens again after a lost one. */
export async function listenForEvents(log: Sql): Promise<Wakeups> {
  let announced = 0;
  const waiting = new Set<() => void>();
  const announce = (): void => {
    announced += 1;
    for (const wake of [...waiting]) wake();
  };
  await log.listen('dreamnet_events', announce, announce);
  return {
    mark: () => announced,
    after(mark, ms, signal) {
      if (announced > mark || signal.aborted) return Promise.resolve('announced');
      return new Promise((resolve) => {
        const done = (how: 'announced' | 'timeout'): void => {
          clearTimeout(timer);
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve(how);
        };
        const wake = (): void => done('announced');
        const timer = setTimeout(() => done('timeout'), ms);
        waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}
