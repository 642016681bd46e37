import { type Failures, togetherLimits } from '../domain/entity-link.ts';
import { eventTypes } from '../domain/events.ts';
import { insightBounds, type Remembered } from '../domain/resonance.ts';
import type { Sql } from './client.ts';

/** Failures that are read of each kind, the newest; the window begins with the oldest of them. */
const mostFailures = 100_000;
const mostRemembered = 1_000;

/** Entities with a trait that can be an insight, and those that are furthest from neutral: few, however many are known. */
export async function rememberedEntities(log: Sql): Promise<Remembered[]> {
  const { endpointReliability, agentReliability, squadReliability, sporePopularity } = insightBounds;
  return log<Remembered[]>`
    with telling as (
      (select t.entity from memory_traits t join memory_records r using (entity)
       where t.trait = 'reliability' and t.value < ${endpointReliability}::float8 and r.kind = 'endpoint'
       order by t.value limit ${mostRemembered})
      union
      (select t.entity from memory_traits t join memory_records r using (entity)
       where t.trait = 'reliability' and t.value < ${agentReliability}::float8 and r.kind = 'agent'
       order by t.value limit ${mostRemembered})
      union
      (select t.entity from memory_traits t join memory_records r using (entity)
       where t.trait = 'reliability' and t.value > ${squadReliability}::float8 and r.kind = 'squad'
       order by t.value desc limit ${mostRemembered})
      union
      (select t.entity from memory_traits t join memory_records r using (entity)
       where t.trait = 'popularity' and t.value > ${sporePopularity}::float8 and r.kind = 'spore'
       order by t.value desc limit ${mostRemembered})
      union
      (select entity from memory_traits group by entity having count(*) > 1
       order by sum((value - 0.5) * (value - 0.5)) desc, entity limit ${mostRemembered})
    )
    select t.entity, jsonb_object_agg(t.trait, t.value) as traits
    from memory_traits t join telling using (entity)
    group by t.entity order by t.entity`;
}

export type FailureWindow = { failures: Failures[]; buckets: number };

/**
 * When endpoints failed, and agents and squads whose tasks did, in time buckets that end with the present one. Postgres
 * counts: what comes here is one short row for each entity.
 */
export async function failureWindow(log: Sql, most = mostFailures): Promise<FailureWindow> {
  const seconds = togetherLimits.bucketMs / 1000;
  const since = log`now() - make_interval(secs => ${togetherLimits.windowMs / 1000}::float8)`;
  const rows = await log<{ entity: string; first: number; last: number; buckets: number[] }[]>`
    with probed as (
      select e.recorded_at as at, 'endpoint:' || e.source_id as entity
      from events e
      where e.type = ${eventTypes.endpointFailed} and e.source_type = 'api' and e.recorded_at >= ${since}
      order by e.recorded_at desc limit ${most}),
    worked as (
      select e.recorded_at as at, a.agent_id, t.squad
      from events e
      join task_attempts a on a.key = (e.payload->>'taskId') || ':' || (e.payload->>'attempt')
      join tasks t on t.id = a.task_id
      where e.type = ${eventTypes.taskFailed} and e.source_type = 'squad' and e.recorded_at >= ${since}
      order by e.recorded_at desc limit ${most}),
    failed as (
      select at, entity from probed
      union all select at, 'agent:' || agent_id from worked
      union all select at, 'squad:' || squad from worked where squad is not null),
    edges as (
      -- Before the first event nothing could fail, and before the oldest that was read nobody looked.
      select greatest(
        ${since},
        (select min(recorded_at) from events),
        (select min(at) from probed having count(*) = ${most}),
        (select min(at) from worked having count(*) = ${most})) as begins),
    numbered as (
      select entity, floor(extract(epoch from at) / ${seconds}::float8)::int as bucket
      from failed where at >= (select begins from edges)
      group by 1, 2)
    select entity,
           floor(extract(epoch from (select begins from edges)) / ${seconds}::float8)::int as first,
           floor(extract(epoch from now()) / ${seconds}::float8)::int as last,
           to_jsonb(array_agg(bucket order by bucket)) as buckets
    from numbered group by entity having count(*) >= ${togetherLimits.fewestEpisodes}
    order by count(*) desc, entity limit ${2 * togetherLimits.mostEntities}`;
  const [row] = rows;
  if (row === undefined) return { failures: [], buckets: 0 };
  const { first, last } = row;
  return {
    failures: rows.map(({ entity, buckets }) => ({ entity, buckets: buckets.map((one) => one - first) })),
    buckets: last - first + 1,
  };
}
