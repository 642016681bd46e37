import { eq } from 'drizzle-orm';
import type { AgentRow } from './agents.ts';
import { stopFor } from '../domain/kill-switch.ts';
import type { Db } from './client.ts';
import { readSwitches } from './kill-switch.ts';
import { taskAttempts, tasks } from './schema/index.ts';
import { taskDigest } from './task-create.ts';
import { bindingOf } from './task-run.ts';

/**
 * The last look before an effect: why the attempt may no longer act, because the agent's row or the task's content is
 * not what it was dispatched with, or a kill switch was engaged since. Null while it may.
 */
export async function findObjection(db: Db, key: string, agent: AgentRow): Promise<string | null> {
  const [[row], { switches }] = await Promise.all([
    db
      .select({ digest: taskAttempts.digest, epoch: taskAttempts.epoch, task: tasks })
      .from(taskAttempts)
      .innerJoin(tasks, eq(tasks.id, taskAttempts.taskId))
      .where(eq(taskAttempts.key, key)),
    readSwitches(db),
  ]);
  const isAsDispatched =
    row !== undefined &&
    agent.state !== 'disabled' &&
    row.digest === taskDigest({ ...row.task, binding: bindingOf(agent) });
  if (!isAsDispatched) return 'the agent was changed after the dispatch';
  return stopFor(switches, { kind: 'task', target: row.task.target }, row.epoch);
}
