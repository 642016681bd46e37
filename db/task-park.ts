import { and, eq, isNotNull, isNull, or, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { type ApprovalRow, databaseNow } from './approvals.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import type { DispatchRefused } from './dispatch.ts';
import { tasks } from './schema/index.ts';
import type { TaskRow } from './tasks.ts';

/** Parks a task on its way to dispatch under a kill switch; one that is parked already stays as it is. */
export async function parkTask(
  db: Db,
  task: TaskRow,
  hold: Refusal,
  opKey: string,
): Promise<DispatchRefused> {
  const { killSwitch = null } = hold.details ?? {};
  await change(db, {
    opKey: `${opKey}:park`,
    write: db
      .update(tasks)
      .set({
        ...notWaiting,
        parkedAt: sql`now()`,
        parkedBecause: hold.message,
        releasedAt: null,
        updatedAt: sql`now()`,
      })
      .where(and(eq(tasks.id, task.id), eq(tasks.state, 'pending'), isNull(tasks.parkedAt)))
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.taskParked,
        severity: 'warning',
        source: { type: 'squad', id: task.id },
        payload: {
          taskId: task.id,
          approvalId: task.approvalId,
          title: task.title,
          risk: task.risk,
          target: task.target,
          reason: hold.message,
          killSwitch,
        },
        correlationId: task.id,
      },
    ],
    audit: {
      actor: 'system',
      action: 'task.park',
      subjectKind: 'task',
      subjectId: task.id,
      detail: { killSwitch },
    },
  });
  return { dispatched: false, voided: false, parked: true, ...hold };
}

/** What a parked task is told that wants to begin before its turn; the rate of the release is for all of them. */
export function stillParked(task: Pick<TaskRow, 'parkedBecause'>): DispatchRefused {
  const because = task.parkedBecause ?? 'a kill switch was engaged';
  return {
    dispatched: false,
    voided: false,
    parked: true,
    ...refuse('CONFLICT', `Parked until its turn after the release. ${because}`),
  };
}

/** A task that was let go and cannot begin for another reason waits for a person again; nobody tells its run anew. */
export async function forgetRelease(db: Db, taskId: string): Promise<void> {
  await db
    .update(tasks)
    .set({ releasedAt: null, ...notWaiting })
    .where(and(eq(tasks.id, taskId), or(isNotNull(tasks.releasedAt), isNotNull(tasks.waitsSince))));
}

/** The columns of a task that waits for nothing of its own any more: time, dependencies, a place. */
export const notWaiting = { waitsSince: null, waitsOn: null, waitsFor: null, wokenAt: null, wakes: 0 };

/** The columns of a task that is on its way again. */
export const notParked = { parkedAt: null, parkedBecause: null, releasedAt: null };

/** An approval whose time to decide passed while its task was parked is too old to act on. */
export async function lapsedWhileParked(
  db: Db,
  task: TaskRow,
  approval: ApprovalRow | null,
): Promise<string | null> {
  const wasParked = task.parkedAt !== null || task.releasedAt !== null;
  if (!wasParked || approval === null || approval.expiresAt.getTime() > (await databaseNow(db))) return null;
  return 'its time was over while a kill switch held the task';
}
