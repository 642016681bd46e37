import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultDetection, type Detection } from '../../domain/change-detection.ts';
import type { CreateDetector } from './detector.ts';
import { figuresOf, type Figures } from './figures.ts';
import { searchGrid, type Grid } from './grid.ts';
import { createOurs } from './ours.ts';
import { planDay } from './plan.ts';
import { runDay } from './run.ts';
import { tuningSeeds } from './seeds.ts';
import { createThresholds, type Thresholds } from './thresholds.ts';

/*
 * node bench/halo/tune.ts: tunes both sides on the tuning seeds by one cost, and writes the thresholds to tuned.json.
 * HALO's own figures are printed, and are the constants of domain/change-detection.ts.
 */
const thresholdGrid: Grid<Thresholds> = {
  inARow: [2, 3, 4],
  share: [3, 4, 5].flatMap((failures) => [10, 20].map((of) => ({ failures, of }))),
  slow: [1.4, 1.6, 1.8, 2.1, 2.5, 3].flatMap((times) => [6, 10, 20].map((of) => ({ times, of }))),
  clearAfter: [3, 4, 6, 8, 12, 16, 24],
  suppress: [true, false],
  holdMs: [0, 60_000, 120_000, 180_000, 300_000],
};

const detectionGrid: Grid<Detection> = {
  minResults: [20],
  failingLimit: [12, 12.5, 13, 13.4, 14, 15],
  slowLimit: [6, 8, 10, 12, 14],
  slowSlack: [0.75, 1, 1.25, 1.5],
  weight: [0.005, 0.01, 0.02, 0.03],
  rhythm: [0, 0.05, 0.1, 0.2],
  credit: [50, 100, 200],
};

const thresholdStarts: Thresholds[] = [1.6, 2.5].map((times) => ({
  ...{ inARow: 3, share: { failures: 4, of: 10 }, slow: { times, of: 10 } },
  ...{ clearAfter: 6, suppress: true, holdMs: 60_000 },
}));

/** A minute of detection costs as much as 2 % of the findings being wrong, or of the weak points being missed. */
function costOf(figures: Figures): number {
  return (
    figures.detectSeconds / 60 +
    50 * (1 - figures.precision) +
    50 * (1 - figures.recall) +
    0.1 * figures.falseRepairs +
    5 * (figures.proposalsPerIncident - 1) +
    10 * (1 - figures.labels)
  );
}

const plans = tuningSeeds.map(planDay);
const measure = (create: CreateDetector): Figures => figuresOf(plans.map((plan) => runDay(plan, create)));

function tune<Settings extends object>(
  name: string,
  grid: Grid<Settings>,
  starts: Settings[],
  create: (settings: Settings) => CreateDetector,
): Settings | undefined {
  const best = searchGrid(grid, starts, (settings) => costOf(measure(create(settings))));
  if (best === null) return undefined;
  console.log(`${name}, ${best.tried} tried: ${JSON.stringify(best.settings)}`);
  console.log(JSON.stringify(measure(create(best.settings))));
  return best.settings;
}

const file = join(import.meta.dirname, 'tuned.json');
const tuned = tune('thresholds', thresholdGrid, thresholdStarts, createThresholds);
writeFileSync(file, `${JSON.stringify(tuned, null, 2)}\n`);
tune('detection', detectionGrid, [defaultDetection], createOurs);
console.log(`Written: ${readFileSync(file, 'utf8').length} bytes to ${file}`);
