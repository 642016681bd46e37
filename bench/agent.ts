import { type NativeConnection, Worker } from '@temporalio/worker';
import type { AgentCall, AgentResult } from '../domain/task.ts';

export type Agent = {
  taskQueue: string;
  /** When the agent was entered for this task, by the clock of `performance.now()`. Ask before it can be. */
  entered: (taskId: string) => Promise<number>;
  stop: () => Promise<void>;
};

type AgentInput = { connection: NativeConnection; namespace: string; taskQueue: string };

/** An agent that does nothing, in this process: its start and the decision are then on one clock. */
export async function startAgent({ connection, namespace, taskQueue }: AgentInput): Promise<Agent> {
  const expected = new Map<string, (at: number) => void>();
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    activities: {
      runAgent: async (call: AgentCall): Promise<AgentResult> => {
        expected.get(call.task.id)?.(performance.now());
        expected.delete(call.task.id);
        return { ok: true, summary: 'Nothing was to be done.' };
      },
    },
    shutdownGraceTime: '1s',
  });
  const ended = worker.run();
  // Waited for in `stop`; until then a failure shows as an agent that is never entered.
  ended.catch(() => {});
  return {
    taskQueue,
    entered: (taskId) =>
      new Promise((resolve) => {
        expected.set(taskId, resolve);
      }),
    async stop() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await ended;
    },
  };
}
