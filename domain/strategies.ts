import type { AnalyzerName } from './analyzers/issue.ts';
import type { TrackRecord } from './insight.ts';
import { type Risk, risks, type TaskRole } from './task.ts';

export type Strategy = {
  analyzer: AnalyzerName;
  taskType: string;
  role: TaskRole;
  verb: string;
  risk: Risk;
  reversible: boolean;
};

/**
 * Which tasks answer which finding (LEDGER 1.2); of several the one with the best record is taken. A finding without a
 * row here is reported and nothing is proposed.
 */
export const strategies: readonly Strategy[] = [
  {
    analyzer: 'endpoint-health',
    taskType: 'repair.api.endpoint',
    role: 'DeployKeeper',
    verb: 'Repair',
    risk: 'medium',
    reversible: false,
  },
  {
    analyzer: 'endpoint-health',
    taskType: 'restart.api.endpoint',
    role: 'DreamOps',
    verb: 'Restart',
    risk: 'medium',
    reversible: false,
  },
  {
    analyzer: 'agent-health',
    taskType: 'agent.revive',
    role: 'DreamOps',
    verb: 'Revive',
    risk: 'low',
    reversible: true,
  },
  {
    analyzer: 'squad-efficiency',
    taskType: 'squad.rebalance',
    role: 'DreamOps',
    verb: 'Rebalance',
    risk: 'low',
    reversible: true,
  },
  {
    analyzer: 'environment',
    taskType: 'env.sync',
    role: 'EnvKeeper',
    verb: 'Align',
    risk: 'medium',
    reversible: true,
  },
];

/** The name of an action on a class of targets, under which its record is kept. */
function recordKey(action: string, target: string): string {
  return `${action}|${classOf(target)}`;
}

/** Targets count together by the word before their first colon. */
function classOf(target: string): string {
  return target.split(':', 1)[0] ?? target;
}

/** A record of fewer trials is chance: it counts as none. */
export const leastTrials = 3;

/** An action that was hardly tried is as good as one that helped every second time. */
function promise({ helped, failed }: TrackRecord): number {
  if (helped + failed < leastTrials) return 0.5;
  return (helped + 1) / (helped + failed + 2);
}

/** Of the strategies for a finding, the one whose action helped the largest share of such targets; then the first. */
export function chooseStrategy(
  rows: readonly Strategy[],
  finding: { analyzer: AnalyzerName; target: string },
  records: Readonly<Record<string, TrackRecord>>,
): Strategy | null {
  const untried: TrackRecord = { helped: 0, failed: 0 };
  let best: { strategy: Strategy; worth: number } | null = null;
  for (const strategy of rows) {
    if (strategy.analyzer !== finding.analyzer) continue;
    const worth = promise(records[recordKey(strategy.taskType, finding.target)] ?? untried);
    if (best === null || worth > best.worth) best = { strategy, worth };
  }
  return best?.strategy ?? null;
}

/** From so many other entities on, what goes wrong reaches further than one repair should without a second look. */
const wideRadius = 5;

/** Work that many other things depend on is one level riskier than the action alone. */
export function riskOf(risk: Risk, blastRadius: number): Risk {
  return blastRadius < wideRadius ? risk : (risks[risks.indexOf(risk) + 1] ?? risk);
}
