import { eventTypes, type LoggedEvent } from './events.ts';
import type { JsonObject } from './json.ts';

/*
 * Delivery of one event to one subscription (LEDGER 5.3):
 * pending -> processing -> completed | failed; failed -> pending while attempts are left, else a dead letter.
 * What a batch completes in its first attempt leaves no row: the cursor has passed it. A row stands for what was
 * delayed, queued, retried or replayed.
 */
export const deliveryStates = ['pending', 'processing', 'completed', 'failed'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** How a subscription chooses and orders its events (BUS-063 to BUS-067). */
export const strategies = ['broadcast', 'direct', 'filtered', 'priority', 'balanced'] as const;
export type Strategy = (typeof strategies)[number];

export type RetryPolicy = { maxAttempts: number; backoffMs: number; maxBackoffMs: number };

/** 5 attempts, 1 s doubled each time, at most 1 min (LEDGER 5.6). */
export const defaultRetry: RetryPolicy = { maxAttempts: 5, backoffMs: 1_000, maxBackoffMs: 60_000 };

/**
 * How long a delivery waits after so many failed attempts: somewhere below a limit that doubles each time, so that what
 * failed together does not come back together. `random` lies between 0 and 1.
 */
export function nextDueMs(policy: RetryPolicy, attempts: number, random: number): number {
  const limit = Math.min(policy.maxBackoffMs, policy.backoffMs * 2 ** Math.min(attempts - 1, 40));
  return Math.round(limit * random);
}

/** A delivery is given up when another attempt cannot help, or when it has had all it may have. */
export function isGivenUp(policy: RetryPolicy, attempts: number, isFinal: boolean): boolean {
  return isFinal || attempts >= policy.maxAttempts;
}

/** Whether a failure is news: neither the news of failures nor what HALO says is told again (LEDGER 5.4). */
export function isToldWhenFailed(event: Pick<LoggedEvent, 'type' | 'sourceType'>): boolean {
  return event.type !== eventTypes.processingFailed && event.sourceType !== 'halo';
}

export type Attempt = { at: string; cause: string; error: string };

/** One event handed to a handler. */
export type Delivery = {
  event: LoggedEvent;
  /** Which part of the handler it is for, such as one wormhole of many; empty for all. */
  part: string;
  /** 1 for the first time. */
  attempt: number;
  /** Set for an event of a replay: a handler without leave for side effects says what it would do, and does nothing. */
  replay: { id: string; sideEffects: boolean } | null;
};

export type DeliveryFailure = {
  eventId: string;
  part: string;
  /** A word for the kind of failure, in capitals: `HANDLER_FAILED`, `UNREACHABLE`, `REFUSED`. */
  cause: string;
  error: string;
  /** True when another attempt cannot help. */
  isFinal?: boolean;
};

export type DeliveryReport = {
  failures: DeliveryFailure[];
  /** Parts that are slow or go outside: stored as deliveries of their own and handed over apart from the cursor. */
  later: { eventId: string; part: string }[];
};

export const nothingFailed: DeliveryReport = { failures: [], later: [] };

/** What a handler would do with an event: one line for a person, and the same as data. */
export type Preview = { eventId: string; part: string; would: string; detail: JsonObject };

/** The subscription on whose behalf a handler acts. */
export type DeliveryContext<Config = JsonObject> = {
  subscription: string;
  config: Config;
  /** Aborts when the consumer's turn ends or its lease was taken over. */
  signal: AbortSignal;
};

export type EventHandler = {
  /**
   * Acts. Called at least once for each event, so it is idempotent by subscription, event, part and replay. It throws
   * only when nothing could be tried (the record or Temporal is away): then the events stay where they are.
   */
  deliver(deliveries: Delivery[], context: DeliveryContext): Promise<DeliveryReport>;
  /** Says what `deliver` would do, with nothing done and nothing written. */
  preview(deliveries: Delivery[], context: DeliveryContext): Promise<Preview[]>;
};
