import { randomBytes } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ToldRun } from '../../activities/halo-superseding.ts';
import type { haloCycle, task } from '../../workflows/index.ts';
import { cancelUpdate, decideUpdate, supersededSignal, taskStateQuery } from '../../workflows/messages.ts';
import { anIssue, fakeHalo } from '../support/halo-record.ts';
import { fakeRecord } from '../support/task-record.ts';
import { skippingTime } from '../support/temporal.ts';
import { aQueue, createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await skippingTime();
});

type Handle = WorkflowHandle<typeof task>;
type Record = ReturnType<typeof fakeRecord>;

const called = (record: Record, name: string): number =>
  record.calls.filter(({ activity }) => activity === name).length;

const approve = (handle: Handle) =>
  handle.executeUpdate(decideUpdate, {
    args: [{ approvalId: 'apr_1', decision: 'approve', requestId: 'dec_1' }],
  });
const cancel = (handle: Handle) => handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'cnl_1' }] });

/** Starts a task that waits for a person, hands it over, and answers what it ended as and what it asked the record. */
async function play(
  script: Parameters<typeof fakeRecord>[1],
  act: (handle: Handle, record: Record, taskQueue: string) => Promise<unknown>,
  before: (handle: Handle) => Promise<void> = () => Promise.resolve(),
) {
  const taskQueue = aQueue('supersede');
  const record = fakeRecord(taskQueue, script);
  const halo = fakeHalo({
    supersedes: () => told,
    find: (name) => (name === 'endpoint-health' ? [anIssue()] : []),
  });
  const told: ToldRun[] = [{ taskId: 'tsk_gone', workflowId: `task/gone-${taskQueue}` }];
  const activities = { ...record.activities, ...halo.activities };
  const worker = await createWorker(environment, taskQueue, activities, { replayAlways: true });
  const taskId = `tsk_${randomBytes(4).toString('hex')}`;
  const workflowId = `task/${taskId}`;
  told.push({ taskId, workflowId });
  const args: [{ taskId: string; run: number }] = [{ taskId, run: 1 }];
  const handle = await environment.client.workflow.start<typeof task>('task', {
    workflowId,
    taskQueue,
    args,
  });
  await before(handle);
  return worker.runUntil(async () => {
    await expect.poll(() => called(record, 'claimRun'), { timeout: 20_000 }).toBe(1);
    await act(handle, record, taskQueue);
    const result = await handle.result();
    const names = record.calls.map(({ activity }) => activity);
    return { result, names, taskId, calls: record.calls, halo: halo.calls };
  });
}

const aCycle = (taskQueue: string, mode: 'full' | 'light' = 'full') =>
  environment.client.workflow.execute<typeof haloCycle>('haloCycle', {
    workflowId: `halo-cycle/${taskQueue}`,
    taskQueue,
    args: [
      {
        cycleId: taskQueue,
        mode,
        trigger: { manual: 1, event: 0, eventIds: [] },
        requestedBy: 'prn_operator',
      },
    ],
  });

describe('a task that HALO supersedes', () => {
  test('ends as cancelled once the record says so, and its calls are the golden ones', async () => {
    const { result, calls, taskId } = await play({ withdraws: () => true }, (handle) =>
      handle.signal(supersededSignal),
    );
    expect(result).toMatchObject({ state: 'cancelled', attempt: 0 });
    const text = JSON.stringify(calls, null, 2)
      .replaceAll(taskId, 'TASK')
      .replace(/"runId": "[^"]+"/, '"runId": "RUN"');
    await expect(`${text}\n`).toMatchFileSnapshot('golden/task.superseded.json');
  });

  test('goes on waiting after a forged signal, and can still be approved', async () => {
    const { result, names } = await play({ dispatchMode: 'auto' }, async (handle, record) => {
      await handle.signal(supersededSignal);
      await expect.poll(() => called(record, 'withdrawSuperseded'), { timeout: 20_000 }).toBe(1);
      expect(await handle.query(taskStateQuery)).toMatchObject({ state: 'pending-approval' });
      await approve(handle);
    });
    expect(result.state).toBe('success');
    expect(names).toEqual(['claimRun', 'withdrawSuperseded', 'recordDecision', 'runAgent', 'finishAttempt']);
  });

  test('does what a person approved before, and its run does not fail', async () => {
    const { result, names } = await play({ withdraws: () => true }, async (handle, record) => {
      await approve(handle);
      await handle.signal(supersededSignal);
      await expect.poll(() => called(record, 'withdrawSuperseded'), { timeout: 20_000 }).toBe(1);
      expect(await handle.query(taskStateQuery)).toMatchObject({ state: 'pending' });
      await cancel(handle);
    });
    expect(result.state).toBe('cancelled');
    expect(names).toContain('cancelTask');
  });

  test('and that a person cancels at the same moment ends once, for both of them', async () => {
    const { result } = await play({ withdraws: () => true }, async (handle) => {
      // The cancellation may come too late to be answered by the run.
      await Promise.allSettled([handle.signal(supersededSignal), cancel(handle)]);
    });
    expect(result.state).toBe('cancelled');
  });

  test('asks the record few times for many signals at once', async () => {
    const before = async (handle: Handle): Promise<void> => {
      for (let count = 0; count < 20; count += 1) await handle.signal(supersededSignal);
    };
    const { names } = await play({}, cancel, before);
    expect(names.filter((name) => name === 'withdrawSuperseded').length).toBeLessThan(10);
  });
});

describe('a cycle', () => {
  test('writes down what it supersedes and then tells the runs; one that is gone is no error', async () => {
    const { result, halo } = await play({ withdraws: () => true }, async (_handle, _record, taskQueue) => {
      expect(await aCycle(taskQueue)).toMatchObject({ step: 'completed' });
    });
    expect(result.state).toBe('cancelled');
    const names = halo.map(({ activity }) => activity);
    expect(names.indexOf('supersedeProposals')).toBeGreaterThan(names.indexOf('proposeTasks'));
    expect(names).not.toContain('recordLearningError');
    expect(halo.find(({ activity }) => activity === 'supersedeProposals')?.input).toMatchObject({
      proposed: ['probe:prb_1'],
    });
  });

  test('of the light kind supersedes nothing, as it only looks', async () => {
    const { result, halo } = await play({ withdraws: () => true }, async (handle, _record, taskQueue) => {
      expect(await aCycle(taskQueue, 'light')).toMatchObject({ step: 'completed' });
      await cancel(handle);
    });
    expect(result.state).toBe('cancelled');
    expect(halo.map(({ activity }) => activity)).not.toContain('supersedeProposals');
  });
});
