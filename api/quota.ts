import { type Counted, type Counter, createCounter, createMemoryCounter } from '../db/limits.ts';
import type { Db } from '../db/client.ts';
import { digest } from '../db/ids.ts';
import { alwaysOn } from '../domain/control.ts';
import type { ApiContext } from './context.ts';
import type { OperationFacts } from './operations.ts';
import { describeError, ProblemError } from './problems.ts';

export const minuteMs = 60_000;
const maxRemembered = 10_000;

export type Quota = ReturnType<typeof createQuota>;
type Warn = (facts: object, message: string) => void;

/** Counts what requests use; over which limit that is, their steps say. */
export function createQuota(db: Db, warn: Warn) {
  const counter: Counter = createCounter(db);
  const memory: Counter = createMemoryCounter();
  /** Credentials that were good a moment ago: whoever shows one again is counted while it is checked again. */
  const remembered = new Map<string, { principalId: string; isCounted: boolean }>();

  /** A limiter that does not answer stops whoever wants to write, and nobody who only reads (TRUST 4.35). */
  async function add(
    key: string,
    points: number,
    options: { windowMs?: number; mayFail: boolean },
  ): Promise<Counted> {
    const windowMs = options.windowMs ?? minuteMs;
    try {
      return await counter.add(key, points, windowMs);
    } catch (error) {
      warn({ err: describeError(error) }, 'the limiter does not answer');
      if (!options.mayFail)
        throw new ProblemError('UNAVAILABLE', 'Limits cannot be checked right now; nothing was done.', {
          cause: error,
        });
      return memory.add(key, points, windowMs);
    }
  }

  function countRequest(
    c: ApiContext,
    operation: OperationFacts | null,
    principalId: string,
  ): Promise<Counted> {
    // Whoever has spent everything elsewhere can still stop the system.
    const isSpared = operation !== null && alwaysOn.includes(operation.cluster);
    const key = isSpared ? `tier:${principalId}:${operation.cluster}` : `tier:${principalId}`;
    return add(key, 1, { mayFail: isSpared || isRead(c) });
  }

  function credentialOf(c: ApiContext): string {
    return digest(c.req.header('authorization') ?? '');
  }

  return {
    add,
    countRequest,

    async giveBack(key: string, points: number): Promise<void> {
      await counter.giveBack(key, points, minuteMs);
    },

    /**
     * Begins to count a request while its credential is still being checked, so that counting costs it no time. That is
     * only done for a credential that was good before: nobody can use up the limit of another.
     */
    countEarly(c: ApiContext, operation: OperationFacts | null): void {
      const known = remembered.get(credentialOf(c));
      if (known === undefined || !known.isCounted) return;
      const counted = countRequest(c, operation, known.principalId);
      // Whoever waits for it meets the failure; a request that ends before that does not.
      counted.catch(() => undefined);
      c.set('counted', counted);
    },

    remember(c: ApiContext, principalId: string, isCounted: boolean): void {
      if (remembered.size >= maxRemembered) remembered.clear();
      remembered.set(credentialOf(c), { principalId, isCounted });
    },
  };
}

export function isRead(c: ApiContext): boolean {
  return c.req.method === 'GET' || c.req.method === 'HEAD';
}

/** Writes the standing of a limit into the answer, unless it already shows a stricter one. */
export function showLimit(c: ApiContext, limit: number, { count, resetMs }: Counted): void {
  const remaining = Math.max(0, limit - count);
  const shown = c.get('remaining');
  if (shown !== undefined && shown <= remaining) return;
  c.set('remaining', remaining);
  c.header('RateLimit-Policy', `${limit};w=60`);
  c.header('RateLimit-Limit', String(limit));
  c.header('RateLimit-Remaining', String(remaining));
  c.header('RateLimit-Reset', String(Math.ceil(resetMs / 1000)));
}

/** The refusal of whoever is over a limit, with the time after which to come back. */
export function overLimit(
  c: ApiContext,
  message: string,
  resetMs: number,
  details: object = {},
): ProblemError {
  const seconds = Math.max(1, Math.ceil(resetMs / 1000));
  c.header('Retry-After', String(seconds));
  return new ProblemError('LIMIT', `${message} Try again in ${seconds} s.`, {
    details: { ...details, retryAfterSeconds: seconds },
  });
}
