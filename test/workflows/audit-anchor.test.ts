import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { auditAnchorId, taskQueues } from '../../domain/names.ts';
import { ensureAuditAnchors } from '../../workers/schedules.ts';
import { realTime } from '../support/temporal.ts';
import { createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;

beforeAll(async () => {
  environment = await realTime();
});
afterAll(async () => {
  await environment.client.schedule.getHandle(auditAnchorId).delete();
});

test('the heads are signed by one schedule, each minute, however many workers start', async () => {
  const { client } = environment;
  await Promise.all([1, 2, 3, 4].map(() => ensureAuditAnchors(client)));
  await ensureAuditAnchors(client);
  const handle = client.schedule.getHandle(auditAnchorId);
  const { spec, policies, action } = await handle.describe();
  expect(spec.intervals).toMatchObject([{ every: 60_000 }]);
  expect(policies.overlap).toBe('SKIP');
  expect(action).toMatchObject({ workflowType: 'auditAnchor', workflowId: auditAnchorId });
  const ids: string[] = [];
  for await (const { scheduleId } of client.schedule.list()) ids.push(scheduleId);
  expect(ids.filter((id) => id === auditAnchorId)).toHaveLength(1);
});

test('a run of the schedule asks a worker to anchor, and again when that failed', async () => {
  const { client } = environment;
  let asked = 0;
  const worker = await createWorker(environment, taskQueues.main, {
    anchorAudit: () => {
      asked += 1;
      if (asked === 1) throw new Error('the disk is full');
      return { anchored: 7, written: 1 };
    },
  });
  await worker.runUntil(async () => {
    const handle = client.schedule.getHandle(auditAnchorId);
    await handle.trigger();
    await expect
      .poll(async () => (await handle.describe()).info.recentActions.length, { timeout: 30_000 })
      .toBeGreaterThan(0);
    const [action] = (await handle.describe()).info.recentActions;
    const run = action?.action.workflow;
    const result = await client.workflow.getHandle(run?.workflowId ?? '', run?.firstExecutionRunId).result();
    expect(result).toEqual({ anchored: 7, written: 1 });
  });
  // The schedule's own minute may have come by as well.
  expect(asked).toBeGreaterThanOrEqual(2);
});
