import { randomBytes } from 'node:crypto';
import { registerAgent } from '../../db/agents.ts';
import type { Database } from '../../db/client.ts';
import { newId } from '../../db/ids.ts';
import { createTask, type NewTask } from '../../db/task-create.ts';
import type { ExecutorConfig } from '../../domain/agent.ts';
import type { Executor } from '../../domain/task.ts';
import { getTask, type TaskRow } from '../../db/tasks.ts';
import type { People } from './database.ts';

export async function anAgent(
  database: Database,
  people: People,
  given: {
    executor?: Executor;
    config?: ExecutorConfig;
    capabilities?: string[];
    role?: 'DeployKeeper' | 'DreamOps';
    /** As good as none by default: tests leave running tasks behind. */
    maxConcurrency?: number;
  } = {},
): Promise<string> {
  const id = newId('agt');
  await registerAgent(database.db, {
    id,
    name: `agent-${id}`,
    role: given.role ?? 'DeployKeeper',
    capabilities: given.capabilities ?? ['repair.*'],
    executor: given.executor ?? 'temporal',
    maxConcurrency: given.maxConcurrency ?? 1000,
    config: given.config ?? { taskQueue: `queue-${id}` },
    principalId: people.agent,
    owner: people.admin,
    actor: people.admin,
    opKey: `agent:${id}`,
  });
  return id;
}

export function aNewTask(people: People, given: Partial<NewTask> = {}): NewTask {
  return {
    id: newId('tsk'),
    type: 'repair.api.endpoint',
    title: 'Repair the shop',
    payload: { url: 'http://127.0.0.1:1/' },
    target: `probe:${randomBytes(4).toString('hex')}`,
    targetRole: 'DeployKeeper',
    severity: 'high',
    risk: 'medium',
    reversible: false,
    origin: 'api',
    originId: null,
    fingerprint: null,
    evidence: [],
    requestedBy: people.requester,
    dispatchMode: 'manual',
    timeoutMs: 60_000,
    expiresInMs: 3_600_000,
    binding: null,
    ...given,
  };
}

/** A stored task with its open approval. */
export async function aTask(
  database: Database,
  people: People,
  given: Partial<NewTask> = {},
): Promise<TaskRow> {
  const input = aNewTask(people, given);
  const outcome = await createTask(database.db, input, {
    key: `create:${input.id}`,
    actor: input.requestedBy,
  });
  if (outcome.status !== 'changed') throw new Error(`the task was not created: ${outcome.status}`);
  const row = await getTask(database.db, input.id);
  if (row === null) throw new Error('the created task is gone');
  return row;
}
