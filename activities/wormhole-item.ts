import type { Database } from '../db/client.ts';
import type { SecretBox } from '../db/sealed.ts';
import type { ResultKey } from '../db/wormhole-results.ts';
import type { WormholeRow } from '../db/wormholes.ts';
import type { Delivery, DeliveryFailure } from '../domain/delivery.ts';
import type { LoggedEvent } from '../domain/events.ts';
import type { Plan } from '../domain/wormhole-effect.ts';
import type { Unavailable } from './event-handlers.ts';

type StartableTask = {
  id: string;
  run: number;
  title: string;
  target: string;
  state: string;
  severity: string;
};

export type WormholeDeps = {
  database: Database;
  runs: {
    triggerHalo(events: LoggedEvent[]): Promise<void>;
    startTask(task: StartableTask): Promise<void>;
  };
  /** Root of the secrets that receivers check our signatures with. */
  agentRoot: string;
  secretBox: SecretBox;
  log: { warn(message: string, meta?: Record<string, unknown>): unknown };
};

/** One event at one wormhole whose match it meets. */
export type Item = { delivery: Delivery; row: WormholeRow; plan: Plan };

export function keyOf({ delivery, row }: Item): ResultKey {
  return { wormhole: row.id, eventId: delivery.event.id, replay: delivery.replay?.id ?? '' };
}

/** How the items of one wormhole ended; what is in neither list is done. */
export type ItemsEnd = {
  failures: DeliveryFailure[];
  later: { eventId: string; part: string }[];
  /** Something that has to come back first; the items it holds up are handed over again. */
  unavailable: Unavailable | null;
};

export const allDone: ItemsEnd = { failures: [], later: [], unavailable: null };

export function failed(items: Item[], cause: string, error: string, isFinal = false): DeliveryFailure[] {
  return items.map(({ delivery, row }) => ({
    eventId: delivery.event.id,
    part: row.id,
    cause,
    error,
    ...(isFinal && { isFinal }),
  }));
}

/** Asks for these to be handed over again by themselves, as a part of their own. */
export function putOff(items: Item[]): ItemsEnd['later'] {
  return items.map(({ delivery, row }) => ({ eventId: delivery.event.id, part: row.id }));
}
