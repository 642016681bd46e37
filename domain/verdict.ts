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
  /** The last few minutes of the trouble, if they are known by themselves. */
  before?: Stretch;
  /** The first few minutes since the repair, if they are known by themselves. */
  early?: Stretch;
  /** The newest results since the repair; 10 are enough, so that a late end shows. */
  after: Stretch;
  /** Targets of the same class that were in the same trouble and that nobody touched. */
  peers: { baseline?: Stretch; trouble: Stretch; after: Stretch }[];
};

export type Judgement = { verdict: Verdict; because: string };

/** Results that each side must have before anything is said. */
const enough = 5;
/** Fewer are enough for what happened just before and just after the repair. */
const few = 3;

function share({ results, failures }: Stretch): number {
  return (failures + 0.5) / (results + 1);
}

/** Good again is nearer to the normal than to the trouble, in failures and in latency. */
function isWell(one: Stretch, normal: Stretch, trouble: Stretch): boolean {
  const failing = Math.max(share(normal) + 0.05, Math.min(0.5, (share(normal) + share(trouble)) / 2), 0.15);
  if (share(one) > failing) return false;
  if (one.latencyMs === null || normal.latencyMs === null) return one.failures < one.results;
  const slow = Math.max(trouble.latencyMs ?? 0, 1.5 * normal.latencyMs);
  return one.latencyMs <= Math.sqrt(normal.latencyMs * Math.min(slow, 4 * normal.latencyMs));
}

function isWorse(after: Stretch, trouble: Stretch): boolean {
  if (share(after) > share(trouble) + 0.2) return true;
  return after.latencyMs !== null && trouble.latencyMs !== null && after.latencyMs > 1.6 * trouble.latencyMs;
}

/**
 * A repair helped when its target is back to its normal since the repair and not before, while untouched peers in the
 * same trouble are not back; otherwise it would have recovered anyway. Null while too little was seen.
 */
export function judgeRepair(view: RepairView): Judgement | null {
  const { baseline, trouble, before, early, after, peers } = view;
  if (after.results < enough) return null;
  const back = (one: Stretch): boolean => isWell(one, baseline, trouble);
  if (!back(after))
    return isWorse(after, before ?? trouble)
      ? { verdict: 'worse', because: 'it is worse than before the repair' }
      : { verdict: 'no-change', because: 'it is as it was before the repair' };
  if (before !== undefined && before.results >= few && back(before))
    return { verdict: 'recovered-anyway', because: 'it was well before the repair' };
  if (early !== undefined && early.results >= few && !back(early))
    return { verdict: 'recovered-anyway', because: 'the repair had no effect at first' };
  const judged = peers.filter(
    (peer) => peer.after.results >= enough && !isWell(peer.trouble, peer.baseline ?? baseline, peer.trouble),
  );
  const well = judged.filter((peer) => isWell(peer.after, peer.baseline ?? baseline, peer.trouble)).length;
  if (judged.length > 0 && well * 2 > judged.length)
    return {
      verdict: 'recovered-anyway',
      because: `${well} of ${judged.length} untouched peers recovered too`,
    };
  return { verdict: 'recovered-by-action', because: 'it is back to its normal since the repair' };
}
