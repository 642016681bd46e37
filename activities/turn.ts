import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../db/client.ts';
import type { SubscriptionRow } from '../db/subscriptions.ts';
import type { Wakeups } from '../db/wakeups.ts';
import type { DeliveryContext, EventHandler, RetryPolicy } from '../domain/delivery.ts';
import type { Routable } from '../domain/routing.ts';
import { Unavailable } from './event-handlers.ts';

/** Why a consumer stopped: its time is up, it may deliver no more, it must begin with another row, or somebody else does. */
export type Ended = 'turn-over' | 'paused' | 'switched-off' | 'changed' | 'taken-over';

/** One turn of a consumer: what it delivers, and until when. */
export type Turn = {
  database: Database;
  row: SubscriptionRow;
  consumer: number;
  /** Names this turn among all of them. */
  holder: string;
  handler: EventHandler;
  routable: Routable;
  wakeups: Wakeups;
  until: number;
  /** No new work after this. */
  stop: AbortSignal;
  /** Aborts work under way. */
  signal: AbortSignal;
  count: { delivered: number; failed: number };
  warn(message: string, error: unknown): void;
};

export function contextOf({ row, signal }: Turn): DeliveryContext {
  return { subscription: row.key, config: row.config, signal };
}

export function retryOf({ row }: Turn): RetryPolicy {
  return { maxAttempts: row.maxAttempts, backoffMs: row.backoffMs, maxBackoffMs: row.maxBackoffMs };
}

/** Waits, or returns early when the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

const shortestRetryMs = 250;
const longestRetryMs = 10_000;

/** How long to leave alone what could not be tried so many times in a row. */
export function unavailableForMs(error: unknown, times: number): number {
  if (error instanceof Unavailable && error.retryInMs !== undefined) return error.retryInMs;
  return Math.min(longestRetryMs, shortestRetryMs * 2 ** Math.min(times, 10));
}

const longestAnswerMs = 8_000;
const longestHandOverMs = 120_000;

/**
 * An answer that does not come is a lost one: a connection can die in a way that its driver never tells. What was asked
 * may still be carried out; the fences of lanes and claims see to that.
 */
export function answered<T>(what: Promise<T>, ms = longestAnswerMs): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Unavailable(`There was no answer within ${ms} ms`)), ms);
  });
  return Promise.race([what, late]).finally(() => clearTimeout(timer));
}

/** The same for a handler, which may be busy with others for a while. */
export function handled<T>(what: Promise<T>): Promise<T> {
  return answered(what, longestHandOverMs);
}
