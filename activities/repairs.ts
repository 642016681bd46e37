import type { Db } from '../db/client.ts';
import { recordVerdict } from '../db/repair-judge.ts';
import { hasResults, seeLife, seeResults } from '../db/repair-view.ts';
import { type RepairRow, watchedRepairs } from '../db/repairs.ts';
import { type AutonomyThreshold, defaultAutonomyThreshold } from '../domain/autonomy.ts';
import type { JsonObject } from '../domain/json.ts';
import { judgeByLife, judgeByResults, type Judged } from '../domain/repair.ts';

export type RepairLimits = AutonomyThreshold & { giveUpAfterMs: number };

/** A day without enough results is the end of the wait for a verdict. */
export const defaultRepairLimits: RepairLimits = {
  ...defaultAutonomyThreshold,
  giveUpAfterMs: 24 * 3_600_000,
};

/** As many as one cycle looks at; the others wait for the next one. */
const mostPerCycle = 200;

/** Judges what is watched, the oldest first; what it is too early for stays watched. */
export async function judgeWatched(
  db: Db,
  input: { cycleId: string; limits: RepairLimits },
): Promise<{ judged: number; watching: number }> {
  const { cycleId, limits } = input;
  const count = { judged: 0, watching: 0 };
  for (const repair of await watchedRepairs(db, mostPerCycle)) {
    const { judged, view } = await look(db, repair, limits.giveUpAfterMs);
    if (judged === null) count.watching += 1;
    else if (await recordVerdict(db, { repair, judged, view, cycleId, threshold: limits })) count.judged += 1;
  }
  return count;
}

async function look(
  db: Db,
  repair: RepairRow,
  giveUpAfterMs: number,
): Promise<{ judged: Judged; view: JsonObject }> {
  const { targetClass } = repair;
  if (hasResults(targetClass)) {
    const seen = await seeResults(db, repair);
    if (seen === null) return gone;
    return { judged: judgeByResults(seen.view, { ...seen, giveUpAfterMs }), view: { ...seen.view } };
  }
  if (targetClass === 'agent') {
    const life = await seeLife(db, repair);
    return life === null ? gone : { judged: judgeByLife(life), view: { ...life } };
  }
  const because = `nothing is measured of targets of the class ${targetClass}`;
  return { judged: { state: 'not-judgeable', because }, view: {} };
}

const gone = { judged: { state: 'not-judgeable' as const, because: 'its target is gone' }, view: {} };
