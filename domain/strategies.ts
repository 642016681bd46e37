import type { AnalyzerName } from './analyzers/issue.ts';
import type { Risk, TaskRole } from './task.ts';

export type Strategy = {
  analyzer: AnalyzerName;
  taskType: string;
  role: TaskRole;
  verb: string;
  risk: Risk;
  reversible: boolean;
};

/** Which task answers which finding (LEDGER 1.2). A finding without a row here is reported and nothing is proposed. */
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
    analyzer: 'agent-health',
    taskType: 'agent.revive',
    role: 'DreamOps',
    verb: 'Revive',
    risk: 'low',
    reversible: true,
  },
];
