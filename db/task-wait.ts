import { and, eq, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { refuseForWait, type TaskWait, type WaitFacts } from '../domain/task-wait.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import type { DispatchRefused } from './dispatch.ts';
import { tasks } from './schema/index.ts';
import { taskScore } from './task-order.ts';
import type { TaskRow } from './tasks.ts';

/** What a task may have to wait for, as it is now; an agent that is gone has all places, as that is refused elsewhere. */
export async function readWaitFacts(db: Db, taskId: string): Promise<Omit<WaitFacts, 'byPerson'> | null> {
  const [row] = await db.execute(sql`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs",
           (extract(epoch from t.not_before) * 1000)::float8 as "notBeforeMs",
           coalesce((select jsonb_agg(jsonb_build_object('id', x.id, 'state', x.state) order by x.id) from tasks x
                     where jsonb_array_length(t.depends_on) > 0
                       and x.id in (select jsonb_array_elements_text(t.depends_on))), '[]') as dependencies,
           coalesce(g.name, 'nobody') as "agentName", coalesce(g.max_concurrency, 1000000) as "limit",
           (select count(*)::int from tasks r
            where r.agent_id = t.agent_id and r.state = 'running' and not r.outcome_unknown) as running,
           (select count(*)::int from tasks w
            where w.agent_id = t.agent_id and w.state = 'pending' and w.waits_since is not null and w.waits_on = 'place'
              and w.id <> t.id
              and (${taskScore(sql`w`)}, t.waits_since is null or w.waits_since < t.waits_since)
                  > (${taskScore(sql`t`)}, false)) as ahead
    from tasks t left join agents g on g.id = t.agent_id
    where t.id = ${taskId}`);
  return (row ?? null) as Omit<WaitFacts, 'byPerson'> | null;
}

/** In the statement that begins a task: its agent has a place, which nobody else gets at the same time. */
export function hasPlace(agentId: string) {
  return sql`(select agent_has_place(${agentId}))`;
}

/** Writes down what an approved task waits for; one that waits for that already stays as it is. */
export async function holdBack(
  db: Db,
  task: TaskRow,
  wait: TaskWait,
  opKey: string,
): Promise<DispatchRefused> {
  if (task.waitsFor !== wait.because)
    await change(db, {
      opKey: `${opKey}:wait`,
      write: db
        .update(tasks)
        .set({
          waitsSince: sql`coalesce(${tasks.waitsSince}, now())`,
          waitsOn: wait.on,
          waitsFor: wait.because,
          releasedAt: null,
          updatedAt: sql`now()`,
          // Told anew at once where it waits for something else now; what only turned out not to be over is told later and later.
          ...(task.waitsOn === wait.on ? {} : { wakes: 0, wokenAt: null }),
        })
        .where(and(eq(tasks.id, task.id), eq(tasks.state, 'pending'), eq(tasks.attempt, task.attempt)))
        .returning()
        .getSQL(),
      events: [
        {
          type: eventTypes.taskWaiting,
          source: { type: 'squad', id: task.id },
          payload: { taskId: task.id, on: wait.on, because: wait.because, agentId: task.agentId },
          correlationId: task.id,
        },
      ],
      audit: {
        actor: 'system',
        action: 'task.wait',
        subjectKind: 'task',
        subjectId: task.id,
        detail: { on: wait.on, because: wait.because },
      },
    });
  return toldToWait(wait, true);
}

/** `parked` where the task asks again by itself once it is told. */
export function toldToWait(wait: TaskWait, asksAgain: boolean): DispatchRefused {
  const refused = { dispatched: false as const, voided: false as const, waits: true as const };
  const { refused: code, message, details } = refuseForWait(wait);
  const refusal = { refused: code, message: asksAgain ? wait.because : message, ...(details && { details }) };
  return asksAgain ? { ...refused, parked: true, ...refusal } : { ...refused, ...refusal };
}

/**
 * Runs of tasks whose wait seems to be over, each claimed for one telling: as many for an agent as it has places, the
 * most urgent first. Whether a task really begins is decided when its run asks. One that was told and still waits is told
 * again later and later, so that no history fills with signals.
 */
export async function claimWaits(db: Db, limit: number): Promise<{ workflowId: string }[]> {
  const rows = await db.execute(sql`
    with ready as (
      select t.id, t.waits_on, t.woken_at, t.wakes, g.max_concurrency,
             (select count(*) from tasks r
              where r.agent_id = t.agent_id and r.state = 'running' and not r.outcome_unknown) as running,
             row_number() over (partition by t.agent_id order by ${taskScore(sql`t`)} desc, t.waits_since, t.id) as place
      from tasks t join agents g on g.id = t.agent_id
      where t.state = 'pending' and t.waits_since is not null and t.parked_at is null
        and (t.not_before is null or t.not_before <= now())
        and not exists (
          select from jsonb_array_elements_text(t.depends_on) as d(id) left join tasks x on x.id = d.id
          where x.state is distinct from 'success')
    ), broken as (
      -- A dependency that ended otherwise changes what it waits for: said once.
      select t.id, t.woken_at, t.wakes from tasks t
      where t.state = 'pending' and t.waits_since is not null and t.parked_at is null and t.waits_on <> 'person'
        and exists (
          select from jsonb_array_elements_text(t.depends_on) as d(id) join tasks x on x.id = d.id
          where x.state in ('failed', 'rejected', 'expired', 'cancelled'))
    ), due as (
      select id, woken_at, wakes from ready where place <= max_concurrency - running
      union select id, woken_at, wakes from broken
    )
    update tasks set woken_at = now(), wakes = tasks.wakes + 1
    where tasks.id in (
      select t.id from tasks t
      where t.id in (
          select id from due
          where woken_at is null or woken_at < now() - make_interval(secs => least(300, 2 ^ least(wakes, 10))))
        and t.state = 'pending' and t.waits_since is not null
      order by t.waits_since limit ${limit}
      for update skip locked)
    returning tasks.workflow_id as "workflowId"`);
  return rows as unknown as { workflowId: string }[];
}
