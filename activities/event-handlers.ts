import type { EventHandler } from '../domain/delivery.ts';

/** Handlers by the name a subscription gives. */
export type EventHandlers = Record<string, EventHandler>;

/**
 * Nothing could be tried: the record, Temporal or a kill switch stands in the way. The events stay where they are, no
 * attempt is counted, and the consumer asks again after a while.
 */
export class Unavailable extends Error {
  /** When to ask again; without one the consumer waits longer each time. */
  readonly retryInMs: number | undefined;

  constructor(message: string, options: { cause?: unknown; retryInMs?: number } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'Unavailable';
    this.retryInMs = options.retryInMs;
  }
}

/**
 * A session that was ended, a connection that was lost or refused, a server that starts or stops or has no place left, a
 * lock that somebody else held: the statement itself is not to blame.
 */
const outage = /^(08|53|57P0|55P03|40P01|CONNECT|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_)/;

/** True when what was thrown says that nothing could be tried, however deep that lies. */
export function isUnavailable(error: unknown): boolean {
  for (let one = error, depth = 0; one instanceof Error && depth < 5; one = one.cause, depth += 1) {
    if (one instanceof Unavailable) return true;
    const { code } = one as { code?: unknown };
    if (typeof code === 'string' && outage.test(code)) return true;
  }
  return false;
}
