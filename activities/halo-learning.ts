import type { Database } from '../db/client.ts';
import { type Lessons, noLessons } from '../domain/insight.ts';

export type HaloLearningActivities = ReturnType<typeof createHaloLearningActivities>;

/** What HALO learns from its cycles, and what it makes of it in the next one. */
export function createHaloLearningActivities(_deps: { database: Database }) {
  return {
    readLessons(_input: { cycleId: string }): Promise<Lessons> {
      return Promise.resolve(noLessons);
    },

    /** Compares repaired targets with their own past and with their peers. */
    judgeRepairs(_input: { cycleId: string }): Promise<void> {
      return Promise.resolve();
    },

    computeInsights(_input: { cycleId: string }): Promise<void> {
      return Promise.resolve();
    },
  };
}
