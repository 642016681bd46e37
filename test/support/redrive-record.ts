import type { RedriveActivities } from '../../activities/redrives.ts';
import type { RedriveEnd, RedriveProgress, RedriveState } from '../../domain/redrive.ts';
import type { Call } from './task-record.ts';

type Item = { state: 'waiting' | 'released' | 'completed' | 'failed' | 'left-out'; looks: number };

type Script = {
  total: number;
  canary?: boolean;
  perMinute?: number;
  /** How the delivery of an item ends, by its place from 0; by default completed. */
  ends?: (place: number) => 'completed' | 'failed' | 'never';
  /** After how many looks at it that is seen; 1 by default. */
  looks?: number;
  /** Called at each release, with its number from 1: what happens outside meanwhile. */
  atRelease?: (release: number) => void;
};

/** The record of one redrive in memory: it obeys the same verbs as the database and remembers every call. */
export function fakeRedrive(script: Script) {
  const { total, canary = true, perMinute = 60, ends = () => 'completed', looks = 1, atRelease } = script;
  const calls: Call[] = [];
  const items: Item[] = Array.from({ length: total }, () => ({ state: 'waiting', looks: 0 }));
  const releases = new Map<number, number>();
  let state: RedriveState = canary ? 'canary' : 'releasing';
  let because: string | null = null;

  const count = (wanted: Item['state']): number => items.filter((item) => item.state === wanted).length;
  const isLive = (): boolean => state === 'canary' || state === 'releasing';

  function settle(): void {
    for (const [place, item] of items.entries()) {
      if (item.state !== 'released') continue;
      item.looks += 1;
      const end = ends(place);
      if (end !== 'never' && item.looks >= looks) item.state = end;
    }
  }

  function end(given: RedriveEnd): boolean {
    if (!isLive()) return false;
    ({ state, because } = given);
    for (const item of items) if (item.state === 'waiting') item.state = 'left-out';
    return true;
  }

  const activities: RedriveActivities = {
    async lookAtRedrive(input) {
      calls.push({ activity: 'lookAtRedrive', input });
      settle();
      return progress();
    },
    async releaseItems(input) {
      calls.push({ activity: 'releaseItems', input });
      const earlier = releases.get(input.handled);
      if (earlier !== undefined || !isLive()) return { released: earlier ?? 0 };
      const turn = items.filter((item) => item.state === 'waiting').slice(0, input.count);
      for (const item of turn) item.state = 'released';
      if (!input.canary) state = 'releasing';
      releases.set(input.handled, turn.length);
      atRelease?.(releases.size);
      return { released: turn.length };
    },
    async endRedrive(input) {
      calls.push({ activity: 'endRedrive', input });
      end(input.end);
    },
  };

  function progress(): RedriveProgress {
    return {
      ...{ state, perMinute, failedCause: count('failed') > 0 ? 'UNREACHABLE' : null },
      ...{ waiting: count('waiting'), released: count('released'), completed: count('completed') },
      ...{ failed: count('failed'), leftOut: count('left-out') },
    };
  }

  return {
    activities,
    calls,
    progress,
    /** What the API does at a cancellation: the record ends, and the run has yet to learn of it. */
    cancel: () => end({ state: 'cancelled', because: 'wrong one' }),
    because: () => because,
  };
}
