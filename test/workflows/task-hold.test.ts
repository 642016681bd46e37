import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { beforeAll, describe, expect, test } from 'vitest';
import type { task } from '../../workflows/index.ts';
import {
  cancelUpdate,
  decideUpdate,
  dispatchUpdate,
  holdSignal,
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

/** Runs one task, replayed at every step, and answers its result and the names of its activity calls in order. */
async function play(
  script: Parameters<typeof fakeRecord>[1],
  act: (handle: Handle, record: Record) => Promise<unknown>,
) {
  const taskQueue = aQueue('hold');
  const record = fakeRecord(taskQueue, { dispatchMode: 'auto', ...script });
  const worker = await createWorker(environment, taskQueue, record.activities, { replayAlways: true });
  const taskId = `tsk_${randomBytes(4).toString('hex')}`;
  const handle = await environment.client.workflow.start<typeof task>('task', {
    workflowId: `task/${taskId}`,
    taskQueue,
    args: [{ taskId, run: 1 }],
  });
  return worker.runUntil(async () => {
    await expect.poll(() => called(record, 'claimRun'), { timeout: 20_000 }).toBe(1);
    await act(handle, record);
    const result = await handle.result();
    const inputOf = (name: string) => record.calls.find((call) => call.activity === name)?.input;
    return { result, names: record.calls.map(({ activity }) => activity), inputOf };
  });
}

const approve = (handle: Handle) =>
  handle.executeUpdate(decideUpdate, {
    args: [{ approvalId: 'apr_1', decision: 'approve', requestId: 'dec_1' }],
  });

const called = (record: Record, name: string): number =>
  record.calls.filter(({ activity }) => activity === name).length;

async function untilWaiting(handle: Handle, text: string): Promise<void> {
  await expect
    .poll(async () => (await handle.query(taskStateQuery)).waitingFor, { timeout: 20_000 })
    .toContain(text);
}

/** An agent that goes on until it is cancelled, and takes that as an order. */
async function untilCancelled(): Promise<unknown> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), 100);
  return context.cancelled.finally(() => clearInterval(beat));
}

describe('parked', () => {
  test('a task under a hold waits, says for what, and runs once it is released', async () => {
    const { result, names } = await play({ parked: 1 }, async (handle) => {
      await approve(handle);
      await untilWaiting(handle, 'a release: held by all');
      expect(await handle.query(taskStateQuery)).toMatchObject({ state: 'pending', attempt: 0 });
      await handle.signal(releaseSignal);
    });
    expect(result).toMatchObject({ state: 'success', attempt: 1 });
    expect(names).toEqual(['claimRun', 'recordDecision', 'beginAttempt', 'runAgent', 'finishAttempt']);
  });

  test('a release that is none, because the record says so, changes nothing', async () => {
    const { result, names } = await play({ parked: 3 }, async (handle, record) => {
      await approve(handle);
      await untilWaiting(handle, 'a release');
      for (let count = 1; count <= 2; count += 1) {
        await handle.signal(releaseSignal);
        await expect.poll(() => called(record, 'beginAttempt'), { timeout: 20_000 }).toBe(count);
        await untilWaiting(handle, 'a release');
      }
      await handle.signal(releaseSignal);
    });
    expect(result.state).toBe('success');
    expect(names.filter((name) => name === 'runAgent')).toHaveLength(1);
  });

  test('a forged release never begins a task that waits for a dispatch by hand', async () => {
    const { names } = await play({ dispatchMode: 'manual' }, async (handle) => {
      await approve(handle);
      for (let count = 0; count < 5; count += 1) await handle.signal(releaseSignal);
      await untilWaiting(handle, 'a dispatch');
      await handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'cnl_1' }] });
    });
    expect(names).not.toContain('beginAttempt');
    expect(names).not.toContain('runAgent');
  });

  test('a parked task can be cancelled, and never runs', async () => {
    const { result, names } = await play({ parked: 1 }, async (handle) => {
      await approve(handle);
      await untilWaiting(handle, 'a release');
      const said = await handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'cnl_1' }] });
      expect(said).toMatchObject({ accepted: true });
    });
    expect(result.state).toBe('cancelled');
    expect(names).not.toContain('runAgent');
  });

  test('a dispatch by hand under a hold is refused with its text, and the task stays parked', async () => {
    const { result } = await play({ parked: 1, heldByHand: 1 }, async (handle) => {
      await approve(handle);
      await untilWaiting(handle, 'a release');
      const said = await handle.executeUpdate(dispatchUpdate, { args: [{ requestId: 'dsp_1' }] });
      expect(said).toMatchObject({ accepted: false, refused: 'CONFLICT', message: 'held by all' });
      expect((await handle.query(taskStateQuery)).waitingFor).toContain('a release');
      await handle.signal(releaseSignal);
    });
    expect(result.state).toBe('success');
  });

  test('content that moved while it was parked goes back to the inbox', async () => {
    const { result, names } = await play({ parked: 1, voidedOnce: true }, async (handle) => {
      await approve(handle);
      await untilWaiting(handle, 'a release');
      await handle.signal(releaseSignal);
      await expect
        .poll(async () => (await handle.query(taskStateQuery)).approvalId, { timeout: 20_000 })
        .toBe('apr_2');
      await handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'cnl_1' }] });
    });
    expect(result.state).toBe('cancelled');
    expect(names).not.toContain('runAgent');
  });
});

describe('stopped', () => {
  test('an attempt under way is cancelled, and ends as failed by the kill switch', async () => {
    let engaged = false;
    const stop = () => (engaged ? 'stopped by the kill switch (all, engaged by olga: fire)' : null);
    const { result, names, inputOf } = await play({ agent: untilCancelled, stop }, async (handle, record) => {
      await approve(handle);
      await expect.poll(() => called(record, 'runAgent'), { timeout: 20_000 }).toBe(1);
      engaged = true;
      await handle.signal(holdSignal);
    });
    expect(result).toMatchObject({ state: 'failed', attempt: 1 });
    expect(inputOf('finishAttempt')).toMatchObject({
      result: { ok: false, summary: expect.stringContaining('(all, engaged by olga: fire)') },
    });
    expect(names.filter((name) => name === 'runAgent')).toHaveLength(1);
  });

  test('a forged hold is looked up and does nothing', async () => {
    let isDone = false;
    const agent = async () => {
      while (!isDone) await wait(20);
      return { ok: true, summary: 'repaired' };
    };
    const { result, names } = await play({ agent }, async (handle, record) => {
      await approve(handle);
      await expect.poll(() => called(record, 'runAgent'), { timeout: 20_000 }).toBe(1);
      for (let count = 0; count < 3; count += 1) await handle.signal(holdSignal);
      await expect.poll(() => called(record, 'findStop'), { timeout: 20_000 }).toBeGreaterThan(0);
      isDone = true;
    });
    expect(result).toMatchObject({ state: 'success', attempt: 1 });
    expect(names.filter((name) => name === 'runAgent')).toHaveLength(1);
  });

  test('an agent that does not confirm that it stopped leaves a question for a person', async () => {
    let isDone = false;
    const agent = async () => {
      while (!isDone) await wait(20);
      return { ok: true, summary: 'went on' };
    };
    const stop = () => 'stopped by the kill switch (all, engaged by olga: fire)';
    const { result, inputOf } = await play({ agent, stop }, async (handle, record) => {
      await approve(handle);
      await expect.poll(() => called(record, 'runAgent'), { timeout: 20_000 }).toBe(1);
      await handle.signal(holdSignal);
      await expect.poll(() => called(record, 'askOutcome'), { timeout: 30_000 }).toBe(1);
      await untilWaiting(handle, 'did not confirm that it stopped');
      isDone = true;
      await handle.executeUpdate(decideUpdate, {
        args: [{ approvalId: 'apr_outcome', decision: 'reject', requestId: 'dec_2' }],
      });
    });
    expect(result.state).toBe('failed');
    expect(inputOf('askOutcome')).toMatchObject({ because: expect.stringContaining('engaged by olga') });
  });

  test('a result that was faster than the switch stands', async () => {
    const stop = () => 'stopped by the kill switch (all, engaged by olga: fire)';
    const { result } = await play({ stop }, async (handle) => {
      await handle.signal(holdSignal);
      await approve(handle);
    });
    expect(result.state).toBe('success');
  });

  test('who cancels an attempt that is being stopped gets it cancelled', async () => {
    const stop = () => 'stopped by the kill switch (all, engaged by olga: fire)';
    const { result, names } = await play({ agent: untilCancelled, stop }, async (handle, record) => {
      await approve(handle);
      await expect.poll(() => called(record, 'runAgent'), { timeout: 20_000 }).toBe(1);
      const cancelling = handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'cnl_1' }] });
      await expect.poll(() => called(record, 'acceptCancel'), { timeout: 20_000 }).toBe(1);
      await handle.signal(holdSignal);
      await cancelling;
    });
    expect(result.state).toBe('cancelled');
    expect(names.filter((name) => name === 'runAgent')).toHaveLength(1);
  });
});
