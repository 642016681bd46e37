import { and, desc, eq, gte, isNotNull, isNull, lt, lte, or, sql } from 'drizzle-orm';
import type { FoundLink } from '../domain/entity-link.ts';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { Insight, InsightPattern } from '../domain/insight.ts';
import { type FoundInsight, type KnownInsight, settleInsights } from '../domain/resonance.ts';
import { type Change, change, databaseError } from './change.ts';
import type { Db } from './client.ts';
import { replaceLinks } from './entity-links.ts';
import { derivedId } from './ids.ts';
import { haloCycles, insights } from './schema/index.ts';

export type InsightRow = typeof insights.$inferSelect;

export type InsightFilter = {
  state?: 'open' | 'ended' | undefined;
  pattern?: InsightPattern | undefined;
  entity?: string | undefined;
};

/** Newest first, before a place. */
export async function listInsights(
  db: Db,
  { state, pattern, entity }: InsightFilter,
  before: { at: Date; id: string } | null,
  limit: number,
): Promise<InsightRow[]> {
  const { foundAt, id } = insights;
  return db
    .select()
    .from(insights)
    .where(
      and(
        state === undefined
          ? undefined
          : state === 'open'
            ? isNull(insights.endedAt)
            : isNotNull(insights.endedAt),
        pattern === undefined ? undefined : eq(insights.pattern, pattern),
        entity === undefined ? undefined : sql`${insights.entities} ? ${entity}::text`,
        before === null
          ? undefined
          : or(lt(foundAt, before.at), and(eq(foundAt, before.at), lt(id, before.id))),
      ),
    )
    .orderBy(desc(foundAt), desc(id))
    .limit(limit);
}

export async function getInsight(db: Db, id: string): Promise<InsightRow | null> {
  const [row] = await db.select().from(insights).where(eq(insights.id, id));
  return row ?? null;
}

/** Cycles that this insight changed, the newest first: none began before it was found or long after it ended. */
export async function cyclesUsing(db: Db, insight: InsightRow, limit: number) {
  const { id, startedAt, mode, state } = haloCycles;
  return db
    .select({ id, startedAt, mode, state })
    .from(haloCycles)
    .where(
      and(
        gte(startedAt, insight.foundAt),
        insight.endedAt === null ? undefined : lte(startedAt, insight.endedAt),
        sql`${haloCycles.insightsUsed} ? ${insight.id}::text`,
      ),
    )
    .orderBy(desc(startedAt), desc(id))
    .limit(limit);
}

/** The insights that hold, for a cycle that is to heed them. */
export async function openInsights(db: Db): Promise<Insight[]> {
  const { id, pattern, severity, title, entities, suggestedActions } = insights;
  return db
    .select({ id, pattern, severity, title, entities, suggestedActions })
    .from(insights)
    .where(isNull(insights.endedAt))
    .orderBy(insights.key);
}

const maxTries = 3;

/** Leaves on record what a cycle has learned: new insights, those that still hold, those that ended, and the links. */
export async function recordResonance(
  db: Db,
  learned: { cycleId: string; found: FoundInsight[]; links: FoundLink[] },
): Promise<void> {
  for (let tries = 1; tries <= maxTries; tries += 1)
    if (await recordOnce(db, learned, await knownInsights(db))) return;
  throw new Error(
    `The insights of cycle ${learned.cycleId} moved while they were written, or it does not exist.`,
  );
}

/** False when the open insights are not those that were read. */
async function recordOnce(
  db: Db,
  learned: Parameters<typeof recordResonance>[1],
  known: KnownInsight[],
): Promise<boolean> {
  try {
    return (await change(db, changeOf(learned, known))).status !== 'unchanged';
  } catch (error) {
    // Another cycle has found the same meanwhile: this one has written nothing.
    if (databaseError(error)?.constraint_name === 'insights_one_open') return false;
    throw error;
  }
}

function changeOf(
  { cycleId, found, links }: Parameters<typeof recordResonance>[1],
  known: KnownInsight[],
): Change {
  const { fresh, held, ended, dropped } = settleInsights(known, found);
  const born = fresh.map((one) => ({ ...one, id: derivedId('ins', `${cycleId}|${one.key}`) }));
  const open = known.filter(({ isOpen }) => isOpen).map(({ id }) => id);
  const columns = sql`jsonb_to_recordset(${JSON.stringify([...born, ...held])}::text::jsonb) as i(
    id text, key text, pattern text, severity text, title text, entities jsonb, "suggestedActions" jsonb,
    figures jsonb)`;
  const listed = (ids: string[]) =>
    sql`(select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))`;
  return {
    opKey: `halo.insights:${cycleId}`,
    // What is new was told from what is open: had that moved, an event would speak of an insight that is not. The lock
    // waits for a cycle that ends one now, which a snapshot does not show.
    write: sql`
      update halo_cycles set state = state
      where id = ${cycleId} and (
        select coalesce(jsonb_agg(o.id order by o.id collate "C"), '[]')
        from (select id from insights where ended_at is null order by id for update) o
      ) = ${JSON.stringify([...open].sort())}::text::jsonb
      returning *`,
    also: [
      sql`
        insert into insights
          (id, key, pattern, severity, title, entities, suggested_actions, figures, found_by, last_seen_by)
        select i.id, i.key, i.pattern, i.severity, i.title, i.entities, i."suggestedActions", i.figures,
               changed.id, changed.id
        from changed, ${columns} where i.id in ${listed(born.map(({ id }) => id))}`,
      sql`
        update insights n
        set severity = i.severity, title = i.title, entities = i.entities, suggested_actions = i."suggestedActions",
            figures = i.figures, last_seen_by = changed.id, last_seen_at = now()
        from changed, ${columns} where i.id = n.id and n.id in ${listed(held.map(({ id }) => id))}`,
      sql`update insights n set ended_at = now() from changed where n.id in ${listed(ended)}`,
      sql`delete from insights n using changed where n.id in ${listed(dropped)}`,
      ...replaceLinks(links, cycleId),
    ],
    events: born.map((insight) => foundEvent(cycleId, insight)),
    audit: {
      actor: 'halo',
      action: 'halo.insights.compute',
      subjectKind: 'halo-cycle',
      subjectId: cycleId,
      detail: { found: born.map(({ id }) => id), held: held.length, ended, dropped, links: links.length },
    },
  };
}

/** All on record, the one that was seen last first. */
async function knownInsights(db: Db): Promise<KnownInsight[]> {
  const { id, key, endedAt, lastSeenAt } = insights;
  const rows = await db.select({ id, key, endedAt }).from(insights).orderBy(desc(lastSeenAt), desc(id));
  return rows.map((row) => ({ id: row.id, key: row.key, isOpen: row.endedAt === null }));
}

function foundEvent(cycleId: string, insight: Insight): NewEvent {
  const { id, pattern, severity, title, entities } = insight;
  return {
    type: eventTypes.haloInsightFound,
    source: { type: 'halo', id: cycleId },
    severity: severity === 'high' ? 'warning' : 'info',
    payload: { insightId: id, cycleId, pattern, severity, title, entities: entities.slice(0, 20) },
    correlationId: cycleId,
  };
}
