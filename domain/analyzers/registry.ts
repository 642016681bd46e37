import type { CycleMode } from '../halo.ts';
import { type AnalyzerName, analyzers } from './issue.ts';

type AnalyzerRow = {
  /** Light cycles run the agent, endpoint and environment analyzers only (LEDGER 1.2). */
  modes: readonly CycleMode[];
  about: string;
};

export const analyzerRegistry: Record<AnalyzerName, AnalyzerRow> = {
  'endpoint-health': { modes: ['full', 'light'], about: 'answers and latency of probed endpoints' },
  'agent-health': { modes: ['full', 'light'], about: 'signs of life of agents' },
  'squad-efficiency': { modes: ['full'], about: 'share of tasks that fail, by squad' },
  environment: { modes: ['full', 'light'], about: 'environment files that should agree' },
  'swarm-patrol': { modes: ['full'], about: 'small checks around the system, green, amber or red' },
};

/** Analyzers whose subsystems come later: the graft analyzer with spores and grafts, the repository's with the jail. */
export const plannedAnalyzers = ['graft-health', 'repository-integrity'] as const;

/** The analyzers that a cycle of this mode runs, in the order their results are shown. */
export function analyzersOf(mode: CycleMode): AnalyzerName[] {
  return analyzers.filter((name) => analyzerRegistry[name].modes.includes(mode));
}
