/**
 * Change detection over the results of one entity, by two CUSUM charts (Page 1954): one over failures as a sequential
 * likelihood ratio, one over the logarithm of latency. What is normal is learned by an exponentially weighted mean and
 * frozen while a chart is rising, so that trouble never becomes the new normal.
 */
export type Point = {
  atMs: number;
  results: number;
  failures: number;
  /** Mean latency of the good results; null without any. */
  latencyMs: number | null;
};

export type Change = {
  kind: 'failing' | 'slow';
  /** When its chart last left zero: the first sign of it. */
  sinceMs: number;
  score: number;
  limit: number;
  /** Share of failures, or milliseconds: as it used to be, and as it is. */
  normal: number;
  now: number;
};

export type Detection = {
  /** Results that must have been seen before anything is said. */
  minResults: number;
  failingLimit: number;
  slowLimit: number;
  /** Standard deviations of log latency that count as noise. */
  slowSlack: number;
  /** Weight of a new point in what is normal. */
  weight: number;
};

export const defaultDetection: Detection = {
  minResults: 20,
  failingLimit: 5,
  slowLimit: 6,
  slowSlack: 0.75,
  weight: 0.1,
};

type Chart = { score: number; sinceMs: number };

function rise(chart: Chart, by: number, limit: number, atMs: number): void {
  const before = chart.score;
  // Bounded, so that a recovery shows after as many good results as bad ones were needed.
  chart.score = Math.min(Math.max(0, before + by), 2 * limit);
  if (before === 0 && chart.score > 0) chart.sinceMs = atMs;
}

/** The changes that stand at the end of a series, oldest point first. */
export function detectChanges(points: readonly Point[], options = defaultDetection): Change[] {
  const { failingLimit, slowLimit, slowSlack, weight, minResults } = options;
  const failing: Chart = { score: 0, sinceMs: 0 };
  const slow: Chart = { score: 0, sinceMs: 0 };
  let failureRate = 0.01;
  let mean: number | null = null;
  let variance = 0.04;
  let seen = 0;
  let latest = { rate: 0, latencyMs: 0 };
  for (const { atMs, results, failures, latencyMs } of points) {
    if (results === 0) continue;
    const isKnown = seen >= minResults;
    seen += results;
    const usual = Math.min(Math.max(failureRate, 0.005), 0.3);
    const bad = Math.max(0.5, Math.min(0.9, 3 * usual));
    const ratio = failures * Math.log(bad / usual) + (results - failures) * Math.log((1 - bad) / (1 - usual));
    if (isKnown) rise(failing, ratio, failingLimit, atMs);
    latest = { ...latest, rate: failures / results };
    if (failing.score === 0) failureRate += weight * (failures / results - failureRate);
    if (latencyMs === null || latencyMs <= 0) continue;
    latest = { ...latest, latencyMs };
    const log = Math.log(latencyMs);
    mean ??= log;
    const away = log - mean;
    if (isKnown) rise(slow, away / Math.sqrt(Math.max(variance, 0.01)) - slowSlack, slowLimit, atMs);
    if (slow.score > slowLimit / 2) continue;
    mean += weight * away;
    variance = (1 - weight) * (variance + weight * away * away);
  }
  const changes: Change[] = [];
  if (failing.score >= failingLimit)
    changes.push({
      kind: 'failing',
      ...{ sinceMs: failing.sinceMs, score: failing.score, limit: failingLimit },
      ...{ normal: failureRate, now: latest.rate },
    });
  if (slow.score >= slowLimit && mean !== null)
    changes.push({
      kind: 'slow',
      ...{ sinceMs: slow.sinceMs, score: slow.score, limit: slowLimit },
      ...{ normal: Math.exp(mean), now: latest.latencyMs },
    });
  return changes;
}
