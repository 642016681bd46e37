import type { CycleMode } from '../halo.ts';
import { type AnalyzerName, analyzers } from './issue.ts';

type AnalyzerRow = {
  /** Light cycles run the agent, endpoint and environment analyzers only (LEDGER 1.2). */
  modes: readonly CycleMode[];
  about: string;
  /** What it looks at, and where that is named. */
  watches: string;
};

export const analyzerRegistry: Record<AnalyzerName, AnalyzerRow> = {
  'endpoint-health': {
    modes: ['full', 'light'],
    about: 'answers and latency of probed endpoints',
    watches: 'every probe, by its results in the log',
  },
  'agent-health': {
    modes: ['full', 'light'],
    about: 'signs of life of agents, and the share of their tasks that fail',
    watches: 'every agent that is not disabled',
  },
  'squad-efficiency': {
    modes: ['full'],
    about: 'share of tasks that fail, by squad',
    watches: 'every squad, by how its tasks ended in the log',
  },
  environment: {
    modes: ['full', 'light'],
    about: 'environment files that should agree',
    watches: 'the files of DREAMNET_WATCH_ENV_FILES, each against the first',
  },
  'swarm-patrol': {
    modes: ['full'],
    about: 'small checks around the system, green, amber or red',
    watches: 'what the DREAMNET_WATCH_ variables of the worker name',
  },
};

/** Analyzers whose subsystems come later. */
export const plannedAnalyzers = [
  { name: 'graft-health', about: 'grafts that failed or wait', comesWith: 'issue 7, spores and grafts' },
  {
    name: 'repository-integrity',
    about: 'type check and lint of the repository',
    comesWith: 'issue 8, the jail of Dark Fabric',
  },
] as const;

/** The analyzers that a cycle of this mode runs, in the order their results are shown. */
export function analyzersOf(mode: CycleMode): AnalyzerName[] {
  return analyzers.filter((name) => analyzerRegistry[name].modes.includes(mode));
}
