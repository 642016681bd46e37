import type { Point } from '../change-detection.ts';
import { failingOf } from './ended-tasks.ts';
import type { Issue } from './issue.ts';

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
    const failing = failingOf(squad.series);
    if (failing !== null) {
      const { title, observed, sinceMs } = failing;
      return [
        {
          ...issueOf(squad, 'failing', title),
          ...{ severity: 'high', observed, evidence: squad.evidence },
          ...(sinceMs === undefined ? {} : { sinceMs }),
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
