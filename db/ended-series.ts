import { type SQL, sql } from 'drizzle-orm';
import type { Point } from '../domain/change-detection.ts';
import { eventTypes } from '../domain/events.ts';

const days = 14;
/** The work of one look, and so its memory; the newest ended attempts. */
const mostEnds = 100_000;
const evidenceEach = 5;

export type EndedPoint = [atMs: number, results: number, failures: number];

/**
 * How attempts ended, out of the log, as common table expressions by `owner`: `totals` of failures, `series` by hour, and
 * `evidence`, the newest failures. `join` says whose an end is, by `ends.task` and `ends.attempt`.
 */
export function endedSeries({ owner, join }: { owner: SQL; join: SQL }): SQL {
  const { taskCompleted: completed, taskFailed: failed } = eventTypes;
  return sql`
    ends as materialized (
      select e.id, e.seq, e.recorded_at, e.type = ${failed} as failed, e.source_id as task,
             e.payload ->> 'attempt' as attempt
      from events e
      where e.type in (${failed}, ${completed}) and e.source_type = 'squad'
        and e.recorded_at >= now() - make_interval(days => ${days}::int)
      order by e.recorded_at desc limit ${mostEnds}::int
    ),
    counted as materialized (select ${owner} as owner, ends.* from ends ${join}),
    totals as (select owner, count(*) filter (where failed) as failures from counted group by owner),
    series as (
      select owner, jsonb_agg(jsonb_build_array(at, results, failures) order by at) as points from (
        select owner, round(extract(epoch from min(recorded_at)) * 1000) as at, count(*) as results,
               count(*) filter (where failed) as failures
        from counted group by owner, date_trunc('hour', recorded_at)) by_hour
      group by owner
    ),
    evidence as (
      select owner, jsonb_agg(id order by recorded_at desc, seq desc) as ids from (
        select owner, id, recorded_at, seq, row_number() over (partition by owner order by recorded_at desc, seq desc) as place
        from counted where failed) placed
      where place <= ${evidenceEach}::int group by owner
    )`;
}

export function pointsOf(points: EndedPoint[]): Point[] {
  return points.map(([atMs, results, failures]) => ({ atMs, results, failures, latencyMs: null }));
}
