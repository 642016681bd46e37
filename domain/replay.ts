import type { SourceType } from './events.ts';
import { canonical } from './json.ts';
import { refuse, type Refusal } from './refusal.ts';

/*
 * A replay hands recorded events to one subscription again, marked, and without side effects unless a person asked for
 * them: running -> done | cancelled | failed. It is about what the log had when it was asked for, also where that
 * commits later, and never about what comes after.
 */
export const replayStates = ['running', 'done', 'cancelled', 'failed'] as const;
export type ReplayState = (typeof replayStates)[number];

/** Which events; the members are combined with "and". */
export type ReplaySelection = {
  ids?: string[];
  /** A thread (BUS-021). */
  correlationId?: string;
  /** A whole type, or the beginning of one with a `*` behind it. */
  type?: string;
  sourceType?: SourceType;
  sourceId?: string;
  /** Both ends included, by the time of recording. */
  from?: string;
  to?: string;
};

export type ReplayCounts = { pending: number; processing: number; completed: number; failed: number };

export const replayPageSize = 500;
export const defaultReplayPerMinute = 6_000;
/** One each millisecond: finer than that, two would be due at the same time and could change places. */
export const mostReplayPerMinute = 60_000;
export const defaultReplayMaximum = 10_000;
export const mostReplayMaximum = 100_000;

/** A selection names at least one bound, does not end before it begins, and does not reach into the future. */
export function checkSelection(selection: ReplaySelection, nowMs: number): Refusal | null {
  const { from, to } = selection;
  if (Object.keys(selection).length === 0)
    return refuse(
      'INVALID',
      'select: name at least one of ids, correlationId, type, sourceType, sourceId, from, to; the whole log is too much.',
    );
  if (from !== undefined && to !== undefined && Date.parse(from) > Date.parse(to))
    return refuse('INVALID', `select: the window ends (${to}) before it begins (${from}).`);
  for (const [name, text] of Object.entries({ from, to }))
    if (text !== undefined && Date.parse(text) > nowMs)
      return refuse(
        'INVALID',
        `select.${name}: ${text} lies in the future; a replay is about what the log has. Leave it out, or give a time that has passed.`,
      );
  return null;
}

/** What a preview was about, as text: the same question has the same text. */
export function replayText(asked: {
  subscription: string;
  select: ReplaySelection;
  onlyMatching: boolean;
}): string {
  const { ids, ...rest } = asked.select;
  const select = { ...rest, ...(ids === undefined ? {} : { ids: [...new Set(ids)].sort() }) };
  return canonical({ subscription: asked.subscription, onlyMatching: asked.onlyMatching, select });
}

const longestPauseMs = 60_000;

/** How long a run waits before it looks again: a second, doubled each time, at most a minute. */
export function replayPauseMs(looks: number): number {
  return Math.min(longestPauseMs, 1_000 * 2 ** Math.min(looks, 10));
}
