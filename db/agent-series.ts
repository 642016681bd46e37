import { sql } from 'drizzle-orm';
import type { AgentSnapshot } from '../domain/analyzers/agent-health.ts';
import type { Db } from './client.ts';
import { type EndedPoint, endedSeries, pointsOf } from './ended-series.ts';

const mostAgents = 1000;

type Row = { agent: string; points: EndedPoint[]; evidence: string[] };
export type AgentSeries = Required<Pick<AgentSnapshot, 'series' | 'evidence'>>;

/** How the attempts of each agent ended; the agents with the most failures are kept. */
export async function agentSeries(db: Db): Promise<Map<string, AgentSeries>> {
  const ended = endedSeries({
    owner: sql`a.agent_id`,
    join: sql`join task_attempts a on a.key = ends.task || ':' || ends.attempt`,
  });
  const rows = await db.execute<Row>(sql`
    with ${ended}
    select owner as agent, series.points, coalesce(evidence.ids, '[]'::jsonb) as evidence
    from totals join series using (owner) left join evidence using (owner)
    order by totals.failures desc, owner limit ${mostAgents}::int`);
  return new Map(rows.map(({ agent, points, evidence }) => [agent, { series: pointsOf(points), evidence }]));
}
