import type postgres from 'postgres';
import type { Database } from '../../db/client.ts';
import { type DecisionInput, recordDecision } from '../../db/decisions.ts';
import { newId } from '../../db/ids.ts';
import { createPrincipal } from '../../db/principals.ts';
import type { NewTask } from '../../db/task-create.ts';
import { beginAttempt } from '../../db/task-run.ts';
import { getTask, type TaskRow } from '../../db/tasks.ts';
import { builtInPolicy, type PolicyRule } from '../../domain/policy.ts';
import type { ExecutorBinding } from '../../domain/task.ts';
import type { People, TestDatabase } from '../support/database.ts';
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

/** A policy in force for one target, which no other test uses. */
export async function aRuleFor(
  database: TestDatabase,
  target: string,
  rule: Partial<PolicyRule>,
): Promise<void> {
  const id = newId('pol');
  const whole = { ...builtInPolicy('medium').rule, ...rule };
  const match = { kinds: [], risks: [], targets: [target], types: [], groups: [] };
  await database.root`
    insert into policies (id, name, place, match, rule, enabled, edited_by)
    values (${id}, ${id}, 1, ${database.root.json(match)}, ${database.root.json(whole)}, true, 'test')`;
}

/** Another person of a role, made by somebody. */
export async function aPerson(
  database: Database,
  given: { role?: string; by?: string; owner?: string; kind?: 'human' | 'agent' } = {},
): Promise<string> {
  const { role = 'operator', by = 'test', kind = 'human', owner } = given;
  const id = newId('prn');
  await createPrincipal(database.db, {
    ...{ id, kind, name: `name-of-${id}`, role, actor: by, opKey: newId('op') },
    ...(owner === undefined ? {} : { owner }),
  });
  return id;
}

export async function addToGroup(
  database: TestDatabase,
  group: string,
  id: string,
  by = 'test',
): Promise<void> {
  await database.root`insert into groups (name, description) values (${group}, 'test') on conflict do nothing`;
  await database.root`
    insert into group_members (group_name, principal_id, added_by) values (${group}, ${id}, ${by})`;
}

/** One decision of one person on the approval that a task has now. */
export async function decideOn(
  database: Database,
  task: TaskRow,
  principalId: string,
  given: Partial<DecisionInput> = {},
) {
  return recordDecision(database.db, {
    ...{ approvalId: task.approvalId, workflowId: task.workflowId, decision: 'approve', principalId },
    ...{ digest: task.digest, reason: 'checked', requestId: null, opKey: newId('op') },
    ...given,
  });
}
