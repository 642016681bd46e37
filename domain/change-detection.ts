/*
 * Change detection over the results of one entity, by CUSUM charts (Page 1954). Two charts of failures add up how much
 * likelier each result is if the entity is in trouble, one with half of its results failing and one with nearly all of
 * them; the chart of latency adds up how far each good result lies above what is normal. A chart at zero is quiet;
 * above zero there is a first sign; at its limit the change stands, and it stands until a chart of the other direction
 * says that things are normal again. What is normal is learned from quiet times only, so that trouble never becomes the
 * new normal. But latencies move with the day: while nothing is learned what was normal ages, so that less is said by
 * what lies above it, and it is learned anew the faster, in bounds.
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
  /** The default is the highest that finds three failures in a row after the shortest history. */
  failingLimit: number;
  slowLimit: number;
  /** Standard deviations of log latency that count as noise. */
  slowSlack: number;
  /** Weight of a new point in what is a normal latency. */
  weight: number;
  /** How far a normal latency may move in an hour in which nothing of it was learned, in log latency. */
  rhythm: number;
  /** Good results that every entity is taken to have had before the first one seen. */
  credit: number;
};

export const defaultDetection: Detection = {
  minResults: 20,
  failingLimit: 13.4,
  slowLimit: 8,
  slowSlack: 1.25,
  weight: 0.01,
  rhythm: 0.1,
  credit: 100,
};

type Chart = {
  score: number;
  sinceMs: number;
  stands: boolean;
  /** Of the chart of the other direction. */
  recovery: number;
  /** Since the first sign. */
  results: number;
  sum: number;
};

/** The second chart of failures: it looks for an outage, so that good results count for more. */
type Outage = { score: number; sinceMs: number };

/** Half of the evidence is enough for trouble that is expected (see `isExpected`). */
export function expecting(options = defaultDetection): Detection {
  return { ...options, failingLimit: options.failingLimit / 2, slowLimit: options.slowLimit / 2 };
}

/** Trouble is expected of whoever needs an entity whose own trouble began within five minutes of it. */
export function isExpected(sinceMs: number, neededSinceMs: number): boolean {
  return Math.abs(sinceMs - neededSinceMs) <= expectedWithinMs;
}

/** All that is remembered of a series, however long it is. */
export type Watch = {
  seen: number;
  failing: Chart;
  outage: Outage;
  slow: Chart;
  /** Good results since the last failure. */
  good: number;
  /** What is normal: results and failures in quiet times, mean and variance of log latency. */
  results: number;
  failures: number;
  mean: number;
  variance: number;
  latencies: number;
  /** Variance of the mean itself when a latency was last learned, and how long nothing of it has been learned. */
  unsure: number;
  unlearnedMs: number;
  /** The first and the last latency that was seen. */
  firstMs: number;
  lastMs: number;
  latest: { rate: number; latencyMs: number };
};

/** Share of failures that the chart of failures looks for. */
const badRate = 0.5;
/** And the chart of outages: results in a row say more than the same number with good ones between them. */
const outageRate = 0.9;
const hourMs = 60 * 60_000;
const expectedWithinMs = 5 * 60_000;
/** Results in quiet times that are remembered; older ones fade. */
const memory = 2000;
/** A day goes up and comes back: what is normal is no farther off than after this time, however long it was not seen. */
const farthestRhythmMs = 6 * hourMs;
/** Where the latencies that are remembered span so much, the rhythm of the days is part of the noise. */
const rhythmKnownMs = 4 * 24 * hourMs;
/** A single latency says no more than one this many standard deviations off. */
const farthest = 3;
/** Latencies are never taken to be steadier than this, in log latency. */
const steadiest = 0.05;

function quiet(): Chart {
  return { score: 0, sinceMs: 0, stands: false, recovery: 0, results: 0, sum: 0 };
}

/** A watch starts without any opinion of what is normal. */
export function startWatch(): Watch {
  return {
    ...{ seen: 0, failing: quiet(), outage: { score: 0, sinceMs: 0 }, slow: quiet(), good: 0 },
    ...{ results: 0, failures: 0 },
    ...{ mean: 0, variance: 0.04, latencies: 0 },
    ...{ unsure: 0, unlearnedMs: 0, firstMs: 0, lastMs: 0 },
    latest: { rate: 0, latencyMs: 0 },
  };
}

function usualRate(
  { results, failures }: Pick<Watch, 'results' | 'failures'>,
  { credit }: Detection,
): number {
  return Math.min(Math.max((failures + 0.5) / (results + credit), 0.0005), 0.25);
}

function learnRate(watch: Watch, results: number, failures: number): void {
  const fade = Math.min(1, memory / (watch.results + results));
  watch.results = (watch.results + results) * fade;
  watch.failures = (watch.failures + failures) * fade;
}

/** Adds `by` to a chart that may be about to stand, or `back` to one that stands. */
function move(chart: Chart, step: { by: number; back: number; limit: number; atMs: number }): void {
  const { by, back, limit, atMs } = step;
  if (chart.stands) {
    // No single point ends a change: three at the least.
    chart.recovery = Math.max(0, chart.recovery + Math.min(back, limit / 3));
    if (chart.recovery >= limit) Object.assign(chart, quiet());
    return;
  }
  const score = Math.max(0, chart.score + by);
  if (chart.score === 0 && score > 0) chart.sinceMs = atMs;
  chart.score = score;
  chart.stands = score >= limit;
}

function seeFailures(watch: Watch, { atMs, results, failures }: Point, options: Detection): void {
  if (watch.seen < options.minResults) return learnRate(watch, results, failures);
  const { failing, outage } = watch;
  const limit = options.failingLimit;
  const usual = usualRate(watch, options);
  const goods = results - failures;
  // If this is no trouble, then the failures since the first sign are usual too: that weighs where little was seen.
  const noise = { results: watch.results + failing.results, failures: watch.failures + failing.sum };
  const chance = usualRate(noise, options);
  const likelier = (bad: number): number => {
    // Two failures at the least, however reliable it was.
    const failure = Math.min(Math.log(bad / chance), 0.6 * limit);
    return failures * failure + goods * Math.log((1 - bad) / (1 - usual));
  };
  const seen = { results: failing.results + results, sum: failing.sum + failures };
  watch.good = failures > 0 ? 0 : watch.good + results;
  // As it was until its last failure: what has been good since then is the question, not a part of the answer.
  const share = (seen.sum + 0.5) / (seen.results - watch.good + 1);
  const is = Math.min(0.9, Math.max(2 * usual, share));
  const back = goods * Math.log((1 - usual) / (1 - is)) + failures * Math.log(usual / is);
  const stood = failing.stands;
  if (!stood) {
    if (outage.score === 0) outage.sinceMs = atMs;
    outage.score = Math.max(0, outage.score + likelier(outageRate));
  }
  move(failing, { by: likelier(Math.max(badRate, 2 * usual)), back, limit, atMs });
  const score = Math.max(failing.score, outage.score);
  if (!stood && score >= limit) {
    // A failure that enough good results came after was an accident before the trouble, not its first sign.
    const sinceMs = outage.score > 0 ? outage.sinceMs : failing.sinceMs;
    Object.assign(failing, { score, sinceMs, stands: true });
  }
  if (failing.score > 0) {
    Object.assign(failing, seen);
    return;
  }
  // It was noise: what was seen since the first sign is normal too.
  learnRate(watch, results + failing.results, failures + failing.sum);
  Object.assign(failing, quiet());
  outage.score = 0;
}

/** The time between two latencies, where the noise holds what happens in it. */
function knownSpacing({ latencies, firstMs, lastMs }: Watch, { weight }: Detection): number {
  const spacing = latencies < 2 ? 0 : (lastMs - firstMs) / (latencies - 1);
  return spacing >= weight * rhythmKnownMs ? spacing : 0;
}

/** The day goes on while nothing is learned: what was normal then says less and less of what is normal now. */
function movedVariance({ unlearnedMs }: Watch, { rhythm }: Detection): number {
  return (rhythm * (Math.min(unlearnedMs, farthestRhythmMs) / hourMs)) ** 2;
}

function seeLatency(watch: Watch, atMs: number, latencyMs: number, options: Detection): void {
  const { slow } = watch;
  const limit = options.slowLimit;
  const log = Math.log(latencyMs);
  if (watch.latencies === 0) Object.assign(watch, { mean: log, firstMs: atMs, lastMs: atMs });
  const noise = Math.max(Math.sqrt(watch.variance), steadiest);
  watch.unlearnedMs += Math.max(0, atMs - watch.lastMs - knownSpacing(watch, options));
  const unsure = watch.unsure + movedVariance(watch, options);
  const deviation = Math.sqrt(noise ** 2 + unsure);
  const far = Math.min(Math.max((log - watch.mean) / deviation, -farthest), farthest);
  watch.latencies += 1;
  watch.lastMs = atMs;
  if (watch.seen >= options.minResults) {
    const is = Math.max(slow.sum / Math.max(slow.results, 1), 2 * options.slowSlack);
    move(slow, { by: far - options.slowSlack, back: is * (is / 2 - far), limit, atMs });
    slow.results = slow.score > 0 ? slow.results + 1 : 0;
    slow.sum = slow.score > 0 ? slow.sum + far : 0;
  }
  if (slow.stands || slow.score > limit / 2) return;
  const weight = Math.max(options.weight, 1 / (watch.latencies + 1));
  // As a Kalman filter learns, but never farther than the day can have gone.
  const gain = unsure / deviation ** 2;
  const byAge = Math.sqrt(unsure);
  const known = far * deviation;
  watch.mean += gain > weight ? Math.min(Math.max(gain * known, -byAge), byAge) : weight * known;
  watch.variance = (1 - weight) * (watch.variance + weight * (far * noise) ** 2);
  watch.unsure = unsure * (1 - Math.max(gain, weight));
  watch.unlearnedMs = 0;
}

/** Takes one more point into a watch; points come in order, and one without results says nothing. */
export function see(watch: Watch, point: Point, options = defaultDetection): void {
  const { atMs, results, failures, latencyMs } = point;
  if (results <= 0) return;
  seeFailures(watch, point, options);
  const isAnswered = latencyMs !== null && latencyMs > 0;
  if (isAnswered) seeLatency(watch, atMs, latencyMs, options);
  watch.latest = {
    rate: failures / results,
    latencyMs: isAnswered ? latencyMs : watch.latest.latencyMs,
  };
  watch.seen += results;
}

/** The changes that stand. */
export function changesOf(watch: Watch, options = defaultDetection): Change[] {
  const { failing, slow, latest } = watch;
  const changes: Change[] = [];
  if (failing.stands)
    changes.push({
      ...{ kind: 'failing', sinceMs: failing.sinceMs, score: failing.score, limit: options.failingLimit },
      ...{ normal: usualRate(watch, options), now: latest.rate },
    });
  if (slow.stands)
    changes.push({
      ...{ kind: 'slow', sinceMs: slow.sinceMs, score: slow.score, limit: options.slowLimit },
      ...{ normal: Math.exp(watch.mean), now: latest.latencyMs },
    });
  return changes;
}

/** The changes that stand at the end of a series, oldest point first. */
export function detectChanges(points: readonly Point[], options = defaultDetection): Change[] {
  const watch = startWatch();
  for (const point of points) see(watch, point, options);
  return changesOf(watch, options);
}
