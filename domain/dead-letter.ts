/*
 * An alert over a subscription's open dead letters: quiet -> raised -> quiet. It is raised when there are too many or
 * when they become more too fast, again after each cooldown while that lasts, and over once both are below half.
 */
export type GrowthLimits = {
  /** More open ones than this are too many. */
  open: number;
  /** More new open ones than this in ten minutes are too fast. */
  growth: number;
  cooldownMs: number;
};

export const defaultGrowthLimits: GrowthLimits = { open: 100, growth: 25, cooldownMs: 3_600_000 };

export const growthWindowMinutes = 10;

export type Growth = {
  open: number;
  /** Of these, the ones of the last ten minutes. */
  grown: number;
  isRaised: boolean;
  /** Empty when there never was an alert. */
  sinceRaisedMs: number | null;
};

/** What to do about a subscription's dead letters now; null for nothing. */
export function judgeGrowth(growth: Growth, limits: GrowthLimits): 'raise' | 'clear' | null {
  const { open, grown, isRaised, sinceRaisedMs } = growth;
  const isCool = sinceRaisedMs === null || sinceRaisedMs >= limits.cooldownMs;
  if (open > limits.open || grown > limits.growth) return isCool ? 'raise' : null;
  return isRaised && open < limits.open / 2 && grown < limits.growth / 2 ? 'clear' : null;
}

/** Why an alert is raised, for people. */
export function describeGrowth(growth: Pick<Growth, 'open' | 'grown'>, limits: GrowthLimits): string {
  const { open, grown } = growth;
  return `${open} open (limit ${limits.open}), ${grown} of them in ${growthWindowMinutes} minutes (limit ${limits.growth})`;
}
