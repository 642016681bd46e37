import { readMessages, type SseMessage } from '../../cli/sse.ts';
import type { Untyped } from './api.ts';

/** A reader of a live stream: all that came is kept. */
export type Follower = {
  messages: SseMessage[];
  /** Data of the events so far, in the order they came. */
  events(): Untyped[];
  lastId(): string | null;
  /** Resolves when the stream ends or breaks off. */
  ended: Promise<void>;
  stop(): void;
};

type Asked = { key: string; query?: string; lastId?: string | null };

export async function follow(url: string, { key, query = '', lastId = null }: Asked): Promise<Follower> {
  const stopping = new AbortController();
  const answer = await fetch(`${url}/v1/stream${query}`, {
    headers: {
      authorization: `Bearer ${key}`,
      ...(lastId === null ? {} : { 'last-event-id': lastId }),
    },
    signal: stopping.signal,
  });
  if (answer.status !== 200 || answer.body === null)
    throw new Error(`${answer.status} ${await answer.text()}`);
  const messages: SseMessage[] = [];
  const { body } = answer;
  const read = async (): Promise<void> => {
    for await (const message of readMessages(body)) messages.push(message);
  };
  return {
    messages,
    events: () => messages.filter(({ event }) => event === 'event').map(({ data }) => JSON.parse(data)),
    lastId: () => messages.findLast(({ id }) => id !== null)?.id ?? lastId,
    ended: read().catch(() => undefined),
    stop: () => stopping.abort(),
  };
}
