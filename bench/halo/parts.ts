import { measureParts, type Part } from '../parts.ts';
import type { Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { measureAnalysis } from './analysis.ts';
import { measureLearning } from './learning.ts';
import { measureSimulation } from './simulation.ts';

export const haloParts = ['simulation', 'analysis', 'learning'] as const;

const parts: Record<(typeof haloParts)[number], Part> = {
  simulation: {
    title: '200 services with faults, beside thresholds',
    limitMs: 240_000,
    measure: measureSimulation,
  },
  analysis: {
    title: 'endpoints and squads over 100,000 events',
    limitMs: 240_000,
    measure: measureAnalysis,
  },
  learning: {
    title: 'insights and links of 100,000 failures',
    limitMs: 240_000,
    measure: measureLearning,
  },
};

/** What HALO finds, when, and what it makes of it (issue 6). */
export function benchHalo(stage: Stage, options: { only: string[] }): Promise<Bar[]> {
  return measureParts(stage, parts, options.only);
}
