import type { Wakeups } from '../activities/turn.ts';
import type { Sql } from '../db/client.ts';

/** Shares one LISTEN connection between all consumers of this process. postgres.js listens again after a lost one. */
export async function listenForEvents(log: Sql): Promise<Wakeups> {
  const announced = new Map<string, number>();
  let reconnected = 0;
  const waiting = new Set<{ topics: string[]; wake: () => void }>();
  const wakeThose = (isMeant: (topics: string[]) => boolean): void => {
    for (const { topics, wake } of [...waiting]) if (isMeant(topics)) wake();
  };
  const mark = (topics: string[]): number =>
    topics.reduce((sum, topic) => sum + (announced.get(topic) ?? 0), reconnected);

  await log.listen(
    'dreamnet_events',
    (topic) => {
      announced.set(topic, (announced.get(topic) ?? 0) + 1);
      wakeThose((topics) => topics.includes(topic));
    },
    () => {
      reconnected += 1;
      wakeThose(() => true);
    },
  );

  return {
    mark,
    after(topics, before, ms, signal) {
      if (mark(topics) > before || signal.aborted) return Promise.resolve('announced');
      return new Promise((resolve) => {
        const done = (how: 'announced' | 'timeout'): void => {
          clearTimeout(timer);
          waiting.delete(entry);
          signal.removeEventListener('abort', wake);
          resolve(how);
        };
        const wake = (): void => done('announced');
        const entry = { topics, wake };
        const timer = setTimeout(() => done('timeout'), ms);
        waiting.add(entry);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}
