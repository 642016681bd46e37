import { and, desc, eq, inArray } from 'drizzle-orm';
import type { LoggedEvent } from '../domain/events.ts';
import type { Database, Db, Sql } from './client.ts';
import { loggedColumns, type Position } from './events.ts';
import { deadLetters, deliveries, subscriptionLanes, subscriptionStarts } from './schema/index.ts';
import { shareNumber } from './lane-reader.ts';
import type { LaneRow } from './subscriptions.ts';

export type DeliveryRow = typeof deliveries.$inferSelect;
export type DeadLetterRow = typeof deadLetters.$inferSelect;

/** An event as its subscribers see it, and the share of a balanced subscription it falls into, before the division. */
export type RoutedEvent = { event: LoggedEvent; share: number };

export async function getRouted(log: Sql, id: string): Promise<RoutedEvent | null> {
  const [row] = await log<(LoggedEvent & { share: number })[]>`
    select ${loggedColumns(log)}, ${shareNumber(log)} as share
    from events where id = ${id} limit 1`;
  if (row === undefined) return null;
  const { share, ...event } = row;
  return { event, share };
}

export type Traces = {
  lanes: LaneRow[];
  starts: Map<string, Position>;
  deliveries: DeliveryRow[];
  deadLetters: DeadLetterRow[];
};

/** An event can be replayed without end; of very many deliveries the newest are told. */
const maxRows = 1_000;

/** All that these subscriptions left of an event: where their lanes stand, deliveries of its own, dead letters. */
export async function readTraces(
  { db }: Pick<Database, 'db'>,
  eventId: string,
  keys: string[],
): Promise<Traces> {
  const [lanes, starts, rows, letters] = await Promise.all([
    db.select().from(subscriptionLanes).where(inArray(subscriptionLanes.subscription, keys)),
    db.select().from(subscriptionStarts).where(inArray(subscriptionStarts.subscription, keys)),
    db
      .select()
      .from(deliveries)
      .where(and(eq(deliveries.eventId, eventId), inArray(deliveries.subscription, keys)))
      .orderBy(desc(deliveries.createdAt), deliveries.id)
      .limit(maxRows),
    openLetters(db, eventId, keys),
  ]);
  return {
    lanes,
    starts: new Map(starts.map(({ subscription, tx, seq }) => [subscription, { tx, seq }])),
    deliveries: rows,
    deadLetters: letters,
  };
}

function openLetters(db: Db, eventId: string, keys: string[]): Promise<DeadLetterRow[]> {
  return db
    .select()
    .from(deadLetters)
    .where(and(eq(deadLetters.eventId, eventId), inArray(deadLetters.subscription, keys)))
    .orderBy(desc(deadLetters.createdAt))
    .limit(maxRows);
}
