import { type SQL, sql } from 'drizzle-orm';
import type { Severity, SourceType } from '../domain/events.ts';
import type { Db } from './client.ts';

export type Percentiles = { p50: number; p90: number; p99: number; max: number };

export type EventStats = {
  events: number;
  errors: number;
  withoutThread: number;
  bySeverity: Partial<Record<Severity, number>>;
  /** Types by how many events they have; what is behind the last of them is counted in the totals only. */
  types: { type: string; events: number; errors: number }[];
  /** Buckets that have events, each with the types named above and the rest as `*`. */
  buckets: { at: string; events: number; errors: number; types: Record<string, number> }[];
  sources: { type: SourceType; id: string; events: number; errors: number }[];
  /** Which type was caused by which, with cause and effect in this stretch. */
  chains: { cause: string; effect: string; events: number }[];
  recordingLagMs: Percentiles | null;
  threads: number;
  threadDurationMs: Percentiles | null;
  /** Over the newest threads: events of the longest chain of causes. */
  chainDepth: Percentiles | null;
};

export const listedTypes = 20;
const listedSources = 20;
const listedChains = 20;
/** Following causes step by step is what costs most: that is done for this many threads. */
export const measuredThreads = 5_000;
/** Causes that go in a circle end here, and so does every chain. */
const maxDepth = 100;

/**
 * Counts what the log has between two times. One statement, so that all numbers are about the same events; the stretch
 * is found by the primary key and kept once for all of them.
 */
export async function countEvents(
  db: Db,
  { from, to, bucketSeconds }: { from: Date; to: Date; bucketSeconds: number },
): Promise<EventStats> {
  const isError = sql`severity in ('error', 'critical')`;
  const percentiles = (value: SQL, table: SQL): SQL => sql`(
    select case when most is null then null else
      jsonb_build_object('p50', parts[1], 'p90', parts[2], 'p99', parts[3], 'max', most) end
    from (
      select percentile_disc(array[0.5, 0.9, 0.99]) within group (order by ${value}) as parts, max(${value}) as most
      from ${table}) as p)`;
  const [row] = await db.execute<{ stats: EventStats }>(sql`
    with recursive stretch as materialized (
      select id, type, source_type, source_id, severity, correlation_id, causation_id, recorded_at,
             round(extract(epoch from recorded_at - occurred_at) * 1000)::bigint as lag_ms,
             floor(extract(epoch from recorded_at) / ${bucketSeconds}::int)::bigint as bucket,
             ${isError} as is_error
      from events
      where recorded_at >= ${from.toISOString()}::timestamptz and recorded_at < ${to.toISOString()}::timestamptz
    ),
    by_type as materialized (
      select type, count(*) as events, count(*) filter (where is_error) as errors
      from stretch group by type order by events desc, type limit ${listedTypes}
    ),
    by_bucket as (
      select bucket, coalesce(by_type.type, '*') as type, count(*) as events,
             count(*) filter (where is_error) as errors
      from stretch left join by_type using (type) group by 1, 2
    ),
    buckets as (
      select bucket, sum(events) as events, sum(errors) as errors, jsonb_object_agg(type, events) as types
      from by_bucket group by bucket
    ),
    by_source as (
      select source_type, source_id, count(*) as events, count(*) filter (where is_error) as errors
      from stretch group by 1, 2 order by events desc, 1, 2 limit ${listedSources}
    ),
    by_chain as (
      select c.type as cause_type, e.type, count(*) as events
      from stretch e join stretch c on c.id = e.causation_id
      group by 1, 2 order by events desc, 1, 2 limit ${listedChains}
    ),
    threads as materialized (
      select correlation_id, max(recorded_at) as last_at,
             round(extract(epoch from max(recorded_at) - min(recorded_at)) * 1000)::bigint as duration_ms
      from stretch where correlation_id is not null group by correlation_id
    ),
    newest as materialized (
      select correlation_id from threads order by last_at desc, correlation_id limit ${measuredThreads}
    ),
    members as materialized (
      select s.id, s.correlation_id, s.causation_id from stretch s join newest using (correlation_id)
    ),
    depths (id, correlation_id, depth) as (
      select m.id, m.correlation_id, 1 from members m
      where not exists (select from members c where c.id = m.causation_id)
      union all
      select m.id, m.correlation_id, depth + 1
      from depths d join members m on m.causation_id = d.id where depth < ${maxDepth}::int
    ),
    deepest as (
      select coalesce(max(d.depth), 1) as depth
      from newest n left join depths d using (correlation_id) group by n.correlation_id
    )
    select jsonb_build_object(
      'events', (select count(*) from stretch),
      'errors', (select count(*) from stretch where is_error),
      'withoutThread', (select count(*) from stretch where correlation_id is null),
      'bySeverity', (
        select coalesce(jsonb_object_agg(severity, n), '{}')
        from (select severity, count(*) as n from stretch group by severity) as s),
      'types', (
        select coalesce(jsonb_agg(jsonb_build_object('type', type, 'events', events, 'errors', errors)
          order by events desc, type), '[]') from by_type),
      'buckets', (
        select coalesce(jsonb_agg(jsonb_build_object(
          'at', to_char(to_timestamp(bucket * ${bucketSeconds}::int) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
          'events', events, 'errors', errors, 'types', types) order by bucket), '[]') from buckets),
      'sources', (
        select coalesce(jsonb_agg(jsonb_build_object('type', source_type, 'id', source_id,
          'events', events, 'errors', errors) order by events desc, source_type, source_id), '[]') from by_source),
      'chains', (
        select coalesce(jsonb_agg(jsonb_build_object('cause', cause_type, 'effect', type, 'events', events)
          order by events desc, cause_type, type), '[]') from by_chain),
      'recordingLagMs', ${percentiles(sql`lag_ms`, sql`stretch`)},
      'threads', (select count(*) from threads),
      'threadDurationMs', ${percentiles(sql`duration_ms`, sql`threads`)},
      'chainDepth', ${percentiles(sql`depth`, sql`deepest`)}
    ) as stats`);
  if (row === undefined) throw new Error('counting gave no row');
  return row.stats;
}
