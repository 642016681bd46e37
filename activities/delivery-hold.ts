import type { Db } from '../db/client.ts';
import { holdOn } from '../db/kill-switch.ts';
import type { Refusal } from '../domain/refusal.ts';
import { Unavailable } from './event-handlers.ts';

/** The kill switch that holds the deliveries of a subscription back; null when none does. */
export function holdOnDeliveries(db: Db, key: string): Promise<Refusal | null> {
  return asUnavailable(() => holdOn(db, { kind: 'delivery', target: `subscription:${key}` }, 'dispatch'));
}

/** A record that does not answer is no event's fault. */
export async function asUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Unavailable('The record does not answer.', { cause: error });
  }
}
