import { type HaloTrigger, triggerOf } from '../domain/halo-loop.ts';

export type HaloTimerActivities = ReturnType<typeof createHaloTimerActivities>;

/** What the schedule of HALO does: it hands the loop a trigger, and starts the loop where it does not run. */
export function createHaloTimerActivities(deps: { signalHalo: (trigger: HaloTrigger) => Promise<void> }) {
  return {
    triggerByTime(): Promise<void> {
      return deps.signalHalo(triggerOf('time'));
    },
  };
}
