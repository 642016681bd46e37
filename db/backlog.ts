import { severities } from '../domain/events.ts';
import type { Sql } from './client.ts';
import { endOfLog } from './event-tail.ts';
import type { Position } from './events.ts';

/** So many rows behind a cursor are looked at: further back a backlog is "at least". */
export const backlogWindow = 10_000;

const severityOrder = `{${severities.join(',')}}`;

export type LaneBacklog = {
  subscription: string;
  lane: string;
  cursor: Position;
  /** Events behind the horizon that the lane has not passed and that fit by all but the filter. */
  waiting: number;
  isMore: boolean;
  /** Age of the oldest of them. */
  lagMs: number;
  delivered: number;
  lastDeliveredAt: string | null;
};

/**
 * Where the lanes of subscriptions stand. One statement for all of them, and a bounded one: of each lane it reads the
 * next rows only, whatever lies behind those.
 */
async function readBacklog(log: Sql, keys: string[]): Promise<LaneBacklog[]> {
  const rows = await log<(Omit<LaneBacklog, 'cursor' | 'delivered'> & Position & { delivered: string })[]>`
    select l.subscription, l.lane, l.cursor_tx::text as tx, l.cursor_seq::text as seq, l.delivered::text,
           to_char(l.last_delivered_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "lastDeliveredAt",
           b.waiting::int, b.looked > ${backlogWindow}::int as "isMore",
           -- Where none of very many fits, the oldest that does is younger than the last one looked at.
           coalesce(greatest(extract(epoch from now() - case
             when b.waiting > 0 then b.oldest when b.looked > ${backlogWindow}::int then b.newest end) * 1000, 0), 0)::float8
             as "lagMs"
    from subscription_lanes l
    join subscriptions s on s.key = l.subscription
    cross join lateral (
      select count(*) as looked, count(*) filter (where w.fits) as waiting,
             min(w.recorded_at) filter (where w.fits) as oldest, max(w.recorded_at) as newest
      from (
        select e.recorded_at,
               not jsonb_exists(s.match -> 'excludeSourceTypes', e.source_type)
               and array_position(${severityOrder}::text::text[], e.severity)
                   >= array_position(${severityOrder}::text::text[], s.match ->> 'minSeverity')
               and coalesce(s.match ->> 'destination' = e.destination, s.match ->> 'destination' is null)
               and (jsonb_array_length(s.match -> 'types') = 0 or exists (
                 select from jsonb_array_elements_text(s.match -> 'types') as p
                 where e.type = p or p like '%*' and starts_with(e.type, left(p, -1))))
               and (coalesce(jsonb_array_length(s.match -> 'sources'), 0) = 0 or exists (
                 select from jsonb_array_elements_text(s.match -> 'sources') as p
                 where e.source_type || ':' || e.source_id = p
                       or p like '%*' and starts_with(e.source_type || ':' || e.source_id, left(p, -1))))
               and case s.strategy
                 when 'priority' then e.priority = l.lane
                 when 'balanced' then
                   mod(('x' || left(md5(coalesce(e.correlation_id, e.source_id)), 7))::bit(28)::int, s.consumers)::text
                     = l.lane
                 else true end as fits
        from events e
        where (e.tx, e.seq) > (l.cursor_tx, l.cursor_seq) and e.tx < pg_snapshot_xmin(pg_current_snapshot())
        order by e.tx, e.seq
        limit ${backlogWindow}::int + 1
      ) as w
    ) as b
    where l.subscription in (select jsonb_array_elements_text(${JSON.stringify(keys)}::text::jsonb))
    order by l.subscription, l.lane`;
  return rows.map(({ tx, seq, delivered, ...row }) => ({
    ...row,
    cursor: { tx, seq },
    delivered: Number(delivered),
  }));
}

type DeliveryCounts = {
  subscription: string;
  /** Deliveries of their own that have not ended. */
  pending: number;
  /** Age of the oldest event among those that are not merely waiting for their time. */
  pendingLagMs: number;
  openDeadLetters: number;
};

async function countDeliveries(log: Sql, keys: string[]): Promise<Map<string, DeliveryCounts>> {
  const rows = await log<DeliveryCounts[]>`
    with wanted as (select jsonb_array_elements_text(${JSON.stringify(keys)}::text::jsonb) as key)
    select w.key as subscription, coalesce(p.pending, 0)::int as pending,
           coalesce(greatest(extract(epoch from now() - p.oldest) * 1000, 0), 0)::float8 as "pendingLagMs",
           coalesce(d.open, 0)::int as "openDeadLetters"
    from wanted w
    left join (
      select subscription, count(*) as pending,
             min(event_recorded_at) filter (where replay_id is null and (attempts > 0 or due_at <= now())) as oldest
      from deliveries where state in ('pending', 'processing') and subscription in (select key from wanted)
      group by subscription
    ) as p on p.subscription = w.key
    left join (
      select subscription, count(*) as open from dead_letters
      where state = 'open' and subscription in (select key from wanted) group by subscription
    ) as d on d.subscription = w.key`;
  return new Map(rows.map((row) => [row.subscription, row]));
}

/** Where a subscription stands as a whole. */
type Standing = Omit<DeliveryCounts, 'subscription' | 'pendingLagMs'> & {
  lanes: LaneBacklog[];
  waiting: number;
  isMore: boolean;
  /** Age of the oldest event that is not handled, be it in the log or a delivery of its own. */
  lagMs: number;
  delivered: number;
};

/** Where each of some subscriptions stands, by two statements whatever their number. */
export async function readStanding(log: Sql, keys: string[]): Promise<(key: string) => Standing> {
  const [backlog, counts] = await Promise.all([readBacklog(log, keys), countDeliveries(log, keys)]);
  const byKey = Map.groupBy(backlog, ({ subscription }) => subscription);
  return (key) => {
    const lanes = byKey.get(key) ?? [];
    const count = counts.get(key);
    return {
      lanes,
      waiting: lanes.reduce((sum, { waiting }) => sum + waiting, 0),
      isMore: lanes.some(({ isMore }) => isMore),
      lagMs: Math.max(0, count?.pendingLagMs ?? 0, ...lanes.map(({ lagMs }) => lagMs)),
      delivered: lanes.reduce((sum, { delivered }) => sum + delivered, 0),
      pending: count?.pending ?? 0,
      openDeadLetters: count?.openDeadLetters ?? 0,
    };
  };
}

/** The place in front of an event, so that a reader from there gets it too; null for an unknown one. */
export async function placeBefore(log: Sql, eventId: string): Promise<Position | null> {
  const [row] = await log<Position[]>`
    select tx::text as tx, (seq - 1)::text as seq from events where id = ${eventId} limit 1`;
  return row ?? null;
}

/** The place in front of everything that was recorded at or after a moment; the end of the log where nothing was. */
export async function placeAt(log: Sql, at: Date): Promise<Position> {
  const [row] = await log<Position[]>`
    with oldest as (
      select recorded_at from events where recorded_at >= ${at.toISOString()}::timestamptz order by recorded_at limit 1
    )
    select tx::text as tx, (seq - 1)::text as seq from events
    -- Time and place run side by side but for transactions that overlap, and none lasts a minute.
    where recorded_at >= (select recorded_at from oldest)
      and recorded_at < (select recorded_at from oldest) + interval '1 minute'
    order by events.tx, events.seq limit 1`;
  if (row !== undefined) return row;
  return endOfLog(log);
}

/** True for a place that the log has reached. */
export async function isReached(log: Sql, place: Position): Promise<boolean> {
  const [row] = await log<{ reached: boolean }[]>`
    select ${place.tx}::text::xid8 <= pg_snapshot_xmax(pg_current_snapshot()) as reached`;
  return row?.reached === true;
}
