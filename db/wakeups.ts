import type { Sql } from './client.ts';

export type Wakeups = {
  /** How many announcements of these topics there were: taken before reading, so that none is missed in between. */
  mark(topics: string[]): number;
  /** Resolves when there was an announcement after the mark, after `ms`, or when the signal aborts. */
  after(topics: string[], mark: number, ms: number, signal: AbortSignal): Promise<'announced' | 'timeout'>;
};

/** The topic of new events; what concerns one subscription has its key as topic. */
export const newEvents = '';

/** Shares one LISTEN connection between all who follow the log in this process. postgres.js listens again after a lost one. */
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
