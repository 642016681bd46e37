import type { Database } from '../db/client.ts';
import { trackRecords } from '../db/track-records.ts';
import { type Lessons, noLessons } from '../domain/insight.ts';
import { defaultRepairLimits, judgeWatched, type RepairLimits } from './repairs.ts';
import { learnResonance, resonanceLessons } from './resonance.ts';

export type HaloLearningActivities = ReturnType<typeof createHaloLearningActivities>;

/** What HALO learns from its cycles, and what it makes of it in the next one. */
export function createHaloLearningActivities({
  database,
  repairLimits = defaultRepairLimits,
}: {
  database: Database;
  repairLimits?: RepairLimits;
}) {
  const { db } = database;
  return {
    /** `entities` are those that the cycle has found something about, as `kind:id`. */
    async readLessons(input: { cycleId: string; entities: string[] }): Promise<Lessons> {
      const learned = await resonanceLessons(database, input.entities);
      return { ...noLessons, ...learned, records: await trackRecords(db) };
    },

    /** Compares repaired targets with their own past and with their peers. */
    async judgeRepairs(input: { cycleId: string }): Promise<void> {
      await judgeWatched(db, { ...input, limits: repairLimits });
    },

    computeInsights({ cycleId }: { cycleId: string }): Promise<void> {
      return learnResonance(database, cycleId);
    },
  };
}
