import type { Query } from './http.ts';
import { CliError } from './problem.ts';
import { bodyOf, type Session } from './session.ts';
import { pause } from './stop.ts';
import type { Event, Page } from './views.ts';

const everyMs = 1_000;
const longestPauseMs = 10_000;

/**
 * Reads the log forward from a cursor, without end; `see` returns false to stop. A break of the connection or a server
 * that is down for a while loses nothing: the next read goes on behind the last event that was seen.
 */
export async function followEvents(
  session: Session,
  start: { after: string; query: Query },
  see: (event: Event) => boolean,
): Promise<void> {
  const { api, out, stop } = session;
  let { after } = start;
  let failures = 0;
  let hasStarted = false;
  while (!stop.aborted) {
    try {
      const page = bodyOf<Page<Event>>(await api.get('/v1/events', { ...start.query, after, limit: 200 }));
      if (failures > 0) out.hint('The API answers again.');
      failures = 0;
      hasStarted = true;
      for (const event of page.items) if (!see(event)) return;
      const hasMoved = page.nextCursor !== null && page.nextCursor !== after && after !== 'now';
      after = page.nextCursor ?? after;
      // Filters leave out what was read, so only a cursor that stands still says that the log ends here.
      if (!hasMoved) await pause(everyMs, stop);
    } catch (error) {
      if (stop.aborted) return;
      if (!hasStarted || !isPassing(error)) throw error;
      failures += 1;
      if (failures === 1) out.hint(`${error.problem.detail} Trying again.`);
      await pause(Math.min(everyMs * failures, longestPauseMs), stop);
    }
  }
}

function isPassing(error: unknown): error is CliError {
  return error instanceof CliError && (error.exit === 'unavailable' || error.exit === 'limit');
}
