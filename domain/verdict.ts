/** What later looks say about a repair (DESIGN 6). */
export const verdicts = ['recovered-by-action', 'recovered-anyway', 'no-change', 'worse'] as const;
export type Verdict = (typeof verdicts)[number];

/** What was seen of a target in some stretch of time. */
export type Stretch = { results: number; failures: number; latencyMs: number | null };

/** A repaired target and its untouched peers, before, during and after the trouble. */
export type RepairView = {
  /** Its own normal, from before the trouble began. */
  baseline: Stretch;
  /** From the first sign of trouble to the repair. */
  trouble: Stretch;
  /** Since the repair. */
  after: Stretch;
  /** Targets of the same class that were in the same trouble and that nobody touched. */
  peers: { trouble: Stretch; after: Stretch }[];
};

export type Judgement = { verdict: Verdict; because: string };

/** Results that each side must have before anything is said. */
const enough = 5;

function badness({ results, failures }: Stretch): number {
  return (failures + 0.5) / (results + 1);
}

/**
 * A repair helped when its target is back to its normal while untouched peers in the same trouble are not; when they
 * are back too, it would have recovered anyway. Null while too little was seen.
 */
export function judgeRepair({ baseline, trouble, after, peers }: RepairView): Judgement | null {
  if (after.results < enough) return null;
  const limit = Math.max(2 * badness(baseline), 0.2);
  const isSlow = (one: Stretch): boolean =>
    baseline.latencyMs !== null && one.latencyMs !== null && one.latencyMs > 2 * baseline.latencyMs;
  const isWell = (one: Stretch): boolean => badness(one) <= limit && !isSlow(one);
  if (!isWell(after)) {
    const isWorse = badness(after) > badness(trouble) + 0.2;
    return isWorse
      ? { verdict: 'worse', because: 'it fails more than before the repair' }
      : { verdict: 'no-change', because: 'it is as it was before the repair' };
  }
  const seen = peers.filter((peer) => peer.after.results >= enough && !isWell(peer.trouble));
  const back = seen.filter((peer) => isWell(peer.after)).length;
  if (seen.length > 0 && back * 2 > seen.length)
    return {
      verdict: 'recovered-anyway',
      because: `${back} of ${seen.length} untouched peers recovered too`,
    };
  return { verdict: 'recovered-by-action', because: 'it is back to its normal' };
}
