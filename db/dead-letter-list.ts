import { and, asc, desc, eq, getTableColumns, gte, lt, lte, or, sql, type SQL } from 'drizzle-orm';
import type { Db } from './client.ts';
import { deadLetters, deliveries } from './schema/index.ts';
import type { deadLetterStates } from './schema/bus.ts';

export type DeadLetterRow = typeof deadLetters.$inferSelect;
export type DeadLetterState = (typeof deadLetterStates)[number];

/** A dead letter as lists show it: without its event and history, which can be large. */
export type DeadLetterItem = Omit<DeadLetterRow, 'event' | 'history'>;

export type DeadLetterFilter = {
  subscription?: string | undefined;
  state?: DeadLetterState | undefined;
  cause?: string | undefined;
  /** A whole type, or the beginning of one with a `*` behind it. */
  type?: string | undefined;
  eventId?: string | undefined;
  /** Part of the error, whatever its case. */
  text?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
};

/** A point in time as JSON has it. */
export function isoText(at: SQL): SQL {
  return sql`to_char((${at}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/** The conditions of a filter, all of which hold. */
export function matchesFilter(filter: DeadLetterFilter): SQL | undefined {
  const { subscription, state, cause, type, eventId, text, from, to } = filter;
  const when = <T>(value: T | undefined, make: (value: T) => SQL): SQL | undefined =>
    value === undefined ? undefined : make(value);
  return and(
    when(subscription, (value) => eq(deadLetters.subscription, value)),
    when(state, (value) => eq(deadLetters.state, value)),
    when(cause, (value) => eq(deadLetters.cause, value)),
    when(type, (value) =>
      value.endsWith('*')
        ? sql`starts_with(${deadLetters.eventType}, ${value.slice(0, -1)})`
        : eq(deadLetters.eventType, value),
    ),
    when(eventId, (value) => eq(deadLetters.eventId, value)),
    // Not LIKE: there is nothing in it to escape.
    when(text, (value) => sql`strpos(lower(${deadLetters.error}), lower(${value})) > 0`),
    when(from, (value) => gte(deadLetters.createdAt, value)),
    when(to, (value) => lte(deadLetters.createdAt, value)),
  );
}

const { event: _event, history: _history, ...itemColumns } = getTableColumns(deadLetters);

/** Newest first, before a place. */
export async function listDeadLetters(
  db: Db,
  filter: DeadLetterFilter,
  before: { at: Date; id: string } | null,
  limit: number,
): Promise<DeadLetterItem[]> {
  const { createdAt, id } = deadLetters;
  const isBefore =
    before === null
      ? undefined
      : or(lt(createdAt, before.at), and(eq(createdAt, before.at), lt(id, before.id)));
  return db
    .select(itemColumns)
    .from(deadLetters)
    .where(and(matchesFilter(filter), isBefore))
    .orderBy(desc(createdAt), desc(id))
    .limit(limit);
}

export type DeadLetterWhole = {
  deadLetter: DeadLetterRow;
  /** Null once its row is gone. */
  delivery: typeof deliveries.$inferSelect | null;
  /** Every time this delivery was given up, this one included, oldest first. */
  occurrences: Pick<DeadLetterRow, 'id' | 'state' | 'cause' | 'createdAt' | 'redriveId'>[];
};

const mostOccurrences = 100;

/** One with all that is known of it. */
export async function getDeadLetter(db: Db, id: string): Promise<DeadLetterWhole | null> {
  const [found] = await db
    .select({ deadLetter: deadLetters, delivery: deliveries })
    .from(deadLetters)
    .leftJoin(deliveries, eq(deliveries.id, deadLetters.deliveryId))
    .where(eq(deadLetters.id, id));
  if (found === undefined) return null;
  const { state, cause, createdAt, redriveId } = deadLetters;
  const occurrences = await db
    .select({ id: deadLetters.id, state, cause, createdAt, redriveId })
    .from(deadLetters)
    .where(eq(deadLetters.deliveryId, found.deadLetter.deliveryId))
    .orderBy(asc(createdAt), asc(deadLetters.id))
    .limit(mostOccurrences);
  return { ...found, occurrences };
}
