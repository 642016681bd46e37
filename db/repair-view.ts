import { sql, type SQL } from 'drizzle-orm';
import type { LifeView } from '../domain/repair.ts';
import type { RepairView } from '../domain/verdict.ts';
import type { Db } from './client.ts';
import type { RepairRow } from './repairs.ts';

const baselineDays = 7;
const mostPeers = 20;
/** Results just before and just after a repair that are looked at by themselves. */
const [lastBefore, firstAfter] = [5, 3];

export type SeenRepair = { sinceRepairMs: number; isOverlapped: boolean; view: RepairView };

/** What has results of its own, and where they are: one row for each, with its entity, time, failure and latency. */
function resultsOf(targetClass: string, from: SQL): SQL | null {
  if (targetClass === 'probe')
    return sql`
      select 'probe:' || e.source_id as entity, e.recorded_at as at, e.seq as place,
             e.type = 'api.endpoint.failed' as failed,
             case when jsonb_typeof(e.payload -> 'latencyMs') = 'number' and e.type = 'api.endpoint.success'
                  then (e.payload ->> 'latencyMs')::float8 end as latency
      from events e
      where e.type in ('api.endpoint.failed', 'api.endpoint.success') and e.source_type = 'api'
        and e.recorded_at >= ${from}`;
  if (targetClass === 'squad')
    return sql`
      select 'squad:' || t.squad as entity, t.ended_at as at, t.attempt::bigint as place, t.state = 'failed' as failed,
             null::float8 as latency
      from tasks t
      where t.squad is not null and t.state in ('success', 'failed') and t.ended_at >= ${from}`;
  return null;
}

function stretch(where: SQL): SQL {
  return sql`jsonb_build_object(
    'results', count(*) filter (where ${where}),
    'failures', count(*) filter (where ${where} and failed),
    'latencyMs', percentile_cont(0.5) within group (order by latency) filter (where ${where}))`;
}

/** Whether results tell about targets of this class. */
export function hasResults(targetClass: string): boolean {
  return resultsOf(targetClass, sql`now()`) !== null;
}

/**
 * What was seen of a repaired target and of those of its class that were in trouble in the same time and that nobody
 * touched. What comes after another repair of the same target is that one's.
 */
export async function seeResults(db: Db, repair: RepairRow): Promise<SeenRepair | null> {
  const from = sql`(select trouble - make_interval(days => ${baselineDays}::int) from r)`;
  const results = resultsOf(repair.targetClass, from);
  if (results === null) return null;
  const [row] = await db.execute(sql`
    with r as (
      select target, trouble_since as trouble, repaired_at as repaired,
             (select min(t.ended_at) from tasks t
              where t.target = x.target and t.id <> x.task_id and t.state = 'success'
                and t.ended_at > x.repaired_at) as next
      from repairs x where x.task_id = ${repair.taskId}
    ),
    seen as materialized (${results}),
    own as (
      select s.*, r.*, s.at > r.repaired as is_after,
             row_number() over (partition by s.at > r.repaired order by s.at, s.place) as nth,
             row_number() over (partition by s.at > r.repaired order by s.at desc, s.place desc) as nth_back
      from seen s, r where s.entity = r.target and s.at < coalesce(r.next, 'infinity')
    ),
    touched as (
      select distinct t.target from tasks t, r
      where t.state = 'success' and t.ended_at >= r.trouble
    ),
    peers as (
      select s.entity, ${stretch(sql`at < trouble`)} as baseline,
             ${stretch(sql`at >= trouble and at <= repaired`)} as trouble, ${stretch(sql`at > repaired`)} as after
      from seen s, r
      where s.entity <> r.target and s.entity not in (select target from touched)
      group by s.entity
      having bool_or(failed and at >= trouble and at <= repaired)
      order by s.entity limit ${mostPeers}
    )
    select (extract(epoch from now() - r.repaired) * 1000)::float8 as since_repair, r.next is not null as overlapped,
           (select jsonb_build_object(
              'baseline', ${stretch(sql`at < trouble`)},
              'trouble', ${stretch(sql`at >= trouble and at <= repaired`)},
              'before', ${stretch(sql`at >= trouble and at <= repaired and nth_back <= ${lastBefore}::int`)},
              'early', ${stretch(sql`is_after and nth <= ${firstAfter}::int`)},
              'after', ${stretch(sql`is_after and nth > ${firstAfter}::int`)}) from own)
           || jsonb_build_object('peers', coalesce(
                (select jsonb_agg(jsonb_build_object('baseline', p.baseline, 'trouble', p.trouble, 'after', p.after))
                 from peers p), '[]'::jsonb)) as view
    from r`);
  if (row === undefined) return null;
  return {
    sinceRepairMs: Number(row.since_repair),
    isOverlapped: row.overlapped === true,
    view: row.view as RepairView,
  };
}

/** Signs of life of a repaired agent, and of those that fell silent with it and that nobody touched. */
export async function seeLife(db: Db, repair: RepairRow): Promise<LifeView | null> {
  const [row] = await db.execute(sql`
    with r as (
      select target, trouble_since as trouble, repaired_at as repaired from repairs where task_id = ${repair.taskId}
    ),
    touched as (
      select distinct t.target from tasks t, r where t.state = 'success' and t.ended_at >= r.trouble
    )
    select coalesce(a.last_seen_at > r.repaired and a.state in ('online', 'busy'), false) as back,
           (extract(epoch from now() - r.repaired) * 1000)::float8 as since_repair,
           coalesce((
             select jsonb_agg(jsonb_build_object(
                      'isBack', coalesce(p.last_seen_at > r.repaired and p.state in ('online', 'busy'), false)))
             from agents p
             where p.id <> a.id and 'agent:' || p.id not in (select target from touched)
               and exists (
                 select from events e
                 where e.source_type = 'agent' and e.source_id = p.id and e.type = 'agent.status'
                   and e.payload ->> 'state' = 'offline' and e.recorded_at between r.trouble and r.repaired)
           ), '[]'::jsonb) as peers
    from r join agents a on 'agent:' || a.id = r.target`);
  if (row === undefined) return null;
  return {
    isBack: row.back === true,
    sinceRepairMs: Number(row.since_repair),
    peers: row.peers as LifeView['peers'],
  };
}
