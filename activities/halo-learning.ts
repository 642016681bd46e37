import type { Database } from '../db/client.ts';
import { trackRecords } from '../db/track-records.ts';
import { type Lessons, noLessons } from '../domain/insight.ts';
import { defaultRepairLimits, judgeWatched, type RepairLimits } from './repairs.ts';

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
    async readLessons(_input: { cycleId: string }): Promise<Lessons> {
      return { ...noLessons, records: await trackRecords(db) };
    },

    /** Compares repaired targets with their own past and with their peers. */
    async judgeRepairs(input: { cycleId: string }): Promise<void> {
      await judgeWatched(db, { ...input, limits: repairLimits });
    },

    computeInsights(_input: { cycleId: string }): Promise<void> {
      return Promise.resolve();
    },
  };
}
