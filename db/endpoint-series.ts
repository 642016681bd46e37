import { sql } from 'drizzle-orm';
import type { EndpointSnapshot } from '../domain/analyzers/endpoint-health.ts';
import { eventTypes } from '../domain/events.ts';
import type { Db } from './client.ts';
import type { ProbeResult } from './schema/index.ts';

const mostProbes = 10_000;
const evidencePerProbe = 5;
const bucketSeconds = 60;

export const defaultSeries = {
  /** Results older than this are no measure of what is normal. */
  days: 7,
  /** The work of one look, and so its memory: results over all endpoints. */
  results: 100_000,
  /** Most and fewest of them for one endpoint; with too many endpoints for the fewest, the worst ones get theirs. */
  most: 500,
  fewest: 60,
};

type EndpointLook = {
  endpoints: EndpointSnapshot[];
  /** Endpoints that are known by their last result only, as there are more than are looked at closely. */
  withoutSeries: number;
};

type Row = Omit<EndpointSnapshot, 'series'> & {
  last: ProbeResult | null;
  points: [atMs: number, results: number, failures: number, latencyMs: number | null][];
  isCut: boolean;
};

/**
 * What the endpoint-health analyzer looks at: each enabled probe with its newest results out of the log, in buckets of
 * a minute. The newest results of one endpoint are a stretch of the index by source, so that neither a long log nor a
 * storm makes the look longer. A result from before a repair says nothing about the repaired endpoint.
 */
export async function endpointSnapshots(db: Db, options = defaultSeries): Promise<EndpointLook> {
  const { days, results, most, fewest } = options;
  const { endpointFailed: failed, endpointSucceeded: succeeded } = eventTypes;
  const rows = await db.execute<Row>(sql`
    with watched as (
      select p.*, count(*) over () as many,
             row_number() over (order by p.consecutive_failures desc, p.updated_at desc, p.id) as place
      from (select * from probes where enabled order by id limit ${mostProbes}::int) p
    ),
    shared as (
      select w.*, greatest(${fewest}::int, least(${most}::int, ${results}::int / many)) as share from watched w
    ),
    repaired as (
      select target, max(ended_at) as at from tasks where state = 'success' and target like 'probe:%' group by target
    )
    select w.id as "probeId", w.name, w.method, w.url, w.owner, w.depends_on as "dependsOn",
           w.consecutive_failures as "consecutiveFailures",
           case when r.at >= w.updated_at then null else w.last_result end as last,
           coalesce(s.points, '[]'::jsonb) as points, coalesce(s.evidence, '[]'::jsonb) as evidence,
           coalesce(s.answers, '[]'::jsonb) as answers,
           w.place * w.share > ${results}::int as "isCut"
    from shared w
    left join repaired r on r.target = 'probe:' || w.id
    left join lateral (
      with newest as materialized (
        select e.id, e.recorded_at, e.seq, e.type = ${failed} as failed,
               -- Anybody may write such an event: a figure out of bounds must not end the look.
               case when jsonb_typeof(e.payload->'latencyMs') = 'number'
                 then least(greatest((e.payload->>'latencyMs')::numeric, 0), 3600000)::float8 end as latency
        from events e
        where e.source_type = 'api' and e.source_id = w.id and e.type in (${failed}, ${succeeded})
          and e.payload->>'probeId' = w.id
          and e.recorded_at >= now() - make_interval(days => ${days}::int)
          and (r.at is null or e.recorded_at > r.at)
        order by e.recorded_at desc limit w.share
      )
      select
        (select jsonb_agg(jsonb_build_array(b.at, b.results, b.failures, b.latency) order by b.at) from (
           select round(extract(epoch from min(n.recorded_at)) * 1000) as at, count(*) as results,
                  count(*) filter (where n.failed) as failures,
                  round(avg(n.latency) filter (where not n.failed)::numeric, 1) as latency
           from newest n group by floor(extract(epoch from n.recorded_at) / ${bucketSeconds}::int)) b) as points,
        (select jsonb_agg(f.id order by f.recorded_at desc, f.seq desc) from (
           select * from newest where failed order by recorded_at desc, seq desc limit ${evidencePerProbe}::int) f) as evidence,
        (select jsonb_agg(f.id order by f.recorded_at desc, f.seq desc) from (
           select * from newest where not failed order by recorded_at desc, seq desc limit ${evidencePerProbe}::int) f) as answers
    ) s on w.place * w.share <= ${results}::int
    order by w.id`);
  return {
    endpoints: rows.map(({ points, isCut: _isCut, ...endpoint }) => ({
      ...endpoint,
      series: points.map(([atMs, seen, failures, latencyMs]) => ({
        ...{ atMs, results: seen, failures, latencyMs },
      })),
    })),
    withoutSeries: rows.filter(({ isCut }) => isCut).length,
  };
}
