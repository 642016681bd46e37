import type postgres from 'postgres';
import type { Database } from '../../db/client.ts';
import { recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import type { NewTask } from '../../db/task-create.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { getTask, type TaskRow } from '../../db/tasks.ts';
import type { ExecutorBinding } from '../../domain/task.ts';
import type { People } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

export function bindingTo(agentId: string, configVersion = 1): ExecutorBinding {
  return { agentId, executor: 'temporal', configVersion };
}

export async function freshTask(database: Database, id: string): Promise<TaskRow> {
  const row = await getTask(database.db, id);
  if (row === null) throw new Error(`task ${id} is gone`);
  return row;
}

export async function approve(database: Database, people: People, task: TaskRow): Promise<TaskRow> {
  const outcome = await recordDecision(database.db, {
    approvalId: task.approvalId,
    workflowId: task.workflowId,
    decision: 'approve',
    principalId: people.operator,
    digest: task.digest,
    reason: null,
    requestId: null,
    opKey: newId('op'),
  });
  if (!outcome.accepted) throw new Error(outcome.message);
  return freshTask(database, task.id);
}

/** A task that a person has allowed and nobody has dispatched. */
export async function anApprovedTask(
  database: Database,
  people: People,
  agentId: string,
  given: Partial<NewTask> = {},
): Promise<TaskRow> {
  const task = await aTask(database, people, { binding: bindingTo(agentId), ...given });
  return approve(database, people, task);
}

/** A task whose first attempt runs. */
export async function aRunningTask(
  database: Database,
  people: People,
  agentId: string,
  given: Partial<NewTask> = {},
): Promise<TaskRow> {
  const task = await anApprovedTask(database, people, agentId, given);
  const outcome = await beginAttempt(database.db, {
    taskId: task.id,
    opKey: newId('op'),
    request: null,
    actor: 'test',
  });
  if (!outcome.dispatched) throw new Error('the task was not dispatched');
  return freshTask(database, task.id);
}

export async function eventsOf(root: postgres.Sql, taskId: string): Promise<string[]> {
  const rows = await root<{ type: string }[]>`
    select type from events where correlation_id = ${taskId} order by events.tx, events.seq`;
  return rows.map((row) => row.type);
}

export async function auditOf(root: postgres.Sql, subjectId: string): Promise<string[]> {
  const rows = await root<{ action: string }[]>`
    select action from audit_entries where subject_id = ${subjectId} order by chain_no`;
  return rows.map((row) => row.action);
}
