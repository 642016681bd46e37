import { and, desc, eq, gt, inArray, lt, or, sql, type SQL } from 'drizzle-orm';
import type { Verdict } from '../domain/verdict.ts';
import type { Db } from './client.ts';
import { repairs } from './schema/index.ts';

export type RepairRow = typeof repairs.$inferSelect;

const lookBackDays = 7;

/**
 * A part of the statement that ends an attempt: what HALO proposed and what succeeded is watched from now on. Its
 * trouble began with the earliest of what the cycle saw, the evidence, and the first failure since the last success.
 */
export function watchRepair(): SQL {
  const since = sql`make_interval(days => ${lookBackDays}::int)`;
  return sql`
    insert into repairs (task_id, action, target, target_class, trouble_since, repaired_at, state)
    select changed.id, changed.type, changed.target, split_part(changed.target, ':', 1),
           least(
             changed.created_at,
             (select min(e.recorded_at) from events e
              where e.id in (select jsonb_array_elements_text(changed.evidence))),
             (select to_timestamp(min((i.observed ->> 'sinceMs')::float8) / 1000) from halo_issues i
              where i.cycle_id = changed.origin_id
                and i.entity_kind || ':' || i.entity_id = changed.target
                and jsonb_typeof(i.observed -> 'sinceMs') = 'number'),
             (select min(e.recorded_at) from events e
              where e.source_type = 'api' and changed.target = 'probe:' || e.source_id
                and e.source_id = substr(changed.target, 7) and e.type = 'api.endpoint.failed'
                and e.recorded_at > changed.created_at - ${since}
                and e.recorded_at > coalesce(
                  (select max(s.recorded_at) from events s
                   where s.source_type = 'api' and s.source_id = substr(changed.target, 7)
                     and s.type = 'api.endpoint.success' and s.recorded_at <= changed.created_at
                     and s.recorded_at > changed.created_at - ${since}),
                  '-infinity'))),
           now(), 'watching'
    from changed
    where changed.origin = 'halo' and changed.state = 'success'
    on conflict (task_id) do nothing`;
}

/** Which of these targets have a repair without a verdict that ended within this time, with when it ended. */
export async function watchedTargets(
  db: Db,
  targets: string[],
  withinMs: number,
): Promise<Map<string, Date>> {
  if (targets.length === 0) return new Map();
  const { target, repairedAt, state } = repairs;
  const rows = await db
    .select({ target, repairedAt })
    .from(repairs)
    .where(
      and(
        eq(state, 'watching'),
        inArray(target, targets),
        gt(repairedAt, sql`now() - make_interval(secs => ${withinMs / 1000}::float8)`),
      ),
    )
    .orderBy(repairedAt);
  return new Map(rows.map((row) => [row.target, row.repairedAt]));
}

/** The repairs that wait for a verdict, the oldest first. */
export async function watchedRepairs(db: Db, limit: number): Promise<RepairRow[]> {
  return db
    .select()
    .from(repairs)
    .where(eq(repairs.state, 'watching'))
    .orderBy(repairs.repairedAt, repairs.taskId)
    .limit(limit);
}

export type RepairFilter = {
  action?: string | undefined;
  verdict?: Verdict | undefined;
  target?: string | undefined;
};

/** Repairs by their end, newest first. */
export async function listRepairs(
  db: Db,
  filter: RepairFilter,
  before: { at: Date; id: string } | null,
  limit: number,
): Promise<RepairRow[]> {
  const { action, verdict, target } = filter;
  const { repairedAt, taskId } = repairs;
  return db
    .select()
    .from(repairs)
    .where(
      and(
        action === undefined ? undefined : eq(repairs.action, action),
        verdict === undefined ? undefined : eq(repairs.verdict, verdict),
        target === undefined ? undefined : eq(repairs.target, target),
        before === null
          ? undefined
          : or(
              lt(sql`date_trunc('milliseconds', ${repairedAt})`, before.at.toISOString()),
              and(
                eq(sql`date_trunc('milliseconds', ${repairedAt})`, before.at.toISOString()),
                lt(taskId, before.id),
              ),
            ),
      ),
    )
    .orderBy(desc(sql`date_trunc('milliseconds', ${repairedAt})`), desc(taskId))
    .limit(limit);
}
