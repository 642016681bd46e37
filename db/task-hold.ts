import { sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { coversTask } from './kill-switch.ts';

const target = sql`t.target`;
const covers = coversTask(sql`k.scope`, target);

/**
 * Runs of attempts that a switch was engaged over, each claimed for one telling; the next follows later and later, as a
 * run that cannot listen must not be buried in signals.
 */
export async function claimStops(db: Db, limit: number): Promise<{ workflowId: string }[]> {
  const rows = await db.execute(sql`
    update task_attempts set stop_asks = stop_asks + 1, stop_asked_at = now()
    from tasks t
    where t.id = task_attempts.task_id and task_attempts.key in (
      select a.key from task_attempts a join tasks t on t.id = a.task_id and t.attempt = a.attempt
      where a.state = 'intent' and t.state = 'running'
        and exists (select from kill_switches k where k.epoch > a.epoch and ${covers})
        and (a.stop_asked_at is null or a.stop_asked_at < now() - make_interval(secs => least(300, 2 ^ a.stop_asks)))
      order by a.started_at limit ${limit}
      for update of a skip locked)
    returning t.workflow_id as "workflowId"`);
  return rows as unknown as { workflowId: string }[];
}

export type Turn = { taskId: string; workflowId: string; scope: string; drained: number };

/**
 * The parked tasks whose turn it is: of those no switch holds any more the oldest for each switch that may let one go
 * now. A task waits for the switch over it that was released last.
 */
export async function findTurns(db: Db): Promise<Turn[]> {
  const rows = await db.execute(sql`
    select distinct on (m.scope) t.id as "taskId", t.workflow_id as "workflowId", m.scope, m.drained
    from tasks t
    cross join lateral (
      select k.* from kill_switches k where ${covers}
      order by (k.level = 'dispatch'), k.released_at desc nulls last, k.scope limit 1
    ) m
    where t.state = 'pending' and t.parked_at is not null and m.level = 'dispatch' and ${isDue(sql`m`)}
    order by m.scope, t.parked_at, t.id`);
  return rows as unknown as Turn[];
}

function isDue(row: ReturnType<typeof sql>) {
  return sql`(${row}.last_released_at is null
    or ${row}.last_released_at + make_interval(secs => 60.0 / ${row}.release_per_minute) <= now())`;
}

/**
 * Lets one parked task go. All relays together keep to the rate, because the statement is the row of the switch: it
 * waits for its time, and for nobody else having let one go since `turn` was found.
 */
export async function releaseTurn(db: Db, turn: Turn): Promise<boolean> {
  const { taskId, scope, drained } = turn;
  const outcome = await change(db, {
    opKey: `task.release:${taskId}:${scope}:${drained}:${await parkedMoment(db, taskId)}`,
    write: sql`
      update kill_switches set last_released_at = clock_timestamp(), drained = drained + 1
      where scope = ${scope} and level = 'dispatch' and drained = ${drained}::int and ${isDue(sql`kill_switches`)}
        and exists (select from tasks t where t.id = ${taskId} and t.state = 'pending' and t.parked_at is not null)
      returning *`,
    also: [
      sql`
        update tasks set parked_at = null, parked_because = null, released_at = now(), updated_at = now()
        from changed where tasks.id = ${taskId} and tasks.state = 'pending' and tasks.parked_at is not null`,
    ],
    events: [
      {
        type: eventTypes.taskReleased,
        source: { type: 'squad', id: taskId },
        payload: { taskId, scope },
        correlationId: taskId,
      },
    ],
    audit: {
      actor: 'system',
      action: 'task.release',
      subjectKind: 'task',
      subjectId: taskId,
      detail: { scope },
    },
  });
  return outcome.status === 'changed';
}

async function parkedMoment(db: Db, taskId: string): Promise<string> {
  const [row] = await db.execute(sql`
    select (extract(epoch from parked_at) * 1000)::bigint::text as at from tasks where id = ${taskId}`);
  return typeof row?.at === 'string' ? row.at : 'gone';
}

/** Runs of tasks that were let go and have not begun: their signal was lost. Claimed for one more telling. */
export async function claimUntold(
  db: Db,
  olderThanMs: number,
  limit: number,
): Promise<{ workflowId: string }[]> {
  const rows = await db.execute(sql`
    update tasks set released_at = now()
    where id in (
      select t.id from tasks t
      where t.state = 'pending'
        and t.released_at < now() - make_interval(secs => ${olderThanMs / 1000}::double precision)
      order by t.released_at limit ${limit}
      for update skip locked)
    returning workflow_id as "workflowId"`);
  return rows as unknown as { workflowId: string }[];
}

export type HeldCounts = {
  /** Attempts under way: what engaging stops. */
  running: number;
  /** Tasks that wait for a decision or a dispatch and are not parked: what engaging holds back. */
  waiting: number;
  /** Tasks that were on their way to dispatch and wait for a release. */
  parked: number;
};

/** What lies in each of these scopes now. */
export async function countHeld(db: Db, scopes: string[]): Promise<Map<string, HeldCounts>> {
  const rows = await db.execute(sql`
    select s.scope,
           (count(*) filter (where t.state = 'running' and not t.outcome_unknown))::int as running,
           (count(*) filter (where t.state in ('pending-approval', 'pending') and t.parked_at is null))::int as waiting,
           (count(*) filter (where t.state = 'pending' and t.parked_at is not null))::int as parked
    from jsonb_array_elements_text(${JSON.stringify(scopes)}::text::jsonb) as s(scope)
    left join tasks t
      on t.state in ('pending-approval', 'pending', 'running') and ${coversTask(sql`s.scope`, target)}
    group by s.scope`);
  const counted = rows as unknown as (HeldCounts & { scope: string })[];
  return new Map(counted.map(({ scope, ...counts }) => [scope, counts]));
}
