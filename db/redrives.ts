import { and, desc, eq, inArray, lt, or, sql, type SQL } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { redriveWorkflowId } from '../domain/names.ts';
import {
  noneRedriven,
  type RedriveCounts,
  type RedriveEnd,
  type RedriveProgress,
  type RedriveState,
} from '../domain/redrive.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { redrives } from './schema/index.ts';

export type RedriveRow = typeof redrives.$inferSelect;

export type NewRedrive = {
  id: string;
  /** The dead letters as they were chosen; what somebody else took meanwhile is left out. */
  ids: string[];
  filter: JsonObject | null;
  canary: boolean;
  perMinute: number;
  reason: string | null;
  actor: string;
  requestId: string;
};

/** How many dead letters a redrive took, and those of the chosen ones that it could not take. */
type TakenLetters = { taken: number; lost: string[] };

/**
 * Stores a redrive and takes its dead letters, each of which can be in one redrive only; null when none was left. They
 * stay open until their turn.
 */
export async function createRedrive(db: Db, input: NewRedrive): Promise<TakenLetters | null> {
  const { id, ids, filter, canary, perMinute, reason, actor, requestId } = input;
  const chosen = sql`jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb)`;
  const isFree = sql`l.id in (select ${chosen})
    and l.state = 'open' and l.redrive_id is null
    and exists (select from deliveries d join subscriptions s on s.key = d.subscription
                where d.id = l.delivery_id and d.state = 'failed' and s.enabled)`;
  const outcome = await change<TakenLetters>(db, {
    opKey: `redrive:${id}`,
    write: sql`
      insert into redrives (id, requested_by, reason, filter, state, canary, per_minute, total, workflow_id)
      select ${id}, ${actor}, ${reason}, ${filter === null ? null : JSON.stringify(filter)}::text::jsonb,
             ${canary ? 'canary' : 'releasing'}, ${canary}::boolean, ${perMinute}::int, free.n, ${redriveWorkflowId(id)}
      from (select count(*)::int as n from (
              select l.id from dead_letters l where ${isFree} order by l.id for update of l) locked) free
      where free.n > 0
      returning *`,
    also: [
      sql`
        update dead_letters l set redrive_id = changed.id from changed where ${isFree}
        returning l.id, l.delivery_id, l.created_at`,
      sql`
        insert into redrive_items (redrive_id, dead_letter_id, delivery_id, place, state)
        select changed.id, t.id, t.delivery_id, row_number() over (order by t.created_at, t.id), 'waiting'
        from changed, extra_0 t
        returning dead_letter_id`,
    ],
    events: [
      {
        type: eventTypes.redriveStarted,
        source: { type: 'system', id },
        payload: { redriveId: id, by: actor, reason, chosen: ids.length, canary, perMinute },
        correlationId: id,
      },
    ],
    audit: {
      ...{ actor, action: 'redrive.start', subjectKind: 'redrive', subjectId: id },
      detail: { requestId, reason, chosen: ids.length, canary, perMinute },
    },
    result: sql`jsonb_build_object(
      'taken', (select count(*) from extra_1),
      'lost', (select coalesce(jsonb_agg(c.id), '[]') from ${chosen} as c(id)
               where c.id not in (select dead_letter_id from extra_1)))`,
  });
  return outcome.status === 'unchanged' ? null : outcome.result;
}

const isLive = inArray(redrives.state, ['canary', 'releasing']);

/** Ends a redrive that is still under way; what had no turn is open and free again. False when it has ended before. */
export async function endRedrive(
  db: Db,
  input: { id: string; end: RedriveEnd; actor: string; requestId: string | null; counts: RedriveCounts },
): Promise<boolean> {
  const { id, end, actor, requestId, counts } = input;
  const isPerson = end.state === 'cancelled';
  const outcome = await change(db, {
    opKey: `redrive.end:${id}`,
    write: db
      .update(redrives)
      .set({
        state: end.state,
        endedBecause: end.because,
        cancelledBy: isPerson ? actor : null,
        endedAt: sql`now()`,
      })
      .where(and(eq(redrives.id, id), isLive))
      .returning()
      .getSQL(),
    also: [
      sql`
        update dead_letters l set redrive_id = null from changed
        where l.redrive_id = changed.id and l.state = 'open' returning l.id`,
      sql`
        update redrive_items i set state = 'left-out', because = ${`The redrive was ${end.state} before its turn.`},
                                   ended_at = now()
        from changed where i.redrive_id = changed.id and i.state = 'waiting' returning 1`,
    ],
    events: [
      {
        type: eventTypes.redriveEnded,
        severity: end.state === 'stopped' ? 'warning' : 'info',
        source: { type: 'system', id },
        payload: { redriveId: id, state: end.state, reason: end.because, by: actor, ...counts },
        correlationId: id,
      },
    ],
    audit: {
      actor,
      action: isPerson ? 'redrive.cancel' : 'redrive.end',
      ...{ subjectKind: 'redrive', subjectId: id },
      detail: { requestId, state: end.state, because: end.because },
    },
    result: sql`jsonb_build_object(
      'free', (select count(*) from extra_0), 'leftOut', (select count(*) from extra_1))`,
  });
  return outcome.status === 'changed';
}

export async function getRedrive(db: Db, id: string): Promise<RedriveRow | null> {
  const [row] = await db.select().from(redrives).where(eq(redrives.id, id));
  return row ?? null;
}

/** Newest first, before a place. */
export async function listRedrives(
  db: Db,
  filter: { state?: RedriveState | undefined },
  before: { at: Date; id: string } | null,
  limit: number,
): Promise<RedriveRow[]> {
  const { createdAt, id, state } = redrives;
  const wanted: (SQL | undefined)[] = [
    filter.state === undefined ? undefined : eq(state, filter.state),
    before === null
      ? undefined
      : or(lt(createdAt, before.at), and(eq(createdAt, before.at), lt(id, before.id))),
  ];
  return db
    .select()
    .from(redrives)
    .where(and(...wanted))
    .orderBy(desc(createdAt), desc(id))
    .limit(limit);
}

/**
 * How items of a redrive stand: what has become of each delivery since it was handed over. One that was given up anew
 * has a newer dead letter, whatever happened to that one since; only completed deliveries are ever deleted.
 */
const standing = sql`
  select i.*, n.new_cause,
         case when i.state <> 'released' then i.state
              when n.new_cause is not null then 'failed'
              when d.id is null or d.state = 'completed' then 'completed'
              when d.state = 'failed' then 'failed'
              else 'released' end as stands
  from redrive_items i
  left join deliveries d on d.id = i.delivery_id
  left join lateral (
    select l.cause as new_cause from dead_letters l
    where i.state = 'released' and l.delivery_id = i.delivery_id and l.created_at >= i.released_at
      and l.id <> i.dead_letter_id
    order by l.created_at desc limit 1
  ) n on true`;

/** Counts of redrives by id, as their deliveries stand now. */
export async function countRedriven(db: Db, ids: string[]): Promise<Map<string, RedriveCounts>> {
  const rows = await db.execute(sql`
    select s.redrive_id as id,
           (count(*) filter (where s.stands = 'waiting'))::int as waiting,
           (count(*) filter (where s.stands = 'released'))::int as released,
           (count(*) filter (where s.stands = 'completed'))::int as completed,
           (count(*) filter (where s.stands = 'failed'))::int as failed,
           (count(*) filter (where s.stands = 'left-out'))::int as "leftOut"
    from (${standing}
      where i.redrive_id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))) s
    group by s.redrive_id`);
  const counted = rows as unknown as (RedriveCounts & { id: string })[];
  return new Map(counted.map(({ id, ...counts }) => [id, counts]));
}

/** Settles the items whose deliveries have ended and tells where the redrive stands; null for an unknown one. */
export async function lookAtRedrive(
  db: Db,
  input: { id: string; runId: string },
): Promise<RedriveProgress | null> {
  const { id, runId } = input;
  await db.execute(sql`
    update redrive_items i set state = s.stands, because = s.new_cause, ended_at = now()
    from (${standing} where i.redrive_id = ${id} and i.state = 'released') s
    where i.redrive_id = ${id} and i.dead_letter_id = s.dead_letter_id and i.state = 'released'
      and s.stands <> 'released'`);
  const [row] = await db
    .update(redrives)
    .set({ runId })
    .where(and(eq(redrives.id, id), isLive, sql`${redrives.runId} is distinct from ${runId}`))
    .returning();
  const redrive = row ?? (await getRedrive(db, id));
  if (redrive === null) return null;
  const counts = (await countRedriven(db, [id])).get(id) ?? noneRedriven;
  const [failed] = await db.execute(sql`
    select because from redrive_items where redrive_id = ${id} and state = 'failed' order by ended_at desc limit 1`);
  const failedCause = typeof failed?.because === 'string' ? failed.because : null;
  return { ...counts, state: redrive.state, perMinute: redrive.perMinute, failedCause };
}

export type RedriveOddity = { deadLetterId: string; state: 'failed' | 'left-out'; because: string | null };

/** Items that did not go well, oldest turn first. */
export async function listOddItems(db: Db, id: string, limit: number): Promise<RedriveOddity[]> {
  const rows = await db.execute(sql`
    select s.dead_letter_id as "deadLetterId", s.stands as state, coalesce(s.because, s.new_cause) as because
    from (${standing} where i.redrive_id = ${id}) s
    where s.stands in ('failed', 'left-out') order by s.place limit ${limit}`);
  return rows as unknown as RedriveOddity[];
}

/** Redrives that are under way; a start that was lost and a run that was ended in Temporal itself look the same. */
export async function listLiveRedrives(
  db: Db,
  graceMs: number,
  limit: number,
): Promise<Pick<RedriveRow, 'id' | 'total' | 'state'>[]> {
  const { id, total, state, createdAt } = redrives;
  return db
    .select({ id, total, state })
    .from(redrives)
    .where(
      and(isLive, sql`${createdAt} < now() - make_interval(secs => ${graceMs / 1000}::double precision)`),
    )
    .orderBy(createdAt)
    .limit(limit);
}

/** Retention: deletes the oldest of those that ended longer ago than this, with their items. */
export async function deleteEndedRedrives(db: Db, days: number, limit: number): Promise<number> {
  const rows = await db.execute(sql`
    with old as (
      select id from redrives where ended_at < now() - make_interval(days => ${days}::int)
      order by ended_at limit ${limit}
    ),
    gone as (delete from redrive_items i using old where i.redrive_id = old.id returning 1)
    delete from redrives using old where redrives.id = old.id and (select count(*) from gone) >= 0
    returning redrives.id`);
  return rows.length;
}
