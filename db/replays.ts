import { and, asc, desc, eq, isNull, lt, or, type SQL, sql } from 'drizzle-orm';
import type { Delivery } from '../domain/delivery.ts';
import { eventTypes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { replayWorkflowId } from '../domain/names.ts';
import type { ReplayCounts, ReplaySelection, ReplayState } from '../domain/replay.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db, Sql } from './client.ts';
import type { SubscriptionRow } from './subscriptions.ts';
import { replays, subscriptions } from './schema/index.ts';

export type ReplayRow = typeof replays.$inferSelect;

export async function getReplay(db: Db, id: string): Promise<ReplayRow | null> {
  const [row] = await db.select().from(replays).where(eq(replays.id, id));
  return row ?? null;
}

export type ReplayTarget = Pick<SubscriptionRow, 'key' | 'enabled' | 'match' | 'strategy'>;

/** The subscription that a replay is for. */
export async function getReplayTarget(db: Db, key: string): Promise<ReplayTarget | null> {
  const { enabled, match, strategy } = subscriptions;
  const [row] = await db
    .select({ key: subscriptions.key, enabled, match, strategy })
    .from(subscriptions)
    .where(eq(subscriptions.key, key));
  return row ?? null;
}

export type NewReplay = {
  id: string;
  subscription: string;
  selection: ReplaySelection;
  onlyMatching: boolean;
  sideEffects: boolean;
  perMinute: number;
  maximum: number;
  reason: string;
  requestedBy: string;
  /** Of a preview: exactly what it showed. Without one, all that began before now. */
  untilTx?: string;
};

/** Stores a replay; its run queues the events. */
export async function createReplay(db: Db, input: NewReplay): Promise<ChangeOutcome<{ id: string }>> {
  const { id, subscription, selection, onlyMatching, sideEffects, perMinute, maximum, reason } = input;
  const asked = {
    ...{ subscription, select: selection as JsonObject, onlyMatching, sideEffects, perMinute, maximum },
    reason,
  };
  return change(db, {
    opKey: `replay.start:${id}`,
    write: db
      .insert(replays)
      .values({ ...input, state: 'running', workflowId: replayWorkflowId(id) })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.replayStarted,
        severity: sideEffects ? 'warning' : 'info',
        source: { type: 'system', id: 'bus' },
        payload: { replayId: id, ...asked, by: input.requestedBy },
        correlationId: id,
      },
    ],
    audit: {
      actor: input.requestedBy,
      action: 'replay.start',
      subjectKind: 'replay',
      subjectId: id,
      detail: asked,
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

export type ReplayFilter = { subscription?: string | undefined; state?: ReplayState | undefined };

/** Newest first, before a place. */
export async function listReplays(
  db: Db,
  filter: ReplayFilter,
  before: { at: Date; id: string } | null,
  limit: number,
): Promise<ReplayRow[]> {
  const { createdAt, id } = replays;
  const wanted: (SQL | undefined)[] = [
    filter.subscription === undefined ? undefined : eq(replays.subscription, filter.subscription),
    filter.state === undefined ? undefined : eq(replays.state, filter.state),
    before === null
      ? undefined
      : or(lt(createdAt, before.at), and(eq(createdAt, before.at), lt(id, before.id))),
  ];
  return db
    .select()
    .from(replays)
    .where(and(...wanted))
    .orderBy(desc(createdAt), desc(id))
    .limit(limit);
}

/** Replays whose run never came to its first step; younger ones are in the hands of the API that stored them. */
export async function listUnstartedReplays(
  db: Db,
  graceMs: number,
  limit: number,
): Promise<Pick<ReplayRow, 'id' | 'subscription'>[]> {
  const { id, subscription, state, runId, createdAt } = replays;
  return db
    .select({ id, subscription })
    .from(replays)
    .where(
      and(
        eq(state, 'running'),
        isNull(runId),
        lt(createdAt, sql`now() - make_interval(secs => ${graceMs / 1000}::double precision)`),
      ),
    )
    .orderBy(asc(createdAt))
    .limit(limit);
}

/** Retention: deletes the oldest of those that ended longer ago than this. */
export async function deleteEndedReplays(log: Sql, days: number, limit: number): Promise<number> {
  const rows = await log`
    delete from replays where id in (
      select id from replays where ended_at < now() - make_interval(days => ${days}::int) and outcome is not null
      order by ended_at limit ${limit}
    ) returning id`;
  return rows.length;
}

export const noCounts: ReplayCounts = { pending: 0, processing: 0, completed: 0, failed: 0 };

/** How the deliveries of these replays stand; of one whose deliveries were all over, as it was then. */
export async function countDeliveries(db: Db, rows: ReplayRow[]): Promise<Map<string, ReplayCounts>> {
  const known = new Map(rows.map((row) => [row.id, row.outcome ?? { ...noCounts }]));
  const open = rows.filter(({ outcome }) => outcome === null).map(({ id }) => id);
  if (open.length === 0) return known;
  const counted = await db.execute(sql`
    select replay_id as id, state, count(*)::int as n from deliveries
    where replay_id in (select jsonb_array_elements_text(${JSON.stringify(open)}::text::jsonb))
    group by replay_id, state`);
  for (const { id, state, n } of counted as unknown as { id: string; state: keyof ReplayCounts; n: number }[])
    known.set(id, { ...(known.get(id) ?? noCounts), [state]: n });
  return known;
}

export type ReplayDelivery = {
  id: string;
  eventId: string;
  /** Empty once the log has forgotten the event. */
  eventType: string | null;
  part: Delivery['part'];
  recordedAt: Date;
  state: keyof ReplayCounts;
  attempts: number;
  dueAt: Date;
  previews: JsonObject[] | null;
  error: string | null;
  endedAt: Date | null;
};

/** Each event of a replay with what became of it, oldest event first. */
export async function listReplayDeliveries(
  db: Db,
  replayId: string,
  filter: { state?: keyof ReplayCounts | undefined },
  after: { at: Date; id: string } | null,
  limit: number,
): Promise<ReplayDelivery[]> {
  const rows = await db.execute(sql`
    select d.id, d.event_id as "eventId", e.type as "eventType", d.part, d.state, d.attempts, d.previews,
           d.last_error as error,
           (extract(epoch from d.event_recorded_at) * 1000)::float8 as "recordedAt",
           (extract(epoch from d.due_at) * 1000)::float8 as "dueAt",
           (extract(epoch from d.ended_at) * 1000)::float8 as "endedAt"
    from deliveries d left join events e on e.id = d.event_id and e.recorded_at = d.event_recorded_at
    where d.replay_id = ${replayId}
      ${filter.state === undefined ? sql`` : sql`and d.state = ${filter.state}`}
      ${
        after === null
          ? sql``
          : sql`and (d.event_recorded_at, d.id) > (${after.at.toISOString()}::timestamptz, ${after.id})`
      }
    order by d.event_recorded_at, d.id limit ${limit}`);
  return (rows as unknown as (Omit<ReplayDelivery, 'recordedAt' | 'dueAt' | 'endedAt'> & Times)[]).map(
    ({ recordedAt, dueAt, endedAt, ...row }) => ({
      ...row,
      recordedAt: new Date(recordedAt),
      dueAt: new Date(dueAt),
      endedAt: endedAt === null ? null : new Date(endedAt),
    }),
  );
}

type Times = { recordedAt: number; dueAt: number; endedAt: number | null };
