import type { Query } from './http.ts';
import { isPassing } from './look.ts';
import { CliError, localError } from './problem.ts';
import { bodyOf, type Session } from './session.ts';
import { readMessages } from './sse.ts';
import { pause } from './stop.ts';
import type { Event } from './bus-views.ts';
import type { Page } from './views.ts';

const everyMs = 1_000;
const longestPauseMs = 10_000;

/** `see` returns false to stop. */
type Following = { session: Session; query: Query; after: string; see: (event: Event) => boolean };
/** What one reading came to: it was stopped, it can be gone on with, or the server has no stream. */
type Outcome = 'stopped' | 'again' | 'no-stream';

/**
 * Reads the log forward from a cursor, without end. A break of the connection or a server that is down for a while
 * loses nothing: the next read goes on behind the last event that was seen.
 */
export async function followEvents(
  session: Session,
  start: { after: string; query: Query },
  see: (event: Event) => boolean,
): Promise<void> {
  const following: Following = { session, ...start, see };
  const { out, stop } = session;
  let read = readStream;
  let failures = 0;
  const started = { yet: false };
  const onAnswer = (): void => {
    if (failures > 0) out.hint('The API answers again.');
    failures = 0;
    started.yet = true;
  };
  while (!stop.aborted) {
    try {
      const outcome = await read(following, onAnswer);
      if (outcome === 'stopped') return;
      if (outcome === 'no-stream') read = readPage;
    } catch (error) {
      if (stop.aborted) return;
      if (!started.yet || !isPassing(error)) throw error;
      failures += 1;
      if (failures === 1) out.hint(`${error.problem.detail} Trying again.`);
      await pause(Math.min(everyMs * failures, longestPauseMs), stop);
    }
  }
}

/** The live stream until it ends; its last id is where the next one begins. */
async function readStream(following: Following, onAnswer: () => void): Promise<Outcome> {
  const { session, query } = following;
  try {
    const body = session.api.stream('/v1/stream', { ...query, after: following.after });
    for await (const { id, event, data } of readMessages(body)) {
      onAnswer();
      if (id !== null) following.after = id;
      if (event === 'event' && !following.see(JSON.parse(data) as Event)) return 'stopped';
      if (event === 'gap') session.out.hint(noticeOf(data).message ?? 'Events are missing here.');
      if (event === 'end') endOf(noticeOf(data));
    }
  } catch (error) {
    if (error instanceof CliError && error.exit === 'notFound') return 'no-stream';
    throw error;
  }
  throw localError('unavailable', `${session.api.url} ended the stream.`);
}

type Notice = { reason?: string; detail?: string; message?: string };

function noticeOf(data: string): Notice {
  return JSON.parse(data) as Notice;
}

/** Whoever may not read on must not come again; any other end is a pause. */
function endOf({ reason, detail = 'The stream was ended.' }: Notice): never {
  throw localError(reason === 'revoked' ? 'forbidden' : 'unavailable', detail);
}

/** One page, for a server that has no stream. */
async function readPage(following: Following, onAnswer: () => void): Promise<Outcome> {
  const { session, query, after, see } = following;
  const page = bodyOf<Page<Event>>(await session.api.get('/v1/events', { ...query, after, limit: 200 }));
  onAnswer();
  for (const event of page.items) if (!see(event)) return 'stopped';
  const hasMoved = page.nextCursor !== null && page.nextCursor !== after && after !== 'now';
  following.after = page.nextCursor ?? after;
  // Filters leave out what was read, so only a cursor that stands still says that the log ends here.
  if (!hasMoved) await pause(everyMs, session.stop);
  return 'again';
}
