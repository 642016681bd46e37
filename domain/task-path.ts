/*
 * Pheromone trails (LEDGER 1.2): how well an agent did a type of work, from 0 to 1. A success makes its path stronger, a
 * failure weaker, and time weakens all of them.
 */
export const pathFigures = { success: 0.1, failure: -0.05, keptPerDay: 0.9, dropBelow: 0.01, roleMatch: 0.2 };
const dayMs = 86_400_000;

/** A path loses 10 % of its strength in a day, by the time that went by; below 0.01 it is gone (LEDGER 1.2). */
export function pathNow(strength: number, elapsedMs: number): number {
  const left = strength * pathFigures.keptPerDay ** (Math.max(0, elapsedMs) / dayMs);
  return left < pathFigures.dropBelow ? 0 : left;
}

/** What an end of work makes of a path: +0.1 for a success, -0.05 for a failure, within 0 and 1 (LEDGER 1.2). */
export function pathAfter(strength: number, ok: boolean): number {
  const next = Math.min(1, Math.max(0, strength + (ok ? pathFigures.success : pathFigures.failure)));
  return next < pathFigures.dropBelow ? 0 : next;
}
