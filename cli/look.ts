import { visible } from './escape.ts';
import { CliError } from './problem.ts';
import type { Session } from './session.ts';

/** An error that is over by itself: the API is away, or a limit was reached. */
export function isPassing(error: unknown): error is CliError {
  return error instanceof CliError && (error.exit === 'unavailable' || error.exit === 'limit');
}

/** One look of a watcher; null while the API is away or at the stop. Only the first has to succeed. */
export async function look<T>(
  { out, stop }: Session,
  read: () => Promise<T>,
  isFirst: boolean,
): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (stop.aborted) return null;
    if (isFirst || !isPassing(error)) throw error;
    out.hint(`${visible(error.problem.detail)} Trying again.`);
    return null;
  }
}
