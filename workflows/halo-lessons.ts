import { ActivityFailure, isCancellation, proxyLocalActivities, TemporalFailure } from '@temporalio/workflow';
import type { HaloActivities } from '../activities/halo.ts';
import type { HaloLearningActivities } from '../activities/halo-learning.ts';
import type { Issue } from '../domain/analyzers/issue.ts';
import { entityOf, type Lessons, noLessons } from '../domain/insight.ts';

const { recordLearningError } = proxyLocalActivities<HaloActivities>({
  startToCloseTimeout: '30s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});
const learning = proxyLocalActivities<HaloLearningActivities>({
  startToCloseTimeout: '30s',
  scheduleToCloseTimeout: '60s',
  retry: { initialInterval: '200ms', maximumAttempts: 3 },
});

/** Without its lessons a cycle still looks and proposes. */
export async function readLessons(cycleId: string, issues: Issue[]): Promise<Lessons> {
  try {
    return await learning.readLessons({ cycleId, entities: [...new Set(issues.map(entityOf))] });
  } catch (error) {
    return notLearned(cycleId, 'lessons', error, noLessons);
  }
}

/** What cannot be learned now is said on the cycle, and does not make it a failed one. */
export async function learn(cycleId: string): Promise<void> {
  for (const step of ['judgeRepairs', 'computeInsights'] as const) {
    try {
      await learning[step]({ cycleId });
    } catch (error) {
      await notLearned(cycleId, step, error, null);
    }
  }
}

/** Says on the cycle what could not be done now, and goes on without it. */
export async function notLearned<T>(cycleId: string, step: string, error: unknown, instead: T): Promise<T> {
  // A local activity fails with the failure itself, another one with one around it.
  if (isCancellation(error) || !(error instanceof TemporalFailure)) throw error;
  const told = error instanceof ActivityFailure ? (error.cause ?? error) : error;
  const message = `${step}: ${told.message}`;
  await recordLearningError({ cycleId, step, message: message.slice(0, 500) });
  return instead;
}
