/*
 * A redrive hands dead letters over again, oldest first. One of them is the canary: it goes alone, and only when it is
 * completed the others follow, so many a minute.
 *
 * canary -> releasing -> done
 * canary, releasing -> stopped (it fails again) | cancelled (a person said so)
 *
 * What had no turn by then stays an open dead letter. An item: waiting -> released -> completed | failed, or
 * waiting -> left-out (it was handled by somebody else, or the redrive ended before its turn).
 */
export const redriveStates = ['canary', 'releasing', 'done', 'stopped', 'cancelled'] as const;
export type RedriveState = (typeof redriveStates)[number];

export const redriveItemStates = ['waiting', 'released', 'completed', 'failed', 'left-out'] as const;

export type RedriveCounts = {
  /** Not handed over yet. */
  waiting: number;
  /** Handed over, with no end yet. */
  released: number;
  completed: number;
  failed: number;
  leftOut: number;
};
export type RedriveProgress = RedriveCounts & {
  state: RedriveState;
  perMinute: number;
  /** The cause of the newest item that failed again. */
  failedCause: string | null;
};

export type RedriveEnd = { state: 'done' | 'stopped' | 'cancelled'; because: string | null };

export type RedriveStep =
  /** `restMs`: the time over which these are spread, before which there is nothing to look at. */
  | { do: 'release'; canary: boolean; count: number; restMs: number }
  | { do: 'wait'; because: string }
  | ({ do: 'end' } & RedriveEnd)
  /** The record has ended it already. */
  | { do: 'return' };

export const redriveLimits = { maximum: 100, most: 10_000, perMinute: 60, mostPerMinute: 6_000 } as const;

const minuteMs = 60_000;
/** A chunk is what goes out in ten seconds: so often its failures are looked at. */
const chunksPerMinute = 6;
const largestChunk = 500;
const fewestToJudge = 10;
const mostFailed = 0.2;
const firstPollMs = 1_000;
const longestPollMs = 30_000;

export function isRedriveEnded(state: RedriveState): state is RedriveEnd['state'] {
  return state !== 'canary' && state !== 'releasing';
}

/** How many go out at once, each with a time of its own within the chunk. */
export function chunkOf(perMinute: number): number {
  return Math.min(largestChunk, Math.max(1, Math.ceil(perMinute / chunksPerMinute)));
}

/** The time between two that go out. */
export function gapMs(perMinute: number): number {
  return minuteMs / perMinute;
}

/** How long to wait before looking again at what has not moved: 1 s, doubled each time, at most 30 s. */
export function pollAfterMs(polls: number): number {
  return Math.min(longestPollMs, firstPollMs * 2 ** Math.min(polls, 10));
}

/** True once more than a fifth of at least ten have failed again. */
export function failsTooOften({ completed, failed }: Pick<RedriveCounts, 'completed' | 'failed'>): boolean {
  const ended = completed + failed;
  return ended >= fewestToJudge && failed / ended > mostFailed;
}

/** What a redrive does next, by what has become of its items so far. */
export function nextRedriveStep(progress: RedriveProgress): RedriveStep {
  const { state, waiting, released, completed, failed } = progress;
  if (isRedriveEnded(state)) return { do: 'return' };
  if (state === 'canary' && completed === 0) {
    if (failed > 0) return stop(progress, 'The canary failed again');
    if (released > 0) return { do: 'wait', because: 'the canary' };
    return waiting > 0
      ? { do: 'release', canary: true, count: 1, restMs: firstPollMs }
      : { do: 'end', state: 'done', because: 'None of them was left to hand over.' };
  }
  if (waiting > 0) {
    if (failsTooOften(progress)) return stop(progress, `${failed} of ${completed + failed} failed again`);
    return releaseMore(progress);
  }
  if (released > 0) return { do: 'wait', because: `${released} on their way` };
  return { do: 'end', state: 'done', because: null };
}

function releaseMore({ perMinute, waiting, released }: RedriveProgress): RedriveStep {
  const chunk = chunkOf(perMinute);
  // A subscription that is paused or slow must not be met by all of them at once when it goes on.
  if (released >= 2 * chunk)
    return { do: 'wait', because: `${released} on their way before more are handed over` };
  const count = Math.min(chunk, waiting);
  return { do: 'release', canary: false, count, restMs: Math.max(firstPollMs, count * gapMs(perMinute)) };
}

function stop({ waiting, failedCause }: RedriveProgress, what: string): RedriveStep {
  const cause = failedCause === null ? '' : ` (${failedCause})`;
  return {
    do: 'end',
    state: 'stopped',
    because: `${what}${cause}; ${waiting} had no turn and stay open.`,
  };
}

/** What a redrive is, for lists of runs. */
export function redriveSummary(total: number): string {
  return `Hands ${total} dead ${total === 1 ? 'letter' : 'letters'} over again`;
}

export const noneRedriven: RedriveCounts = { waiting: 0, released: 0, completed: 0, failed: 0, leftOut: 0 };

/** The counts alone. */
export function countsOf({ waiting, released, completed, failed, leftOut }: RedriveCounts): RedriveCounts {
  return { waiting, released, completed, failed, leftOut };
}

/** One line for a person who looks at the run. */
export function describeRedrive(progress: RedriveProgress): string {
  const { state, waiting, released, completed, failed, leftOut } = progress;
  const parts = [
    `${completed} completed`,
    `${failed} failed again`,
    `${released} on their way`,
    `${waiting} waiting`,
    `${leftOut} left out`,
  ];
  return `**${state}**: ${parts.join(', ')}`;
}
