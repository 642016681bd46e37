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
  /** Over threads: events of the longest chain of causes. */
  chainDepth: Percentiles | null;
};

export const listedTypes = 20;
const listedSources = 20;
const listedChains = 20;
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
    select case when count(*) = 0 then null else jsonb_build_object(
      'p50', percentile_disc(0.5) within group (order by ${value}),
      'p90', percentile_disc(0.9) within group (order by ${value}),
      'p99', percentile_disc(0.99) within group (order by ${value}),
      'max', max(${value})) end
    from ${table})`;
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
    links as materialized (
      select e.id, e.type, e.correlation_id, e.causation_id, c.type as cause_type, c.causation_id is null as from_root
      from stretch e left join stretch c on c.id = e.causation_id
      where e.causation_id is not null
    ),
    by_chain as (
      select cause_type, type, count(*) as events from links
      where cause_type is not null group by 1, 2 order by events desc, 1, 2 limit ${listedChains}
    ),
    depths (id, correlation_id, depth) as (
      select id, correlation_id, case when cause_type is null then 1 else 2 end
      from links where cause_type is null or from_root
      union all
      select l.id, l.correlation_id, depth + 1
      from depths d join links l on l.causation_id = d.id where depth < ${maxDepth}::int
    ),
    threads as materialized (
      select correlation_id,
             round(extract(epoch from max(recorded_at) - min(recorded_at)) * 1000)::bigint as duration_ms
      from stretch where correlation_id is not null group by correlation_id
    ),
    deepest as (
      select coalesce(max(d.depth), 1) as depth
      from threads t left join depths d using (correlation_id) group by t.correlation_id
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
