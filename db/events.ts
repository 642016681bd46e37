import { and, desc, eq, gte, inArray, lt, lte, or, sql, type SQL } from 'drizzle-orm';
import {
  categoryOf,
  defaultPriority,
  type EventInput,
  type LoggedEvent,
  severitiesFrom,
  type Severity,
  type SourceType,
} from '../domain/events.ts';
import type { Db, Sql } from './client.ts';
import { newId } from './ids.ts';
import { events } from './schema/index.ts';

export type EventRow = typeof events.$inferSelect;
export type Position = { tx: string; seq: string };

/** An event on its way into the log: the schema version it was checked against, and what it came through so far. */
export type StatedEvent = EventInput & { schemaVersion?: number; path?: string[] };
export type AppendedEvent = {
  id: string;
  duplicate: boolean;
  /** True when the log has this id with another content, which was left as it was. */
  differs?: true;
};

/**
 * Appends events with one statement and answers after the commit, one entry per input in the same order; an id that
 * the log already has is left as it was and marked.
 */
export async function appendEvents(log: Sql, inputs: StatedEvent[]): Promise<AppendedEvent[]> {
  const rows = inputs.map(rowOf);
  const stored = await log<{ id: string }[]>`
    with stated as (
      select distinct on (id) * from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as e(
        place int, id text, type text, category text, source_type text, source_id text, destination text, severity text,
        priority text, payload jsonb, metadata jsonb, correlation_id text, causation_id text, schema_version int,
        occurred_at timestamptz, deliver_at timestamptz, path jsonb)
      order by id, place
    ),
    keyed as (insert into event_keys (id) select id from stated order by id on conflict do nothing returning id)
    insert into events (id, type, category, source_type, source_id, destination, severity, priority, payload,
                        metadata, correlation_id, causation_id, schema_version, occurred_at, deliver_at, path)
    select s.id, s.type, s.category, s.source_type, s.source_id, s.destination, s.severity, s.priority, s.payload,
           s.metadata, s.correlation_id, s.causation_id, s.schema_version, coalesce(s.occurred_at, now()), s.deliver_at,
           s.path
    from stated s join keyed using (id)
    order by s.place
    returning id`;
  if (stored.length === rows.length) return rows.map(({ id }) => ({ id, duplicate: false }));
  const fresh = new Set(stored.map((row) => row.id));
  const repeated = rows.filter(({ id }) => !fresh.delete(id));
  // Only who repeats an id pays for the comparison.
  const differing = await findDiffering(log, repeated);
  const duplicates = new Set(repeated);
  return rows.map((row) => ({
    id: row.id,
    duplicate: duplicates.has(row),
    ...(differing.has(row.place) ? { differs: true as const } : {}),
  }));
}

type StatedRow = ReturnType<typeof rowOf>;

function rowOf(input: StatedEvent, place: number) {
  return {
    place,
    id: input.id ?? newId('evt'),
    type: input.type,
    category: categoryOf(input.type),
    source_type: input.source.type,
    source_id: input.source.id,
    destination: input.destination ?? null,
    severity: input.severity,
    priority: input.priority ?? defaultPriority(input.severity),
    payload: input.payload,
    metadata: input.metadata,
    correlation_id: input.correlationId ?? null,
    causation_id: input.causationId ?? null,
    schema_version: input.schemaVersion ?? 0,
    occurred_at: input.occurredAt ?? null,
    deliver_at: input.deliverAt ?? null,
    path: input.path ?? [],
  };
}

/** The places of those whose id the log has with something else. */
async function findDiffering(log: Sql, rows: StatedRow[]): Promise<Set<number>> {
  const found = await log<{ place: number }[]>`
    select s.place
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as s(
      place int, id text, type text, source_type text, source_id text, destination text, severity text, priority text,
      payload jsonb, metadata jsonb, correlation_id text, causation_id text, occurred_at timestamptz)
    join events e on e.id = s.id
    where (e.type, e.source_type, e.source_id, e.destination, e.severity, e.priority, e.payload,
           e.metadata - 'schemaWarning', e.correlation_id, e.causation_id)
          is distinct from
          (s.type, s.source_type, s.source_id, s.destination, s.severity, s.priority, s.payload,
           s.metadata - 'schemaWarning', s.correlation_id, s.causation_id)
       or (s.occurred_at is not null and s.occurred_at <> e.occurred_at)`;
  return new Set(found.map(({ place }) => place));
}

/** Columns of a `LoggedEvent`, for a select from `events`. */
export function loggedColumns(log: Sql) {
  return log`
    events.id, events.tx::text as tx, events.seq::text as seq, events.type, events.source_type as "sourceType",
    events.source_id as "sourceId", events.destination, events.severity, events.priority, events.payload,
    events.metadata, events.correlation_id as "correlationId", events.causation_id as "causationId", events.path,
    to_char(events.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "occurredAt",
    to_char(events.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "recordedAt",
    to_char(events.deliver_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "deliverAt"`;
}

/** The next events after a position that no open transaction can still slip in front of (DESIGN 4). */
export async function readAfter(log: Sql, after: Position, limit: number): Promise<LoggedEvent[]> {
  return log<LoggedEvent[]>`
    select ${loggedColumns(log)}
    from events
    where (tx, seq) > (${after.tx}::text::xid8, ${after.seq}::text::bigint)
      and tx < pg_snapshot_xmin(pg_current_snapshot())
    -- Qualified: a bare name is the text above, which sorts 10 before 9 and would make a reader skip rows.
    order by events.tx, events.seq
    limit ${limit}`;
}

/** True when the log has rows after a position that are not yet below the horizon. */
export async function hasHiddenAfter(log: Sql, after: Position): Promise<boolean> {
  const [row] = await log<{ hidden: boolean }[]>`
    select exists (
      select from events where (tx, seq) > (${after.tx}::text::xid8, ${after.seq}::text::bigint)
    ) as hidden`;
  return row?.hidden === true;
}

export async function getEvent(db: Db, id: string): Promise<EventRow | null> {
  const [row] = await db.select().from(events).where(eq(events.id, id)).limit(1);
  return row ?? null;
}

export type EventFilter = {
  type?: string | undefined;
  category?: string | undefined;
  sourceType?: SourceType | undefined;
  sourceId?: string | undefined;
  destination?: string | undefined;
  severity?: Severity | undefined;
  minSeverity?: Severity | undefined;
  correlationId?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
};

/** Newest first, before a position; the filter's members are combined with "and". */
export async function listEvents(
  db: Db,
  filter: EventFilter,
  before: Position | null,
  limit: number,
): Promise<EventRow[]> {
  const wanted: (SQL | undefined)[] = [
    filter.type === undefined ? undefined : matchType(filter.type),
    filter.category === undefined ? undefined : eq(events.category, filter.category),
    filter.sourceType === undefined ? undefined : eq(events.sourceType, filter.sourceType),
    filter.sourceId === undefined ? undefined : eq(events.sourceId, filter.sourceId),
    filter.destination === undefined ? undefined : eq(events.destination, filter.destination),
    filter.minSeverity === undefined
      ? undefined
      : inArray(events.severity, severitiesFrom(filter.minSeverity)),
    filter.severity === undefined ? undefined : eq(events.severity, filter.severity),
    filter.correlationId === undefined ? undefined : eq(events.correlationId, filter.correlationId),
    filter.from === undefined ? undefined : gte(events.recordedAt, filter.from),
    filter.to === undefined ? undefined : lte(events.recordedAt, filter.to),
    before === null
      ? undefined
      : or(
          lt(events.tx, before.tx),
          and(eq(events.tx, before.tx), sql`${events.seq} < ${before.seq}::text::bigint`),
        ),
  ];
  return db
    .select()
    .from(events)
    .where(and(...wanted))
    .orderBy(desc(events.tx), desc(events.seq))
    .limit(limit);
}

function matchType(type: string): SQL {
  return type.endsWith('*') ? sql`starts_with(${events.type}, ${type.slice(0, -1)})` : eq(events.type, type);
}

/** Age of the oldest transaction that holds the readers' horizon back, in milliseconds. */
export async function horizonAgeMs(log: Sql): Promise<number> {
  const [row] = await log<{ ms: number }[]>`
    select coalesce(extract(epoch from max(now() - xact_start)) * 1000, 0)::float8 as ms
    from pg_stat_activity where backend_xid is not null and datname = current_database()`;
  return row?.ms ?? 0;
}

/** Makes sure that the coming months have partitions. Safe to call at every start. */
export async function ensureEventPartitions(log: Sql): Promise<void> {
  await log`select ensure_event_partitions(3)`;
}
