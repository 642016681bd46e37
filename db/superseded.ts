import { sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { healthyFrom, type WaitingProposal } from '../domain/superseding.ts';
import { openTaskStates, type TaskState } from '../domain/task.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { getTask } from './tasks.ts';

/** A proposal as HALO made it: nobody decided it, and no person has made its content their own by an edit. */
const isUntouched = sql`tasks.origin = 'halo' and tasks.state = 'pending-approval' and tasks.approvals = 1`;
const mostAtOnce = 1_000;

/**
 * The proposals of earlier cycles that wait for a person, also those that this cycle has superseded, the oldest first, with
 * what was seen of their targets since.
 */
export async function waitingProposals(db: Db, cycleId: string): Promise<WaitingProposal[]> {
  const { endpointFailed: failed, endpointSucceeded: succeeded } = eventTypes;
  const rows = await db.execute(sql`
    select tasks.id as "taskId", tasks.target,
           (select count(*)::int from (
             select from events e join probes p on p.id = e.source_id and p.enabled
             where e.source_type = 'api' and e.source_id = substr(tasks.target, 7) and tasks.target like 'probe:%'
               and e.type = ${succeeded} and e.recorded_at > greatest(tasks.created_at,
                 (select max(f.recorded_at) from events f
                  where f.source_type = 'api' and f.source_id = substr(tasks.target, 7) and f.type = ${failed}
                    and f.recorded_at > tasks.created_at))
             limit ${healthyFrom}::int) good) as "goodSince",
           exists (select from agents a
                   where tasks.target = 'agent:' || a.id and a.executor = 'temporal'
                     and a.state not in ('offline', 'disabled') and a.last_seen_at > tasks.created_at) as "seenSince"
    from tasks
    where ${isUntouched} and coalesce(tasks.superseded_by, ${cycleId}) = ${cycleId} and tasks.origin_id is distinct from ${cycleId}
    order by tasks.created_at, tasks.id limit ${mostAtOnce}::int`);
  return rows as unknown as WaitingProposal[];
}

/** Those of some targets that have an open proposal of HALO. */
export async function openTargets(db: Db, targets: readonly string[]): Promise<string[]> {
  if (targets.length === 0) return [];
  const listed = (values: readonly string[]) =>
    sql`(select jsonb_array_elements_text(${JSON.stringify(values)}::text::jsonb))`;
  const rows = await db.execute(sql`
    select distinct target from tasks
    where origin = 'halo' and superseded_by is null and state in ${listed(openTaskStates)}
      and target in ${listed(targets)}`);
  return rows.map(({ target }) => String(target));
}

/** Writes down that a cycle knows better than a proposal; unchanged when a person was first, or another cycle. */
export async function supersede(
  db: Db,
  input: { cycleId: string; taskId: string; because: string },
): Promise<ChangeOutcome<{ workflowId: string }>> {
  const { cycleId, taskId, because } = input;
  return change(db, {
    opKey: `halo.supersede:${cycleId}:${taskId}`,
    write: sql`
      update tasks set superseded_by = ${cycleId}, superseded_because = ${because}, updated_at = now()
      where id = ${taskId} and ${isUntouched} and superseded_by is null
      returning *`,
    events: [
      {
        type: eventTypes.haloProposalSuperseded,
        source: { type: 'halo', id: cycleId },
        payload: { cycleId, taskId, because },
        correlationId: taskId,
      },
    ],
    audit: {
      actor: 'halo',
      action: 'task.supersede',
      subjectKind: 'task',
      subjectId: taskId,
      detail: { cycleId, because },
    },
    result: sql`jsonb_build_object('workflowId', changed.workflow_id)`,
  });
}

/**
 * Ends a superseded proposal; unchanged, and the wish of the cycle is over, when a person decided before. One key for each
 * task, so that a run that lost the answer is given it again.
 */
export async function withdrawSuperseded(
  db: Db,
  taskId: string,
): Promise<ChangeOutcome<{ state: TaskState; because: string }>> {
  const task = await getTask(db, taskId);
  if (task === null || task.supersededBy === null) return { status: 'unchanged' };
  const because = `superseded by ${task.supersededBy}: ${task.supersededBecause ?? ''}`;
  return change<{ state: TaskState; because: string }>(db, {
    opKey: `task.superseded:${taskId}`,
    write: sql`
      update tasks set state = 'cancelled', error = ${because}, updated_at = now(), ended_at = now()
      where id = ${taskId} and ${isUntouched} and superseded_by = ${task.supersededBy}
      returning *`,
    also: [
      sql`
        update approvals set state = 'withdrawn', decided_at = now(), closed_because = ${because}
        from changed where approvals.subject_id = changed.id and approvals.state = 'open'`,
    ],
    events: [
      {
        type: eventTypes.taskCancelled,
        severity: 'info',
        source: { type: 'squad', id: taskId },
        payload: { taskId, by: 'halo', reason: because },
        correlationId: taskId,
      },
    ],
    audit: {
      actor: 'halo',
      action: 'task.cancel',
      subjectKind: 'task',
      subjectId: taskId,
      detail: { reason: because },
    },
    result: sql`jsonb_build_object('state', changed.state, 'because', ${because}::text)`,
  });
}

/**
 * Runs of proposals that were superseded and still wait: their signal was lost. Claimed for one more telling; the next
 * follows later and later, as a run that cannot listen must not be buried in signals.
 */
export async function claimSuperseded(
  db: Db,
  olderThanMs: number,
  limit: number,
): Promise<{ workflowId: string }[]> {
  const patience = sql`make_interval(secs => ${olderThanMs / 1000}::double precision * 2 ^ least(tasks.wakes, 6))`;
  const rows = await db.execute(sql`
    update tasks set wakes = wakes + 1, woken_at = now()
    where id in (
      select tasks.id from tasks
      where ${isUntouched} and tasks.superseded_by is not null and tasks.run_id is not null
        and coalesce(tasks.woken_at, tasks.updated_at) < now() - ${patience}
      order by tasks.created_at limit ${limit}::int
      for update skip locked)
    returning workflow_id as "workflowId"`);
  return rows as unknown as { workflowId: string }[];
}

export type SupersededTask = {
  taskId: string;
  title: string;
  target: string;
  state: TaskState;
  because: string;
};

const mostShown = 200;

/** The proposals that a cycle superseded, with what became of them since. */
export async function supersededBy(db: Db, cycleId: string): Promise<SupersededTask[]> {
  const rows = await db.execute(sql`
    select t.id as "taskId", t.title, t.target, t.state, t.superseded_because as because
    from events e join tasks t on t.id = e.correlation_id and t.superseded_by = ${cycleId}
    where e.source_type = 'halo' and e.source_id = ${cycleId} and e.type = ${eventTypes.haloProposalSuperseded}
    order by t.created_at, t.id limit ${mostShown}::int`);
  return rows as unknown as SupersededTask[];
}
