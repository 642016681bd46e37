import { and, asc, desc, eq, gt, inArray, isNull, lt, or, sql, type SQL } from 'drizzle-orm';
import { storableText } from '../domain/json.ts';
import { openTaskStates, type TaskOrigin, type TaskState } from '../domain/task.ts';
import type { Db } from './client.ts';
import { withinScopes } from './scopes.ts';
import { taskAttempts, taskLogs, tasks } from './schema/index.ts';
import { taskScore } from './task-order.ts';

export type TaskRow = typeof tasks.$inferSelect;
export type TaskLogRow = typeof taskLogs.$inferSelect;
export type TaskAttemptRow = typeof taskAttempts.$inferSelect;

export async function getTask(db: Db, id: string): Promise<TaskRow | null> {
  const [row] = await db.select().from(tasks).where(eq(tasks.id, id));
  return row ?? null;
}

/** Those of some tasks that are there. */
export async function getTasks(db: Db, ids: string[]): Promise<Pick<TaskRow, 'id' | 'state' | 'target'>[]> {
  if (ids.length === 0) return [];
  const { id, state, target } = tasks;
  return db.select({ id, state, target }).from(tasks).where(inArray(tasks.id, ids));
}

export type ChildProgress = { total: number; ended: number; done: number; share: number | null };

/** How far the direct children of a task are: the share that is done counts running ones by their own progress. */
export async function childProgress(db: Db, parentId: string): Promise<ChildProgress> {
  const [row] = await db.execute(sql`
    select count(*)::int as total,
           (count(*) filter (where state = 'success'))::int as done,
           (count(*) filter (where state not in (${sql.join(
             openTaskStates.map((state) => sql`${state}`),
             sql`, `,
           )})))::int as ended,
           avg(case when state = 'success' then 1 when state = 'running' then coalesce((progress ->> 'fraction')::float8, 0)
                    else 0 end)::float8 as share
    from tasks where parent_id = ${parentId}`);
  return row as unknown as ChildProgress;
}

export type TaskFilter = {
  state?: TaskState | undefined;
  origin?: TaskOrigin | undefined;
  target?: string | undefined;
  squad?: string | undefined;
  parentId?: string | undefined;
  /** Scopes of the reader; null or none given is every target. */
  scopes?: readonly string[] | null;
};

function wantedBy(filter: TaskFilter): (SQL | undefined)[] {
  return [
    filter.state === undefined ? undefined : eq(tasks.state, filter.state),
    filter.origin === undefined ? undefined : eq(tasks.origin, filter.origin),
    filter.target === undefined ? undefined : eq(tasks.target, filter.target),
    filter.squad === undefined ? undefined : eq(tasks.squad, filter.squad),
    filter.parentId === undefined ? undefined : eq(tasks.parentId, filter.parentId),
    withinScopes(tasks.target, filter.scopes ?? null),
  ];
}

export type OrderedPlace = { atMs: number; rank: number; id: string };

/**
 * The most urgent first by the priority score as it was at `atMs`, or what is due first; the moment is part of the place,
 * so that the pages of one list agree with each other.
 */
export async function listTasksBy(
  db: Db,
  order: 'priority' | 'due',
  filter: TaskFilter,
  after: OrderedPlace | { atMs: number },
  limit: number,
): Promise<{ row: TaskRow; rank: number }[]> {
  const at = sql`to_timestamp(${after.atMs}::float8 / 1000)`;
  const rank =
    order === 'priority'
      ? sql<number>`round((-${taskScore(sql`tasks`, at)})::numeric, 6)::float8`
      : sql<number>`coalesce(round(extract(epoch from ${tasks.dueAt}) * 1000), 1e16)::float8`;
  const isAfter =
    'id' in after ? sql`(${rank}, ${tasks.id}) > (${after.rank}::float8, ${after.id}::text)` : undefined;
  return db
    .select({ row: tasks, rank })
    .from(tasks)
    .where(and(...wantedBy(filter), isAfter))
    .orderBy(rank, asc(tasks.id))
    .limit(limit);
}

/** Newest first, before the given row. */
export async function listTasks(
  db: Db,
  filter: TaskFilter,
  before: { createdAt: Date; id: string } | null,
  limit: number,
): Promise<TaskRow[]> {
  const wanted = [
    ...wantedBy(filter),
    before === null
      ? undefined
      : or(
          lt(tasks.createdAt, before.createdAt),
          and(eq(tasks.createdAt, before.createdAt), lt(tasks.id, before.id)),
        ),
  ];
  return db
    .select()
    .from(tasks)
    .where(and(...wanted))
    .orderBy(desc(tasks.createdAt), desc(tasks.id))
    .limit(limit);
}

export async function countTasks(db: Db): Promise<Partial<Record<TaskState, number>>> {
  const rows = await db
    .select({ state: tasks.state, count: sql<number>`count(*)::int` })
    .from(tasks)
    .groupBy(tasks.state);
  return Object.fromEntries(rows.map((row) => [row.state, row.count]));
}

export async function listTaskLogs(
  db: Db,
  taskId: string,
  afterId: number,
  limit: number,
): Promise<TaskLogRow[]> {
  return db
    .select()
    .from(taskLogs)
    .where(and(eq(taskLogs.taskId, taskId), gt(taskLogs.id, afterId)))
    .orderBy(asc(taskLogs.id))
    .limit(limit);
}

export async function listTaskAttempts(db: Db, taskId: string): Promise<TaskAttemptRow[]> {
  return db
    .select()
    .from(taskAttempts)
    .where(eq(taskAttempts.taskId, taskId))
    .orderBy(asc(taskAttempts.attempt));
}

/** The machine that acts for an attempt; the first to ask stays it, so that a second one never repeats the effect. */
export async function claimAttemptHost(db: Db, key: string, host: string): Promise<string | null> {
  const [row] = await db
    .update(taskAttempts)
    .set({ host: sql`coalesce(${taskAttempts.host}, ${host})` })
    .where(and(eq(taskAttempts.key, key), eq(taskAttempts.state, 'intent')))
    .returning({ host: taskAttempts.host });
  return row?.host ?? null;
}

/** Open tasks whose run never reported itself: their start may have been lost (DESIGN 7). */
export async function listUnstartedTasks(
  db: Db,
  olderThanMs: number,
  limit: number,
): Promise<Pick<TaskRow, 'id' | 'run' | 'title' | 'target' | 'state' | 'severity'>[]> {
  const { id, run, title, target, state, severity } = tasks;
  return db
    .select({ id, run, title, target, state, severity })
    .from(tasks)
    .where(
      and(
        isNull(tasks.runId),
        inArray(tasks.state, [...openTaskStates]),
        sql`${tasks.updatedAt} < now() - make_interval(secs => ${olderThanMs / 1000}::double precision)`,
      ),
    )
    .orderBy(asc(tasks.updatedAt))
    .limit(limit);
}

/** An agent's or executor's word on how far it is: kept on the task while that attempt runs, and in its log. */
export async function reportProgress(
  db: Db,
  input: { taskId: string; attempt: number; fraction: number; message: string },
): Promise<boolean> {
  const message = storableText(input.message);
  const progress = { fraction: input.fraction, message, at: new Date().toISOString() };
  const rows = await db.execute(sql`
    with moved as (
      update tasks set progress = ${JSON.stringify(progress)}::text::jsonb
      where id = ${input.taskId} and state = 'running' and attempt = ${input.attempt}
      returning id
    )
    insert into task_logs (task_id, attempt, level, message)
    select id, ${input.attempt}::int, 'info', ${message} from moved
    returning id`);
  return rows.length > 0;
}
