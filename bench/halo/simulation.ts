import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { defaultDetection, detectChanges, type Point } from '../../domain/change-detection.ts';
import { atLeast, atMost, beside, type Bar } from '../report.ts';
import type { Stage } from '../stage.ts';
import type { CreateDetector } from './detector.ts';
import { figuresOf, type Figures } from './figures.ts';
import { createOurs } from './ours.ts';
import { planDay } from './plan.ts';
import { runDay, type Day } from './run.ts';
import { measuredSeeds } from './seeds.ts';
import { createThresholds, type Thresholds } from './thresholds.ts';

function readTuned(): Thresholds {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'tuned.json'), 'utf8')) as Thresholds;
}

async function measure(create: CreateDetector, signal: AbortSignal): Promise<Figures> {
  const days: Day[] = [];
  for (const seed of measuredSeeds) {
    // A day is one long turn: Ctrl-C is heard between two of them.
    await setImmediate();
    signal.throwIfAborted();
    days.push(runDay(planDay(seed), create));
  }
  return figuresOf(days);
}

/** Results until a service that is down is found, after a long good history. */
function resultsToOutage(): number {
  const points: Point[] = Array.from({ length: 500 }, (_, at) => ({
    ...{ atMs: at * 30_000, results: 1, failures: 0, latencyMs: 100 + (at % 7) },
  }));
  for (let down = 1; down < 100; down += 1) {
    points.push({ atMs: points.length * 30_000, results: 1, failures: 1, latencyMs: null });
    if (detectChanges(points).length > 0) return down;
  }
  return Infinity;
}

/** The bar is what thresholds reach in the same run; where a tie is not enough, it is said. */
function better(bar: Bar): Bar {
  return { ...bar, what: `${bar.what} (less than thresholds)`, ok: bar.ok && bar.value !== bar.bar };
}

/** Days that no tuning saw, under HALO's own rules and under tuned thresholds (issue 6). */
export async function measureSimulation({ signal }: Pick<Stage, 'signal'>): Promise<Bar[]> {
  const plain = await measure(createThresholds(readTuned()), signal);
  const ours = await measure(createOurs(defaultDetection), signal);
  const percent = (share: number): number => Number((100 * share).toFixed(1));
  const whole = (value: number): number => Number(value.toFixed(1));
  return [
    atLeast('weak points that are real', percent(ours.precision), percent(plain.precision), '%'),
    atLeast('services in trouble that are found', percent(ours.recall), percent(plain.recall), '%'),
    better(atMost('mean time to detect', whole(ours.detectSeconds), whole(plain.detectSeconds), 's')),
    atMost('95 % of faults are found within', whole(ours.detectP95), whole(plain.detectP95), 's'),
    better(
      atMost(
        'proposals per incident',
        Number(ours.proposalsPerIncident.toFixed(2)),
        Number(plain.proposalsPerIncident.toFixed(2)),
        '',
      ),
    ),
    better(atMost('false repairs a day', whole(ours.falseRepairs), whole(plain.falseRepairs), '')),
    atLeast('correct "did it help" labels', percent(ours.labels), percent(plain.labels), '%'),
    beside('faults with a proposal', percent(ours.proposed), '%'),
    beside('faults with a proposal, thresholds', percent(plain.proposed), '%'),
    beside('repairs a day', whole(ours.repairs), ''),
    beside('repairs a day, thresholds', whole(plain.repairs), ''),
    atMost('an outage after a long good history is found in', resultsToOutage(), 3, 'results'),
  ];
}
