import { and, eq, sql } from 'drizzle-orm';
import type { Waiting } from '../domain/approval.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import type { TaskState } from '../domain/task.ts';
import type { Db } from './client.ts';
import { tasks } from './schema/index.ts';
import type { TaskRow } from './tasks.ts';

export type ClaimedRun = Waiting & {
  state: TaskState;
  approvalId: string;
  dispatchMode: TaskRow['dispatchMode'];
  title: string;
};

/** The run reports itself on its task and learns where it stands; a run that is not the task's current one is refused. */
export async function claimRun(
  db: Db,
  input: { taskId: string; run: number; runId: string },
): Promise<ClaimedRun | Refusal> {
  const [row] = await db
    .update(tasks)
    .set({ runId: input.runId })
    .where(and(eq(tasks.id, input.taskId), eq(tasks.run, input.run)))
    .returning();
  if (row === undefined)
    return refuse('NOT_FOUND', `There is no task ${input.taskId} whose current run is ${input.run}.`);
  const { state, dispatchMode, title } = row;
  return { state, approvalId: row.approvalId, ...(await waitLeft(db, row.approvalId)), dispatchMode, title };
}

/** What is left of the wait for an approval that may have waited before, by the database's clock. */
async function waitLeft(db: Db, id: string): Promise<Waiting> {
  const [row] = await db.execute<{
    expires: number;
    remind: number | null;
    escalate: number | null;
    every: number | null;
  }>(sql`
    select (extract(epoch from expires_at - clock_timestamp()) * 1000)::float8 as expires,
           (rule ->> 'remindEveryMs')::float8 as every,
           (extract(epoch from coalesce(reminded_at, created_at) - clock_timestamp()) * 1000)::float8 + (rule ->> 'remindEveryMs')::float8 as remind,
           case when escalated_at is null
                then (extract(epoch from created_at - clock_timestamp()) * 1000)::float8 + (rule ->> 'escalateAfterMs')::float8 end as escalate
    from approvals where id = ${id}`);
  const left = (ms: number | null = null): number | null =>
    ms === null ? null : Math.max(1, Math.ceil(Number(ms)));
  return {
    expiresInMs: left(row?.expires) ?? 1,
    remindEveryMs: left(row?.every),
    remindAfterMs: left(row?.remind),
    escalateAfterMs: left(row?.escalate),
  };
}
