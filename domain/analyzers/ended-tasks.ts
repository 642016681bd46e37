import { detectChanges, type Point } from '../change-detection.ts';
import type { JsonObject } from '../json.ts';
import { figuresOf } from './endpoint-health.ts';

/** Whoever fails more than this share of their tasks fails (LEDGER 1.2). */
const mostFailing = 0.3;
/** With fewer ended tasks than this a share says nothing. */
const enoughTasks = 10;
/** The share is that of the newest tasks: what failed long ago is not held against anybody. */
const newestTasks = 50;

export type Failing = { title: string; observed: JsonObject; sinceMs: number | undefined };

/**
 * Failed of failed and completed tasks above 0.3 once ten have ended, or a standing change for the worse below that
 * (LEDGER 1.2); null where neither holds.
 */
export function failingOf(series: readonly Point[]): Failing | null {
  const { ended, failed, sinceMs } = newest(series);
  const share = ended === 0 ? 0 : failed / ended;
  const change = detectChanges(series).find(({ kind }) => kind === 'failing');
  const isBad = ended >= enoughTasks && share > mostFailing;
  if (!isBad && change === undefined) return null;
  return {
    title: `${failed} of its newest ${ended} tasks failed${isBad ? '' : ', more than is usual for it'}`,
    observed: {
      ...{ failed, ended, share: Number(share.toFixed(3)), limit: mostFailing },
      ...(change === undefined ? {} : { change: figuresOf(change) }),
    },
    sinceMs: change?.sinceMs ?? sinceMs,
  };
}

/** The newest hours with fifty ended tasks together, and the first of them that had a failure. */
function newest(series: readonly Point[]): { ended: number; failed: number; sinceMs: number | undefined } {
  let [ended, failed] = [0, 0];
  let sinceMs: number | undefined;
  for (const point of series.toReversed()) {
    if (ended >= newestTasks) break;
    ended += point.results;
    failed += point.failures;
    if (point.failures > 0) sinceMs = point.atMs;
  }
  return { ended, failed, sinceMs };
}
