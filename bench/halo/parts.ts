import { measureParts, type Part } from '../parts.ts';
import type { Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import { measureSimulation } from './simulation.ts';

export const haloParts = ['simulation'] as const;

const parts: Record<(typeof haloParts)[number], Part> = {
  simulation: {
    title: '200 services with faults, beside thresholds',
    limitMs: 240_000,
    measure: measureSimulation,
  },
};

/** What HALO finds, when, and what it makes of it (issue 6). */
export function benchHalo(stage: Stage, options: { only: string[] }): Promise<Bar[]> {
  return measureParts(stage, parts, options.only);
}
