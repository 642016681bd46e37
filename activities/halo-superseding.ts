import type { Database } from '../db/client.ts';
import { getHaloCycle, listHaloIssues } from '../db/halo.ts';
import { openTargets, supersede, waitingProposals } from '../db/superseded.ts';
import { targetOf } from '../domain/plan.ts';
import { findSuperseded } from '../domain/superseding.ts';

export type HaloSupersedingActivities = ReturnType<typeof createHaloSupersedingActivities>;

/** More are left to the next cycle, so that the history of one stays small. */
const mostInOneCycle = 100;

/** A proposal that a cycle has superseded, and the run that has to hear of it. */
export type ToldRun = { taskId: string; workflowId: string };

/** What a cycle knows better than the proposals of earlier ones; it is judged by the cycle's own record. */
export function createHaloSupersedingActivities({ database }: { database: Database }) {
  const { db } = database;

  return {
    async supersedeProposals(input: { cycleId: string; proposed: string[] }): Promise<ToldRun[]> {
      const { cycleId, proposed } = input;
      const cycle = await getHaloCycle(db, cycleId);
      if (cycle === null) return [];
      const { incidents, analyses } = cycle;
      const [waiting, issues, openRoots] = await Promise.all([
        waitingProposals(db, cycleId),
        listHaloIssues(db, cycleId),
        openTargets(
          db,
          incidents.map(({ root }) => root),
        ),
      ]);
      const found = issues.map(targetOf);
      const better = findSuperseded(waiting, { incidents, analyses, found, proposed, openRoots });
      const told: ToldRun[] = [];
      for (const { taskId, because } of better.slice(0, mostInOneCycle)) {
        const outcome = await supersede(db, { cycleId, taskId, because });
        if (outcome.status !== 'unchanged') told.push({ taskId, workflowId: outcome.result.workflowId });
      }
      return told;
    },
  };
}
