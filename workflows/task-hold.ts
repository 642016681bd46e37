import { CancellationScope, condition, setHandler, sleep } from '@temporalio/workflow';
import type { TaskActivities } from '../activities/tasks.ts';
import type { EffectEnd } from './effect.ts';
import { holdSignal, releaseSignal } from './messages.ts';

/** An executor of this system ends within its heartbeat and two seconds for SIGTERM. */
const patienceMs = 5_000;

export type HoldWatch = {
  /** Runs an effect that ends early once a kill switch was engaged over it. */
  guard(attempt: number, scope: CancellationScope, effect: () => Promise<EffectEnd>): Promise<EffectEnd>;
  /** Why a kill switch holds the task back from its dispatch; null while none does. */
  parkedBecause: string | null;
  /** True for a parked task once a release was announced; whether its turn has come is for the record to say. */
  isReleased(): boolean;
  takeRelease(): void;
};

/**
 * What a kill switch does to one run of a task. Anyone can send a signal, so `hold` and `release` only make the run ask
 * the record: forged ones change nothing.
 */
export function watchHold(
  taskId: string,
  record: Pick<TaskActivities, 'findStop'>,
  isCancelAsked: () => boolean,
): HoldWatch {
  let asked = false;
  let isAsking = false;
  let isReleased = false;
  let stop: { attempt: number; because: string } | null = null;
  let running: { attempt: number; scope: CancellationScope } | null = null;

  async function ask(): Promise<void> {
    // One question at a time answers all signals that came meanwhile.
    for (isAsking = true; asked;) {
      asked = false;
      stop = (await record.findStop({ taskId })) ?? stop;
      if (running !== null && stop?.attempt === running.attempt) running.scope.cancel();
    }
    isAsking = false;
  }

  setHandler(holdSignal, async () => {
    asked = true;
    if (!isAsking) await CancellationScope.nonCancellable(ask);
  });
  setHandler(releaseSignal, () => {
    isReleased = true;
  });

  const watch: HoldWatch = {
    parkedBecause: null,
    // A task that waits for a person's dispatch was never parked, and no signal begins it.
    isReleased: () => isReleased && watch.parkedBecause !== null,
    takeRelease() {
      isReleased = false;
    },
    async guard(attempt, scope, effect) {
      running = { attempt, scope };
      if (stop?.attempt === attempt) scope.cancel();
      const end = await Promise.race([scope.run(effect), afterPatience(attempt)]);
      running = null;
      const because = stop?.attempt === attempt ? stop.because : null;
      if (because === null || end.kind === 'result' || (end.kind === 'cancelled' && isCancelAsked()))
        return end;
      if (end.kind === 'unknown') return { kind: 'unknown', because: `${because}; ${end.because}` };
      const summary = `The attempt was ${because}. What the agent had done by then stands; a person can retry it.`;
      return { kind: 'result', result: { ok: false, summary } };
    },
  };
  return watch;

  /** An agent that does not say that it stopped may go on: then a person has to find out. */
  async function afterPatience(attempt: number): Promise<EffectEnd> {
    await condition(() => stop?.attempt === attempt);
    await sleep(patienceMs);
    return { kind: 'unknown', because: 'the agent did not confirm that it stopped' };
  }
}
