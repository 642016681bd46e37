import { and, eq, sql } from 'drizzle-orm';
import type { AutonomyThreshold } from '../domain/autonomy.ts';
import { eventTypes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Judged } from '../domain/repair.ts';
import { countVerdict, ensureAutonomy, isSameAutonomy } from './autonomy.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import type { RepairRow } from './repairs.ts';
import { repairs } from './schema/index.ts';
import { getTask } from './tasks.ts';

export type RecordedVerdict = {
  repair: RepairRow;
  judged: NonNullable<Judged>;
  /** What was compared. */
  view: JsonObject;
  cycleId: string;
  threshold: AutonomyThreshold;
};

const rounds = 5;

/**
 * Writes a verdict with what it makes of the autonomy of its pair: a failed one ends a grant in this very statement. A
 * grant or a withdrawal in between is read again; false when the repair was judged before.
 */
export async function recordVerdict(db: Db, input: RecordedVerdict): Promise<boolean> {
  for (let round = 0; round < rounds; round += 1) {
    const status = await writeVerdict(db, input);
    if (status === 'changed') return true;
    if (status === 'repeated') return false;
    const [row] = await db
      .select({ state: repairs.state })
      .from(repairs)
      .where(eq(repairs.taskId, input.repair.taskId));
    if (row?.state !== 'watching') return false;
  }
  throw new Error(`The autonomy of ${input.repair.action} kept changing while a repair was judged.`);
}

async function writeVerdict(db: Db, input: RecordedVerdict): Promise<'changed' | 'repeated' | 'unchanged'> {
  const { repair, judged, view, cycleId, threshold } = input;
  const { taskId, action, target, targetClass } = repair;
  const verdict = judged.state === 'judged' ? judged.verdict : null;
  const [task, row] = await Promise.all([
    getTask(db, taskId),
    verdict === null ? null : ensureAutonomy(db, { action, targetClass }),
  ]);
  const counted = row === null || verdict === null ? null : countVerdict(row, verdict, threshold);
  const { state, because } = judged;
  const said = { taskId, agentId: task?.agentId ?? null, action, target, targetClass, verdict, because };
  const outcome = await change(db, {
    opKey: `repair.judge:${taskId}`,
    write: db
      .update(repairs)
      .set({ state, verdict, because, view, judgedBy: cycleId, judgedAt: sql`now()` })
      .where(
        and(
          eq(repairs.taskId, taskId),
          eq(repairs.state, 'watching'),
          row === null ? undefined : isSameAutonomy(row),
        ),
      )
      .returning()
      .getSQL(),
    also: counted?.also ?? [],
    events: [
      {
        type: eventTypes.haloRepairJudged,
        source: { type: 'halo', id: cycleId },
        severity: verdict === 'no-change' || verdict === 'worse' ? 'warning' : 'info',
        payload: { ...said, state },
        correlationId: taskId,
      },
      ...(counted?.events ?? []),
    ],
    audit: {
      actor: 'halo',
      action: 'repair.judge',
      subjectKind: 'repair',
      subjectId: taskId,
      detail: { ...said, ...counted?.detail, cycleId },
    },
  });
  return outcome.status;
}
