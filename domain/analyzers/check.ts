import type { JsonObject } from '../json.ts';

/** `failed` could not be looked at, which is not health; what nobody named to be watched is not green either (K18). */
export const checkStates = ['green', 'amber', 'red', 'failed', 'not-configured'] as const;
export type CheckState = (typeof checkStates)[number];

/** What one look at watched things said. */
export type Check = { name: string; state: CheckState; said: string; watches: string[] };

/** Something that is not as it should be. */
export type CheckFinding = { item: string; state: 'amber' | 'red'; said: string; observed?: JsonObject };

const saidFindings = 3;

/** A check is as bad as its worst finding. */
export function checkOf(name: string, watches: readonly string[], findings: readonly CheckFinding[]): Check {
  const state = findings.some((one) => one.state === 'red') ? 'red' : findings.length > 0 ? 'amber' : 'green';
  const said = findings.slice(0, saidFindings).map((one) => `${one.item}: ${one.said}`);
  const more = findings.length - saidFindings;
  if (more > 0) said.push(`and ${more} more`);
  return { name, state, said: said.join('; ') || 'all as it should be', watches: [...watches] };
}

/** A check without anything to look at raises no issue, and is not green. */
export function notConfigured(name: string): Check {
  return { name, state: 'not-configured', said: 'nothing is named to be watched', watches: [] };
}

/** Green of what is watched; null where nothing is (LEDGER 1.2). */
export function healthOf(checks: readonly Pick<Check, 'state'>[]): number | null {
  const watched = checks.filter(({ state }) => state !== 'not-configured');
  if (watched.length === 0) return null;
  return watched.filter(({ state }) => state === 'green').length / watched.length;
}
