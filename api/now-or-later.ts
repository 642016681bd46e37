import type { JsonObject } from '../domain/json.ts';
import type { ApiDeps } from './context.ts';
import { describeError, ProblemError } from './problems.ts';

/** Has Temporal do what is on record already; null where it does not answer, and the worker has it done later. */
export async function nowOrLater<T>(
  { log }: Pick<ApiDeps, 'log'>,
  work: () => Promise<T>,
  undone: string,
  about: JsonObject,
): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ProblemError) || error.code !== 'UNAVAILABLE') throw error;
    log.warn({ err: describeError(error), ...about }, undone);
    return null;
  }
}
