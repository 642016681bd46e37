import { randomBytes } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { beforeAll, expect, test } from 'vitest';
import type { task } from '../../workflows/index.ts';
import {
  cancelUpdate,
  decideUpdate,
  dispatchUpdate,
  releaseSignal,
  taskStateQuery,
} from '../../workflows/messages.ts';
import { fakeRecord } from '../support/task-record.ts';
import { skippingTime } from '../support/temporal.ts';
import { aQueue, createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await skippingTime();
});

type Handle = WorkflowHandle<typeof task>;
type Record = ReturnType<typeof fakeRecord>;

const time = 'its time: not before 2026-12-01T00:00:00.000Z';
const open = 'what it depends on to succeed: tsk_1 (running)';
const broken = 'a person: it depends on tsk_1 (failed)';
const place = 'a place at agent keeper, which runs 1 of at most 1 tasks';

/** Runs one task that is replayed at every step, and answers its result and what it asked of its activities. */
async function play(
  script: Parameters<typeof fakeRecord>[1],
  act: (handle: Handle, record: Record) => Promise<unknown>,
) {
  const taskQueue = aQueue('wait');
  const record = fakeRecord(taskQueue, { dispatchMode: 'auto', ...script });
  const worker = await createWorker(environment, taskQueue, record.activities, { replayAlways: true });
  const taskId = `tsk_${randomBytes(4).toString('hex')}`;
  const handle = await environment.client.workflow.start<typeof task>('task', {
    workflowId: `task/${taskId}`,
    taskQueue,
    args: [{ taskId, run: 1 }],
  });
  return worker.runUntil(async () => {
    await expect.poll(() => record.calls.length, { timeout: 20_000 }).toBe(1);
    await handle.executeUpdate(decideUpdate, {
      args: [{ approvalId: 'apr_1', decision: 'approve', requestId: 'dec_1' }],
      updateId: 'dec_1',
    });
    await act(handle, record);
    const result = await handle.result();
    const { runId = '' } = await handle.describe();
    return { result, taskId, runId, calls: record.calls, names: record.calls.map((call) => call.activity) };
  });
}

async function untilWaiting(handle: Handle, text: string): Promise<void> {
  await expect
    .poll(async () => (await handle.query(taskStateQuery)).waitingFor, { timeout: 20_000 })
    .toBe(text);
}

test.each([
  ['its time', time],
  ['its dependencies', open],
  ['a place of its agent', place],
])('an approved task waits for %s, says so, and begins once it is told', async (_what, because) => {
  const { result, names } = await play({ waits: [because] }, async (handle) => {
    await untilWaiting(handle, because);
    expect(await handle.query(taskStateQuery)).toMatchObject({ state: 'pending', attempt: 0 });
    await handle.signal(releaseSignal);
  });
  expect(result).toMatchObject({ state: 'success', attempt: 1 });
  expect(names).toEqual(['claimRun', 'recordDecision', 'beginAttempt', 'runAgent', 'finishAttempt']);
});

test('while nobody tells it, it asks nothing, however much time goes by', async () => {
  const { names } = await play({ waits: [open] }, async (handle) => {
    await untilWaiting(handle, open);
    await environment.sleep('30 days');
    await handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'cnl_1' }] });
  });
  expect(names).toEqual(['claimRun', 'recordDecision', 'acceptCancel', 'cancelTask']);
});

test('one wait after the other is said as it is: time, then dependencies, then a place', async () => {
  const { result, calls, taskId, runId } = await play({ waits: [time, open, place] }, async (handle) => {
    for (const because of [time, open, place]) {
      await untilWaiting(handle, because);
      await handle.signal(releaseSignal);
    }
  });
  expect(result.state).toBe('success');
  const text = JSON.stringify(calls, null, 2).replaceAll(taskId, 'TASK').replaceAll(runId, 'RUN');
  await expect(`${text}\n`).toMatchFileSnapshot('golden/task.waits.json');
});

test('after a dependency failed a person’s dispatch begins it, and nothing else has to tell it', async () => {
  const { result, names } = await play({ waits: [broken] }, async (handle) => {
    await untilWaiting(handle, broken);
    const said = await handle.executeUpdate(dispatchUpdate, { args: [{ requestId: 'dsp_1' }] });
    expect(said).toEqual({ accepted: true, state: 'running' });
  });
  expect(result.state).toBe('success');
  expect(names.filter((name) => name === 'runAgent')).toHaveLength(1);
});

test('a dispatch by hand that comes too early is refused, and the task still begins once it is told', async () => {
  const { result } = await play({ waits: [time], heldByHand: 1 }, async (handle) => {
    await untilWaiting(handle, time);
    const said = await handle.executeUpdate(dispatchUpdate, { args: [{ requestId: 'dsp_1' }] });
    expect(said).toMatchObject({ accepted: false, refused: 'CONFLICT' });
    await handle.signal(releaseSignal);
  });
  expect(result.state).toBe('success');
});
