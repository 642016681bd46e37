import { ApplicationFailure } from '@temporalio/common';
import type { QueuedPage, ReplayActivities } from '../../activities/replays.ts';
import type { ReplayEnd } from '../../db/replay-run.ts';
import { refuse } from '../../domain/refusal.ts';
import type { ReplayState } from '../../domain/replay.ts';
import type { Call } from './task-record.ts';

type Script = {
  /** How many pages there are before the last one. */
  pages?: number;
  /** So many looks find older transactions open. */
  behind?: number;
  /** So many looks find deliveries open; without end where it is Infinity. */
  looks?: number;
  /** The page after so many fails for good. */
  failsAfter?: number;
  /** After the end, so many looks find deliveries under way. */
  underWay?: number;
};

/** The record of one replay in memory, with the verbs of the real one. */
export function fakeReplay(script: Script = {}) {
  const calls: Call[] = [];
  const ends: ReplayEnd[] = [];
  let { pages = 0, behind = 0, looks = 0, underWay = 0 } = script;
  let state: ReplayState = 'running';
  let queued = 0;
  let isQueued = false;
  const note = (activity: string, input: unknown): void => void calls.push({ activity, input });

  const activities = {
    async claimReplay(input: unknown) {
      note('claimReplay', input);
      return { state, isQueued };
    },
    async queueReplayPage(input: unknown): Promise<QueuedPage> {
      note('queueReplayPage', input);
      if (behind > 0) {
        behind -= 1;
        return { end: 'behind', at: '0:0', queued };
      }
      if (script.failsAfter !== undefined && queued / 500 >= script.failsAfter)
        throw ApplicationFailure.nonRetryable('Subscription shop was switched off.', 'CONFLICT');
      queued += 500;
      pages -= 1;
      isQueued = pages < 0;
      return { end: isQueued ? 'all' : 'more', at: `${queued}:1`, queued };
    },
    async countOpenDeliveries(input: unknown) {
      note('countOpenDeliveries', input);
      looks -= 1;
      return looks >= 0 ? queued : 0;
    },
    async endReplay(input: ReplayEnd) {
      note('endReplay', input);
      if (state === 'running') {
        ends.push(input);
        state = input.state;
      }
      return { state };
    },
    async withdrawReplay(input: unknown) {
      note('withdrawReplay', input);
      underWay -= 1;
      return Math.max(0, underWay + 1);
    },
    async acceptReplayCancel(input: { requestId: string }) {
      note('acceptReplayCancel', input);
      if (input.requestId === 'forged') return refuse('FORBIDDEN', 'There is no recorded request.');
      return { actor: 'prn_operator', reason: 'wrong window' };
    },
  } satisfies { [K in keyof ReplayActivities]: (input: never) => unknown };
  return { activities, calls, ends, names: () => calls.map(({ activity }) => activity) };
}
