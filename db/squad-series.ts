import { sql } from 'drizzle-orm';
import type { SquadSnapshot } from '../domain/analyzers/squad-efficiency.ts';
import { openTaskStates } from '../domain/task.ts';
import type { Db } from './client.ts';
import { type EndedPoint, endedSeries, pointsOf } from './ended-series.ts';

const mostSquads = 200;

type Row = Omit<SquadSnapshot, 'series'> & { points: EndedPoint[] };

/**
 * What the squad-efficiency analyzer looks at: how the tasks of each squad ended; a task that was tried again counts each
 * time it ended. Tasks without a squad count under their role. The squads with the most failures are kept.
 */
export async function squadSnapshots(db: Db): Promise<SquadSnapshot[]> {
  const ended = endedSeries({
    owner: sql`coalesce(t.squad, 'role/' || t.target_role)`,
    join: sql`join tasks t on t.id = ends.task`,
  });
  const rows = await db.execute<Row>(sql`
    with ${ended},
    busy as (
      select squad, max(case when state in (${sql.join(
        openTaskStates.map((state) => sql`${state}`),
        sql`, `,
      )}) then now() else coalesce(ended_at, updated_at) end) as at
      from tasks where squad is not null group by squad
    ),
    known as (select name as squad from squads union select owner from totals)
    select k.squad, coalesce(s.owner, '') as owner, coalesce(series.points, '[]'::jsonb) as points,
           coalesce(evidence.ids, '[]'::jsonb) as evidence,
           case when s.name is not null then
             (extract(epoch from now() - greatest(s.created_at, busy.at)) / 86400)::float8 end as "idleForDays"
    from known k
    left join squads s on s.name = k.squad
    left join totals on totals.owner = k.squad left join series on series.owner = k.squad
    left join evidence on evidence.owner = k.squad left join busy using (squad)
    order by coalesce(totals.failures, 0) desc, k.squad limit ${mostSquads}::int`);
  return rows.map(({ points, ...squad }) => ({ ...squad, series: pointsOf(points) }));
}
