import { sql } from 'drizzle-orm';
import type { SquadSnapshot } from '../domain/analyzers/squad-efficiency.ts';
import { eventTypes } from '../domain/events.ts';
import { openTaskStates } from '../domain/task.ts';
import type { Db } from './client.ts';

const days = 14;
const mostSquads = 200;
/** The work of one look, and so its memory; the newest ended tasks. */
const mostTasks = 100_000;
const evidencePerSquad = 5;

type Row = Omit<SquadSnapshot, 'series'> & { points: [atMs: number, results: number, failures: number][] };

/**
 * What the squad-efficiency analyzer looks at: how the tasks of each squad ended, out of the log, by hour; a task that
 * was tried again counts each time it ended. Tasks without a squad count under their role. The squads with the most
 * failures are kept.
 */
export async function squadSnapshots(db: Db): Promise<SquadSnapshot[]> {
  const { taskCompleted: completed, taskFailed: failed } = eventTypes;
  const rows = await db.execute<Row>(sql`
    with ends as materialized (
      select e.id, e.seq, e.recorded_at, e.type = ${failed} as failed, e.source_id as task from events e
      where e.type in (${failed}, ${completed}) and e.source_type = 'squad'
        and e.recorded_at >= now() - make_interval(days => ${days}::int)
      order by e.recorded_at desc limit ${mostTasks}::int
    ),
    counted as materialized (
      select coalesce(t.squad, 'role/' || t.target_role) as squad, ends.* from ends join tasks t on t.id = ends.task
    ),
    totals as (select squad, count(*) filter (where failed) as failures from counted group by squad),
    series as (
      select squad, jsonb_agg(jsonb_build_array(at, results, failures) order by at) as points from (
        select squad, round(extract(epoch from min(recorded_at)) * 1000) as at, count(*) as results,
               count(*) filter (where failed) as failures
        from counted group by squad, date_trunc('hour', recorded_at)) by_hour
      group by squad
    ),
    evidence as (
      select squad, jsonb_agg(id order by recorded_at desc, seq desc) as ids from (
        select squad, id, recorded_at, seq, row_number() over (partition by squad order by recorded_at desc, seq desc) as place
        from counted where failed) placed
      where place <= ${evidencePerSquad}::int group by squad
    ),
    busy as (
      select squad, max(case when state in (${sql.join(
        openTaskStates.map((state) => sql`${state}`),
        sql`, `,
      )}) then now() else coalesce(ended_at, updated_at) end) as at
      from tasks where squad is not null group by squad
    ),
    known as (select name as squad from squads union select squad from totals)
    select k.squad, coalesce(s.owner, '') as owner, coalesce(series.points, '[]'::jsonb) as points,
           coalesce(evidence.ids, '[]'::jsonb) as evidence,
           case when s.name is not null then
             (extract(epoch from now() - greatest(s.created_at, busy.at)) / 86400)::float8 end as "idleForDays"
    from known k
    left join squads s on s.name = k.squad
    left join totals using (squad) left join series using (squad) left join evidence using (squad)
    left join busy using (squad)
    order by coalesce(totals.failures, 0) desc, k.squad limit ${mostSquads}::int`);
  return rows.map(({ points, ...squad }) => ({
    ...squad,
    series: points.map(([atMs, results, failures]) => ({ atMs, results, failures, latencyMs: null })),
  }));
}
