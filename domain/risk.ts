/** What is known of a principal's last 24 hours, and how long it has been here. */
export type RiskSignals = {
  failedLogins: number;
  denials: number;
  refusals: number;
  activeThreats: { warning: number; error: number; critical: number };
  ageDays: number;
};

/** Points for each occurrence, up to a most for its kind: no single kind of noise makes a person untrustworthy alone. */
const riskWeights = {
  failedLogins: { each: 2, most: 30 },
  denials: { each: 1, most: 20 },
  refusals: { each: 1, most: 10 },
  warning: { each: 15, most: 30 },
  error: { each: 35, most: 70 },
  critical: { each: 60, most: 90 },
} as const;

/** Points of a principal that came today; they fade over a week. */
const newcomerPoints = 10;
const newcomerDays = 7;

/** From this score on a principal may not decide on high risk. */
export const highRiskScore = 80;

/** How risky it is to let a principal decide, 0 to 100: the weighted sum of what happened lately. */
export function riskScore(signals: RiskSignals): number {
  const { failedLogins, denials, refusals, activeThreats, ageDays } = signals;
  const counts = { failedLogins, denials, refusals, ...activeThreats };
  const names = Object.keys(riskWeights) as (keyof typeof riskWeights)[];
  const points = names.map((name) => {
    const { each, most } = riskWeights[name];
    return Math.min(Math.max(0, counts[name]) * each, most);
  });
  const young = newcomerPoints * Math.max(0, 1 - Math.max(0, ageDays) / newcomerDays);
  return Math.min(100, Math.round(points.reduce((sum, each) => sum + each, young)));
}
