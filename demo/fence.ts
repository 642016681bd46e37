import type { AgentCall } from '../domain/task.ts';

/**
 * Keeps the highest kill switch epoch seen for each target. A call with a lower one was made before a switch was
 * engaged and came late: acting on it would be acting against the switch.
 */
export function createFence(): (call: Pick<AgentCall, 'epoch' | 'task'>) => boolean {
  const highest = new Map<string, number>();
  return ({ epoch = 0, task: { target } }) => {
    const seen = highest.get(target) ?? 0;
    if (epoch < seen) return false;
    highest.set(target, epoch);
    return true;
  };
}
