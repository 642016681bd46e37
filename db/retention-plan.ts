import type { RetentionRule } from '../domain/retention.ts';
import type { Sql } from './client.ts';

export type RetentionPlan = {
  types: { type: string; keepDays: number; expired: number; held: number }[];
  partitions: { name: string; from: Date; to: Date; events: number; held: boolean }[];
  keys: number;
  holders: Holder[];
};

/** What keeps events that are over in the log. */
export type Holder = {
  kind: 'subscription' | 'delivery' | 'dead-letter';
  subscription: string;
  /** The lane that has not read them yet. */
  lane: string | null;
  isPaused: boolean;
  count: number;
};

/** What the rules would remove now, and what holds back what they would; reads only. */
export async function planRetention(log: Sql, rules: RetentionRule[]): Promise<RetentionPlan> {
  const said = JSON.stringify(rules);
  const [types, partitions, [keys], lanes, open] = await Promise.all([
    expiredTypes(log, said),
    log<RetentionPlan['partitions']>`
      select p.name, p.starts as "from", p.ends as "to",
             (select count(*)::int from events e where e.recorded_at >= p.starts and e.recorded_at < p.ends) as events,
             events_needed_between(p.starts, p.ends) as held
      from event_partitions() p
      where p.ends <= now() - make_interval(days => retention_longest(${said}::text::jsonb))
      order by p.starts`,
    log<{ count: number }[]>`
      select count(*)::int as count from event_keys
      where recorded_at < least(event_keys_end(), now() - make_interval(days => retention_longest(${said}::text::jsonb)))`,
    holdingLanes(log, said),
    holdingDeliveries(log, said),
  ]);
  return { types, partitions, keys: keys?.count ?? 0, holders: [...lanes, ...open] };
}

async function expiredTypes(log: Sql, said: string): Promise<RetentionPlan['types']> {
  return log<RetentionPlan['types']>`
    with furthest as (
      select l.cursor_tx as tx, l.cursor_seq as seq
      from subscription_lanes l join subscriptions s on s.key = l.subscription
      where s.enabled order by l.cursor_tx, l.cursor_seq limit 1
    ),
    kinds as (
      select type, retention_keep_days(${said}::text::jsonb, type) as keep from event_types_in_log() as type
    )
    select k.type, k.keep as "keepDays", x.expired, x.held
    from kinds k, lateral (
      select count(*)::int as expired,
             (count(*) filter (where
               (select (e.tx, e.seq) > (f.tx, f.seq) from furthest f)
               or exists (select from deliveries d where d.event_id = e.id and d.state in ('pending', 'processing'))
               or exists (select from dead_letters d where d.event_id = e.id and d.state = 'open')))::int as held
      from events e
      where e.type = k.type and e.recorded_at < now() - make_interval(days => k.keep)
    ) x
    where k.keep < retention_longest(${said}::text::jsonb) and x.expired > 0
    order by x.expired desc, k.type
    limit 200`;
}

/** The place of the last event that is over: a lane that stands before it holds something back. */
async function holdingLanes(log: Sql, said: string): Promise<Holder[]> {
  return log<Holder[]>`
    with kinds as (
      select type, retention_keep_days(${said}::text::jsonb, type) as keep from event_types_in_log() as type
    ),
    last_months as (
      select p.ends from event_partitions() p
      where p.ends <= now() - make_interval(days => retention_longest(${said}::text::jsonb))
    ),
    lanes as (
      select l.subscription, l.lane, l.cursor_tx, l.cursor_seq, s.paused_at is not null as paused
      from subscription_lanes l join subscriptions s on s.key = l.subscription where s.enabled
    )
    select 'subscription' as kind, l.subscription, l.lane, l.paused as "isPaused", x.count
    from lanes l, lateral (
      select coalesce(sum(y.count), 0)::int as count from kinds k, lateral (
        select count(*) as count from events e
        where e.type = k.type and (e.tx, e.seq) > (l.cursor_tx, l.cursor_seq)
          and e.recorded_at < case when k.keep < retention_longest(${said}::text::jsonb)
                                   then now() - make_interval(days => k.keep)
                                   else (select max(ends) from last_months) end
      ) y
    ) x
    where x.count > 0
    order by x.count desc, l.subscription, l.lane
    limit 100`;
}

async function holdingDeliveries(log: Sql, said: string): Promise<Holder[]> {
  return log<Holder[]>`
    with needed as (
      select 'delivery' as kind, subscription, event_id from deliveries where state in ('pending', 'processing')
      union all
      select 'dead-letter', subscription, event_id from dead_letters where state = 'open'
    )
    select n.kind, n.subscription, null as lane, s.paused_at is not null as "isPaused", count(*)::int as count
    from needed n join events e on e.id = n.event_id left join subscriptions s on s.key = n.subscription
    where e.recorded_at < now() - make_interval(days => retention_keep_days(${said}::text::jsonb, e.type))
    group by 1, 2, 3, 4
    order by count(*) desc, n.kind, n.subscription
    limit 100`;
}
