import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from '@temporalio/worker';
import type { Agent } from '../agent.ts';
import type { Stage } from '../stage.ts';
import { until, within } from '../until.ts';
import type { bare } from './bare.ts';
import { agentWaitMs, settleMs } from './tasks.ts';

export type Peer = {
  /** Milliseconds from the update to the agent, for one run of its own. */
  measure: (id: string) => Promise<number>;
  stop: () => Promise<void>;
};

const taskQueue = 'bench-bare';

/** Runs bare workflows on the same server and calls the same agent. */
export async function startPeer(stage: Stage, agent: Agent): Promise<Peer> {
  const { client, connection, namespace, signal } = stage;
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    workflowsPath: join(import.meta.dirname, 'bare.ts'),
    shutdownGraceTime: '1s',
  });
  const ended = worker.run();
  ended.catch(() => {});
  return {
    async measure(id) {
      const call = {
        key: id,
        attempt: 1,
        timeoutMs: 60_000,
        task: { id, type: 'bench', target: 'bench', payload: {} },
      };
      const handle = await client.workflow.start<typeof bare>('bare', {
        workflowId: `bare/${id}`,
        taskQueue,
        args: [{ taskQueue: agent.taskQueue, call }],
      });
      // Started, and its first workflow task scheduled, started and completed.
      await until(signal, `${id} waits`, async () => (await handle.describe()).historyLength >= 4);
      await wait(settleMs, undefined, { signal });
      const entered = agent.entered(id);
      const sentAt = performance.now();
      const answered = handle.executeUpdate<void, []>('go');
      const at = await within(signal, `bare ${id} reaches the agent`, agentWaitMs, entered);
      await answered;
      await handle.result();
      return at - sentAt;
    },
    async stop() {
      worker.shutdown();
      await ended;
    },
  };
}
