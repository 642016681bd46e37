import type { Database } from '../db/client.ts';
import { type Lessons, noLessons } from '../domain/insight.ts';
import { learnResonance, resonanceLessons } from './resonance.ts';

export type HaloLearningActivities = ReturnType<typeof createHaloLearningActivities>;

/** What HALO learns from its cycles, and what it makes of it in the next one. */
export function createHaloLearningActivities({ database }: { database: Database }) {
  return {
    /** `entities` are those that the cycle has found something about, as `kind:id`. */
    async readLessons(input: { cycleId: string; entities: string[] }): Promise<Lessons> {
      return { ...noLessons, ...(await resonanceLessons(database, input.entities)) };
    },

    /** Compares repaired targets with their own past and with their peers. */
    judgeRepairs(_input: { cycleId: string }): Promise<void> {
      return Promise.resolve();
    },

    computeInsights({ cycleId }: { cycleId: string }): Promise<void> {
      return learnResonance(database, cycleId);
    },
  };
}
