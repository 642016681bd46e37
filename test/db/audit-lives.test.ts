import { beforeAll, expect, test } from 'vitest';
import { configureAgent } from '../../db/agents.ts';
import { newId } from '../../db/ids.ts';
import { recordDecision } from '../../db/decisions.ts';
import { finishAttempt } from '../../db/task-end.ts';
import { retryTask } from '../../db/task-retry.ts';
import { beginAttempt } from '../../db/task-run.ts';
import type { TaskRow } from '../../db/tasks.ts';
import { createTestApi, keysOf } from '../support/api.ts';
import { verifyAudit } from '../support/audit-rows.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { anAgent, aTask } from '../support/factories.ts';
import { anApprovedTask, approve, bindingTo, freshTask } from './flow.ts';

let database: TestDatabase;
let people: People;
let auditor: string;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  auditor = (await keysOf(database, people)).viewer;
});

const begin = (task: TaskRow) =>
  beginAttempt(database.db, { taskId: task.id, opKey: newId('op'), request: null, actor: 'test' });
const fail = (task: TaskRow, attempt: number) =>
  finishAttempt(database.db, {
    ...{ taskId: task.id, attempt, opKey: newId('op') },
    result: { ok: false, summary: 'it did not work' },
  });
const retry = (task: TaskRow) =>
  retryTask(database.db, { taskId: task.id, actor: people.operator, opKey: newId('op') });

async function reconfigure(agent: string, expectedVersion: number): Promise<void> {
  const config = { taskQueue: `another-${expectedVersion}` };
  const given = { id: agent, expectedVersion, config, actor: people.admin, opKey: newId('op') };
  expect((await configureAgent(database.db, given)).status).toBe('changed');
}

test('what the product itself writes of voided, retried and twice approved tasks is intact', async () => {
  const agent = await anAgent(database, people);
  // Voided just before its dispatch, then approved anew.
  let task = await anApprovedTask(database, people, agent);
  await reconfigure(agent, 1);
  expect(await begin(task)).toMatchObject({ dispatched: false, voided: true });
  task = await approve(database, people, await freshTask(database, task.id));
  expect(await begin(task)).toMatchObject({ dispatched: true });
  // Retried while the approval stands.
  await fail(task, 1);
  await retry(task);
  expect(await begin(task)).toMatchObject({ dispatched: true });
  // Retried after the content moved: a new approval.
  await fail(task, 2);
  await reconfigure(agent, 2);
  await retry(task);
  task = await approve(database, people, await freshTask(database, task.id));
  expect(await begin(task)).toMatchObject({ dispatched: true });
  // High risk: two people.
  const high = await aTask(database, people, { risk: 'high', binding: bindingTo(agent, 3) });
  for (const principalId of [people.operator, people.admin])
    await recordDecision(database.db, {
      ...{
        approvalId: high.approvalId,
        workflowId: high.workflowId,
        decision: 'approve',
        digest: high.digest,
      },
      ...{ principalId, reason: 'it is needed', requestId: null, opKey: newId('op') },
    });
  expect(await begin(high)).toMatchObject({ dispatched: true });

  const { report } = await verifyAudit(createTestApi(database), auditor);
  expect(report).toMatchObject({ findings: [], dispatches: 4, intact: true });
});
