import { and, asc, eq, gt, inArray, lte, or, type SQL, sql } from 'drizzle-orm';
import { type Severity, severitiesFrom, type SourceType } from '../domain/events.ts';
import { maxThreadEvents } from '../domain/thread.ts';
import type { Db } from './client.ts';
import { type BriefEvent, idsCausedBy, selectBrief } from './event-chain.ts';
import { events } from './schema/index.ts';

export type ThreadFilter = {
  from: Date;
  to: Date;
  /** Threads that have such an event between these times; the type may end in `*`. */
  type?: string | undefined;
  sourceType?: SourceType | undefined;
  sourceId?: string | undefined;
  minSeverity?: Severity | undefined;
  minEvents?: number | undefined;
};
export type ThreadPlace = { at: Date; id: string };

/** Threads with events between two times, the one whose last is newest first. */
export async function listThreads(
  db: Db,
  filter: ThreadFilter,
  before: ThreadPlace | null,
  limit: number,
): Promise<ThreadPlace[]> {
  const { type, sourceType, sourceId, minSeverity, minEvents } = filter;
  const last = sql<Date>`max(${events.recordedAt})`.mapWith(events.recordedAt);
  const has = (wanted: SQL | undefined): SQL => sql`bool_or(${wanted})`;
  const matching = and(
    type === undefined
      ? undefined
      : type.endsWith('*')
        ? sql`starts_with(${events.type}, ${type.slice(0, -1)})`
        : eq(events.type, type),
    sourceType === undefined ? undefined : eq(events.sourceType, sourceType),
    sourceId === undefined ? undefined : eq(events.sourceId, sourceId),
    minSeverity === undefined ? undefined : inArray(events.severity, severitiesFrom(minSeverity)),
  );
  const rows = await db
    .select({ id: events.correlationId, at: last })
    .from(events)
    .where(
      and(
        gt(events.recordedAt, filter.from),
        lte(events.recordedAt, filter.to),
        sql`${events.correlationId} is not null`,
      ),
    )
    .groupBy(events.correlationId)
    .having(
      and(
        matching === undefined ? undefined : has(matching),
        minEvents === undefined ? undefined : sql`count(*) >= ${minEvents}::bigint`,
        before === null
          ? undefined
          : sql`(max(${events.recordedAt}), ${events.correlationId})
                < (${before.at.toISOString()}::timestamptz, ${before.id}::text)`,
      ),
    )
    .orderBy(sql`max(${events.recordedAt}) desc`, sql`${events.correlationId} desc`)
    .limit(limit);
  return rows.map(({ id, at }) => ({ id: id ?? '', at }));
}

export type ThreadFacts = { id: string; firstAt: Date; lastAt: Date; events: number; errors: number };

/** How long, how large and how well each of some threads went, as a whole. */
export async function countThreads(db: Db, ids: string[]): Promise<Map<string, ThreadFacts>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .select({
      id: events.correlationId,
      firstAt: sql<Date>`min(${events.recordedAt})`.mapWith(events.recordedAt),
      lastAt: sql<Date>`max(${events.recordedAt})`.mapWith(events.recordedAt),
      events: sql<number>`count(*)::int`,
      errors: sql<number>`(count(*) filter (where ${inArray(events.severity, severitiesFrom('error'))}))::int`,
    })
    .from(events)
    .where(inArray(events.correlationId, ids))
    .groupBy(events.correlationId);
  return new Map(rows.map((row) => [row.id ?? '', { ...row, id: row.id ?? '' }]));
}

export type ThreadLink = { thread: string; id: string; type: string; causationId: string | null; at: Date };

/** The first events of each of some threads in the order of the log, as far as a tree needs them. */
export async function listThreadLinks(db: Db, ids: string[]): Promise<ThreadLink[]> {
  if (ids.length === 0) return [];
  const numbered = db
    .select({
      thread: sql<string>`${events.correlationId}`.as('thread'),
      id: events.id,
      type: events.type,
      causationId: events.causationId,
      at: sql<Date>`${events.recordedAt}`.mapWith(events.recordedAt).as('at'),
      place:
        sql<number>`row_number() over (partition by ${events.correlationId} order by ${events.tx}, ${events.seq})`.as(
          'place',
        ),
    })
    .from(events)
    .where(inArray(events.correlationId, ids))
    .as('numbered');
  return db
    .select({
      thread: numbered.thread,
      id: numbered.id,
      type: numbered.type,
      causationId: numbered.causationId,
      at: numbered.at,
    })
    .from(numbered)
    .where(lte(numbered.place, maxThreadEvents))
    .orderBy(asc(numbered.thread), asc(numbered.place));
}

/**
 * The events of one thread in the order of the log: those that name it, and those without a thread of their own that
 * these caused, directly or over others. One more than a tree shows tells that there is more.
 */
export async function listThread(db: Db, correlationId: string): Promise<BriefEvent[]> {
  const limit = maxThreadEvents + 1;
  const named = await selectBrief(db, eq(events.correlationId, correlationId), limit);
  if (named.length === 0 || named.length === limit) return named;
  const ids = named.map(({ id }) => id);
  const caused = await idsCausedBy(db, ids, { andThreads: false, limit: limit - named.length });
  if (caused.length === 0) return named;
  return selectBrief(db, or(eq(events.correlationId, correlationId), inArray(events.id, caused)), limit);
}
