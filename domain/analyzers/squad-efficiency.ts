import { detectChanges, type Point } from '../change-detection.ts';
import { figuresOf } from './endpoint-health.ts';
import type { Issue } from './issue.ts';

/** A squad of whose tasks more than this share fails is a high issue (LEDGER 1.2). */
const mostFailing = 0.3;
/** With fewer ended tasks than this a share says nothing. */
const enoughTasks = 10;
/** The share is that of its newest tasks: what failed long ago is not held against it. */
const newestTasks = 50;
const idleAfterDays = 7;

export type SquadSnapshot = {
  /** Its name; `role/<role>` for the tasks of a role that belong to no squad. */
  squad: string;
  owner: string;
  /** Its ended tasks by hour, oldest first; `failures` are those that failed. */
  series: Point[];
  /** Events of its newest failures, newest first. */
  evidence: string[];
  /** Days without a task that is open or has ended; null for a role, which is nobody who could be idle. */
  idleForDays: number | null;
};

/**
 * Failed of failed and completed tasks above 0.3 is high once ten have ended, and so is a standing change for the worse
 * below that; a squad without any task for a week is low: a recommendation, not a weak point (LEDGER 1.2).
 */
export function analyzeSquads(squads: SquadSnapshot[]): Issue[] {
  return squads.flatMap((squad): Issue[] => {
    const { ended, failed, sinceMs } = newest(squad.series);
    const share = ended === 0 ? 0 : failed / ended;
    const change = detectChanges(squad.series).find(({ kind }) => kind === 'failing');
    const isBad = ended >= enoughTasks && share > mostFailing;
    const figures = { failed, ended, share: Number(share.toFixed(3)), limit: mostFailing };
    if (isBad || change !== undefined) {
      const observed = {
        ...figures,
        ...(change === undefined ? {} : { change: figuresOf(change) }),
      };
      const title = `${failed} of its newest ${ended} tasks failed${isBad ? '' : ', more than is usual for it'}`;
      const since = change?.sinceMs ?? sinceMs;
      return [
        {
          ...issueOf(squad, 'failing', title),
          ...{ severity: 'high', observed, evidence: squad.evidence },
          ...(since === undefined ? {} : { sinceMs: since }),
        },
      ];
    }
    if (squad.idleForDays === null || squad.idleForDays < idleAfterDays) return [];
    const days = Math.floor(squad.idleForDays);
    return [{ ...issueOf(squad, 'idle', `no task for ${days} days`), observed: { idleForDays: days } }];
  });
}

function issueOf({ squad, owner }: SquadSnapshot, what: 'failing' | 'idle', title: string): Issue {
  return {
    key: what === 'idle' ? `${squad}:idle` : squad,
    analyzer: 'squad-efficiency',
    entityKind: 'squad',
    entityId: squad,
    entityName: squad,
    severity: 'low',
    title,
    subject: { squad },
    owner,
    evidence: [],
  };
}

/** The newest hours with fifty ended tasks together, and the first of them that had a failure. */
function newest(series: readonly Point[]): { ended: number; failed: number; sinceMs: number | undefined } {
  let [ended, failed] = [0, 0];
  let sinceMs: number | undefined;
  for (const point of series.toReversed()) {
    if (ended >= newestTasks) break;
    ended += point.results;
    failed += point.failures;
    if (point.failures > 0) sinceMs = point.atMs;
  }
  return { ended, failed, sinceMs };
}
