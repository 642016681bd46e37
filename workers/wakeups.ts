import type { Wakeups } from '../activities/subscriptions.ts';
import type { Sql } from '../db/client.ts';

/** Shares one LISTEN connection between all consumers of this process. postgres.js listens again after a lost one. */
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
