import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { Database } from '../../db/client.ts';
import type { ExecutorConfig } from '../../domain/agent.ts';
import type { AgentCall, Executor } from '../../domain/task.ts';
import type { TaskRow } from '../../db/tasks.ts';
import { aRunningTask } from '../db/flow.ts';
import type { People } from '../support/database.ts';
import { anAgent } from '../support/factories.ts';

export type Dispatched = { agentId: string; task: TaskRow; call: AgentCall };

/** A task whose attempt has begun, and what the workflow would hand to its executor. */
export async function aCall(
  database: Database,
  people: People,
  executor: Executor,
  config: ExecutorConfig,
  timeoutMs = 20_000,
): Promise<Dispatched> {
  const agentId = await anAgent(database, people, { executor, config });
  const binding = { agentId, executor, configVersion: 1 };
  const task = await aRunningTask(database, people, agentId, { binding });
  const { id, type, target, payload } = task;
  return {
    agentId,
    task,
    call: { key: `${id}:1`, attempt: 1, timeoutMs, task: { id, type, target, payload } },
  };
}

/** An activity context of the given attempt; its cancellation is a real one. */
export function anEnvironment(attempt = 1): MockActivityEnvironment {
  return new MockActivityEnvironment({ attempt }, { logger: new DefaultLogger('ERROR', () => undefined) });
}
