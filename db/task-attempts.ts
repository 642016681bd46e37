import { eq } from 'drizzle-orm';
import type { AgentRow } from './agents.ts';
import type { Db } from './client.ts';
import { taskAttempts, tasks } from './schema/index.ts';
import { taskDigest } from './task-create.ts';
import { bindingOf } from './task-run.ts';

/** True while what the agent's row says, the task's content included, is what the attempt was dispatched with. */
export async function isAsDispatched(db: Db, key: string, agent: AgentRow): Promise<boolean> {
  const [row] = await db
    .select({ digest: taskAttempts.digest, task: tasks })
    .from(taskAttempts)
    .innerJoin(tasks, eq(tasks.id, taskAttempts.taskId))
    .where(eq(taskAttempts.key, key));
  if (row === undefined || agent.state === 'disabled') return false;
  return row.digest === taskDigest({ ...row.task, binding: bindingOf(agent) });
}
