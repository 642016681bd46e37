import { condition, defineUpdate, proxyActivities, setHandler } from '@temporalio/workflow';
import type { AgentCall, AgentResult } from '../../domain/task.ts';

export type BareInput = { taskQueue: string; call: AgentCall };

const goUpdate = defineUpdate<void>('go');

/** The least that waits for a person and then calls an agent: what Temporal alone needs, with no record beside it. */
export async function bare({ taskQueue, call }: BareInput): Promise<AgentResult> {
  const { runAgent } = proxyActivities<{ runAgent(call: AgentCall): Promise<AgentResult> }>({
    taskQueue,
    startToCloseTimeout: '1m',
    retry: { maximumAttempts: 1 },
  });
  let isSaid = false;
  setHandler(goUpdate, () => {
    isSaid = true;
  });
  await condition(() => isSaid);
  return runAgent(call);
}
