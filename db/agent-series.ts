import { sql } from 'drizzle-orm';
import type { AgentSnapshot } from '../domain/analyzers/agent-health.ts';
import { eventTypes } from '../domain/events.ts';
import type { Db } from './client.ts';

const days = 14;
const mostAgents = 1000;
/** The work of one look, and so its memory; the newest ended attempts. */
const mostAttempts = 100_000;
const evidencePerAgent = 5;

type Row = { agent: string; points: [atMs: number, results: number, failures: number][]; evidence: string[] };
export type AgentSeries = Required<Pick<AgentSnapshot, 'series' | 'evidence'>>;

/** How the attempts of each agent ended, out of the log, by hour; the agents with the most failures are kept. */
export async function agentSeries(db: Db): Promise<Map<string, AgentSeries>> {
  const { taskCompleted: completed, taskFailed: failed } = eventTypes;
  const rows = await db.execute<Row>(sql`
    with ends as materialized (
      select e.id, e.seq, e.recorded_at, e.type = ${failed} as failed,
             e.source_id || ':' || (e.payload ->> 'attempt') as attempt
      from events e
      where e.type in (${failed}, ${completed}) and e.source_type = 'squad'
        and e.recorded_at >= now() - make_interval(days => ${days}::int)
      order by e.recorded_at desc limit ${mostAttempts}::int
    ),
    counted as materialized (
      select a.agent_id as agent, ends.* from ends join task_attempts a on a.key = ends.attempt
    ),
    totals as (
      select agent, count(*) filter (where failed) as failures from counted group by agent
      order by failures desc, agent limit ${mostAgents}::int
    ),
    series as (
      select agent, jsonb_agg(jsonb_build_array(at, results, failures) order by at) as points from (
        select agent, round(extract(epoch from min(recorded_at)) * 1000) as at, count(*) as results,
               count(*) filter (where failed) as failures
        from counted group by agent, date_trunc('hour', recorded_at)) by_hour
      group by agent
    ),
    evidence as (
      select agent, jsonb_agg(id order by recorded_at desc, seq desc) as ids from (
        select agent, id, recorded_at, seq, row_number() over (partition by agent order by recorded_at desc, seq desc) as place
        from counted where failed) placed
      where place <= ${evidencePerAgent}::int group by agent
    )
    select agent, series.points, coalesce(evidence.ids, '[]'::jsonb) as evidence
    from totals join series using (agent) left join evidence using (agent)`);
  return new Map(
    rows.map(({ agent, points, evidence }) => [
      agent,
      {
        series: points.map(([atMs, results, failures]) => ({ atMs, results, failures, latencyMs: null })),
        evidence,
      },
    ]),
  );
}
