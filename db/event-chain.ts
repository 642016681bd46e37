import { asc, eq, inArray, type SQL, sql } from 'drizzle-orm';
import { maxThreadEvents } from '../domain/thread.ts';
import type { Db } from './client.ts';
import { events } from './schema/index.ts';

/** An event without its payload: a thread may have a thousand. */
const briefColumns = {
  id: events.id,
  tx: events.tx,
  seq: events.seq,
  type: events.type,
  category: events.category,
  sourceType: events.sourceType,
  sourceId: events.sourceId,
  destination: events.destination,
  severity: events.severity,
  priority: events.priority,
  correlationId: events.correlationId,
  causationId: events.causationId,
  occurredAt: events.occurredAt,
  recordedAt: events.recordedAt,
};

export function selectBrief(db: Db, wanted: SQL | undefined, limit: number) {
  return db
    .select(briefColumns)
    .from(events)
    .where(wanted)
    .orderBy(asc(events.tx), asc(events.seq))
    .limit(limit);
}
export type BriefEvent = Awaited<ReturnType<typeof selectBrief>>[number];

/**
 * Events that some caused, directly or over others, without those themselves; each once, also where causes go in a
 * circle. `andThreads` goes on into events that name a thread.
 */
export async function idsCausedBy(
  db: Db,
  ids: string[],
  { andThreads, limit }: { andThreads: boolean; limit: number },
): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    with recursive walk (id) as (
      select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb)
      union
      select e.id from walk join events e on e.causation_id = walk.id
      ${andThreads ? sql`` : sql`where e.correlation_id is null`}
    )
    select id from walk offset ${ids.length} limit ${limit}`);
  return rows.map(({ id }) => id);
}

const maxAncestors = 100;

/** The causes of an event, the first cause first; and the one that the first of them names, as far as they were read. */
async function causesOf(db: Db, id: string): Promise<{ ids: string[]; next: string | null }> {
  const rows = await db.execute<{ id: string; causation_id: string | null }>(sql`
    with recursive up (id, causation_id, step) as (
      select e.id, e.causation_id, 0 from events e where e.id = ${id}
      union all
      select e.id, e.causation_id, step + 1 from up join events e on e.id = up.causation_id
      where step < ${maxAncestors}::int
    ) cycle id set is_circle using path
    select id, causation_id from up where not is_circle order by step desc`);
  const ids = rows.map((row) => row.id);
  const next = rows[0]?.causation_id ?? null;
  return { ids: ids.slice(0, -1), next: next !== null && ids.includes(next) ? null : next };
}

export type EventChain = {
  /** The first cause first. */
  ancestors: BriefEvent[];
  /** The cause that the first of them names and that the log does not have. */
  missingCauseId: string | null;
  /** The event itself, and what it caused, in the order of the log. */
  descendants: BriefEvent[];
  isTruncated: boolean;
};

/** What led to an event, and what it led to. */
export async function readChain(db: Db, id: string): Promise<EventChain | null> {
  const [self] = await selectBrief(db, eq(events.id, id), 1);
  if (self === undefined) return null;
  const [causes, caused] = await Promise.all([
    causesOf(db, id),
    idsCausedBy(db, [id], { andThreads: true, limit: maxThreadEvents }),
  ]);
  const kept = caused.slice(0, maxThreadEvents - 1);
  const found = await selectBrief(db, inArray(events.id, [id, ...kept, ...causes.ids]), 2 * maxThreadEvents);
  const byId = new Map(found.map((event) => [event.id, event]));
  const effects = new Set([id, ...kept]);
  const isCut = causes.ids.length === maxAncestors && causes.next !== null;
  return {
    ancestors: causes.ids.flatMap((cause) => byId.get(cause) ?? []),
    missingCauseId: isCut ? null : causes.next,
    descendants: found.filter((event) => effects.has(event.id)),
    isTruncated: caused.length > kept.length || isCut,
  };
}
