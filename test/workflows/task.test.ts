import { randomBytes } from 'node:crypto';
import { WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { ApplicationFailure } from '@temporalio/common';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  approvalSignal,
  cancelUpdate,
  decideUpdate,
  dispatchUpdate,
  taskStateQuery,
} from '../../workflows/messages.ts';
import type { task } from '../../workflows/index.ts';
import { fakeRecord, outcomeUnknown, type Call } from '../support/task-record.ts';
import { skippingTime } from '../support/temporal.ts';
import { aQueue, createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await skippingTime();
});

type Play = (handle: WorkflowHandle<typeof task>) => Promise<unknown>;

/** Runs one task workflow against a fake record, and answers its result and every activity call in order. */
async function play(
  script: Parameters<typeof fakeRecord>[1],
  act: Play,
  given: { run?: number; signalFirst?: boolean; replayAlways?: boolean } = {},
) {
  const taskQueue = aQueue('task');
  const record = fakeRecord(taskQueue, script);
  const worker = await createWorker(environment, taskQueue, record.activities, given);
  const taskId = `tsk_${randomBytes(4).toString('hex')}`;
  const start = {
    workflowId: `task/${taskId}`,
    taskQueue,
    args: [{ taskId, run: given.run ?? 1 }] as [{ taskId: string; run: number }],
  };
  const handle = await environment.client.workflow.start<typeof task>('task', start);
  if (given.signalFirst === true) await act(handle);
  return worker.runUntil(async () => {
    // An answer may come with the first task of a run; the tests but F4's are about what comes later.
    if (given.signalFirst !== true) await expect.poll(() => record.calls.length).toBeGreaterThan(0);
    const acted = given.signalFirst === true ? undefined : await act(handle);
    const result = await handle.result();
    return {
      result,
      acted,
      calls: record.calls,
      names: record.calls.map((call) => call.activity),
      taskId,
      handle,
    };
  });
}

const approve = { approvalId: 'apr_1', decision: 'approve', requestId: 'dec_1' } as const;
const reject = { ...approve, decision: 'reject' } as const;

describe('deciding', () => {
  test('an approved task in auto mode runs and ends in success', async () => {
    const { result, acted, names } = await play({ dispatchMode: 'auto' }, (handle) =>
      handle.executeUpdate(decideUpdate, { args: [approve] }),
    );
    expect(acted).toMatchObject({ accepted: true, state: 'approved' });
    expect(result).toMatchObject({ state: 'success', attempt: 1 });
    expect(names).toEqual(['claimRun', 'recordDecision', 'runAgent', 'finishAttempt']);
  });

  test('in manual mode nothing runs until somebody dispatches', async () => {
    const { result, names } = await play({}, async (handle) => {
      await handle.executeUpdate(decideUpdate, { args: [approve] });
      expect(await handle.query(taskStateQuery)).toMatchObject({
        state: 'pending',
        waitingFor: 'a dispatch',
      });
      return handle.executeUpdate(dispatchUpdate, { args: [{ requestId: 'dsp_1' }] });
    });
    expect(result.state).toBe('success');
    expect(names).toContain('runAgent');
  });

  test('a rejected task ends without running', async () => {
    const { result, names } = await play({ dispatchMode: 'auto' }, (handle) =>
      handle.executeUpdate(decideUpdate, { args: [reject] }),
    );
    expect(result.state).toBe('rejected');
    expect(names).not.toContain('runAgent');
  });

  test('nobody answers for 72 h: the task expires and never runs (F2)', async () => {
    const { result, names } = await play({ dispatchMode: 'auto', expiresInMs: 72 * 3_600_000 }, () =>
      Promise.resolve(),
    );
    expect(result.state).toBe('expired');
    expect(names).toEqual(['claimRun', 'expireApproval']);
  });

  test('a timer that is early by the database clock waits the rest', async () => {
    const { result, names } = await play({ expiresInMs: 3_600_000, clockBehindMs: 1_800_000 }, () =>
      Promise.resolve(),
    );
    expect(result.state).toBe('expired');
    expect(names).toEqual(['claimRun', 'expireApproval', 'expireApproval']);
  });

  test('an answer that is there before the run listens counts (F4)', async () => {
    const { result } = await play(
      { dispatchMode: 'auto' },
      (handle) => handle.signal(approvalSignal, approve),
      {
        signalFirst: true,
      },
    );
    expect(result.state).toBe('success');
  });

  test('a raw signal is heard, refused, and leaves the task waiting', async () => {
    const { result, names } = await play({ dispatchMode: 'auto' }, async (handle) => {
      await handle.signal(approvalSignal, {
        approvalId: 'apr_1',
        decision: 'approve',
        principalId: 'prn_operator',
      });
      await handle.executeUpdate(decideUpdate, { args: [approve] });
    });
    expect(names.filter((name) => name === 'recordDecision')).toHaveLength(2);
    expect(result.state).toBe('success');
  });

  test('a second decision after the first is refused and changes nothing (F8)', async () => {
    const { result } = await play({}, async (handle) => {
      await handle.executeUpdate(decideUpdate, { args: [approve] });
      const late = handle.executeUpdate(decideUpdate, { args: [reject] });
      await expect(late).rejects.toThrow(WorkflowUpdateFailedError);
      await handle.executeUpdate(dispatchUpdate, { args: [{ requestId: 'dsp_1' }] });
    });
    expect(result.state).toBe('success');
  });

  test('an answer to a voided approval does not open the new one (F5, F7)', async () => {
    const { result, names } = await play({ dispatchMode: 'auto', voidedOnce: true }, async (handle) => {
      await handle.executeUpdate(decideUpdate, { args: [approve] });
      await expect
        .poll(async () => (await handle.query(taskStateQuery)).approvalId, { timeout: 20_000 })
        .toBe('apr_2');
      expect(await handle.executeUpdate(decideUpdate, { args: [approve] })).toMatchObject({
        accepted: false,
      });
      expect(await handle.query(taskStateQuery)).toMatchObject({ state: 'pending-approval' });
      await handle.executeUpdate(decideUpdate, { args: [{ ...approve, approvalId: 'apr_2' }] });
      await expect
        .poll(async () => (await handle.query(taskStateQuery)).waitingFor, { timeout: 20_000 })
        .toBe('a dispatch');
      await handle.executeUpdate(dispatchUpdate, { args: [{ requestId: 'dsp_1' }] });
    });
    expect(result.state).toBe('success');
    expect(names.filter((name) => name === 'runAgent')).toHaveLength(1);
  });
});

describe('reminding and escalating', () => {
  const hour = 3_600_000;
  const nudges = (calls: Call[]) =>
    calls.flatMap(({ activity, input }) =>
      activity === 'nudgeApproval' ? [(input as { what: string }).what] : [],
    );
  const patient = { expiresInMs: 72 * hour, remindEveryMs: 24 * hour, escalateAfterMs: 48 * hour };

  test('nobody answers: people are reminded, it is escalated once, and then it expires and never runs', async () => {
    const { result, calls, names } = await play({ dispatchMode: 'auto', ...patient }, () =>
      Promise.resolve(),
    );
    expect(nudges(calls)).toEqual(['reminder', 'escalation', 'reminder']);
    expect(names.at(-1)).toBe('expireApproval');
    expect(result.state).toBe('expired');
    const keys = calls.map(({ input }) => (input as { opKey?: string }).opKey).filter(Boolean);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('an answer after the escalation counts, and no timer overwrites it', async () => {
    const { result, calls, names } = await play({ dispatchMode: 'auto', ...patient }, async (handle) => {
      await environment.sleep(50 * hour);
      await handle.executeUpdate(decideUpdate, { args: [approve] });
    });
    expect(nudges(calls)).toEqual(['reminder', 'escalation', 'reminder']);
    expect(names).not.toContain('expireApproval');
    expect(result.state).toBe('success');
  });

  test('a reminder that finds the approval settled ends the wait as it was settled', async () => {
    const { result, calls } = await play({ ...patient, settledBehindIt: 'withdrawn' }, () =>
      Promise.resolve(),
    );
    expect(nudges(calls)).toEqual(['reminder']);
    expect(result.state).toBe('cancelled');
  });

  test('a task decided at once has as many events as without reminders', async () => {
    const eventsOf = async (script: Parameters<typeof fakeRecord>[1]) => {
      const { handle } = await play({ dispatchMode: 'auto', ...script }, (started) =>
        started.executeUpdate(decideUpdate, { args: [approve] }),
      );
      return (await handle.fetchHistory()).events?.length ?? 0;
    };
    const events = await eventsOf(patient);
    expect(events).toBe(await eventsOf({}));
    expect(events).toBeLessThanOrEqual(30);
  });
});

describe('editing', () => {
  const edit = { ...approve, decision: 'edit', requestId: 'dec_edit' } as const;

  test('the run goes on waiting for the approval of the new content, and the old one opens nothing', async () => {
    const { result, acted, names } = await play({ dispatchMode: 'auto' }, async (handle) => {
      const edited = await handle.executeUpdate(decideUpdate, { args: [edit] });
      expect(await handle.executeUpdate(decideUpdate, { args: [approve] })).toMatchObject({
        accepted: false,
      });
      expect(await handle.query(taskStateQuery)).toMatchObject({
        state: 'pending-approval',
        approvalId: 'apr_edited',
      });
      await handle.executeUpdate(decideUpdate, { args: [{ ...approve, approvalId: 'apr_edited' }] });
      return edited;
    });
    expect(acted).toMatchObject({ accepted: true, state: 'void', replacement: { approvalId: 'apr_edited' } });
    expect(result).toMatchObject({ state: 'success', approvalId: 'apr_edited' });
    expect(names.filter((name) => name === 'runAgent')).toHaveLength(1);
  });

  test('a signal that edits before the run listens is heard as well', async () => {
    const { result } = await play(
      { dispatchMode: 'auto' },
      async (handle) => {
        await handle.signal(approvalSignal, edit);
        await handle.signal(approvalSignal, { ...approve, approvalId: 'apr_edited' });
      },
      { signalFirst: true },
    );
    expect(result.state).toBe('success');
  });

  test('the time to decide begins anew with the new content', async () => {
    const { calls } = await play({ expiresInMs: 2 * 3_600_000 }, async (handle) => {
      await environment.sleep(3_600_000);
      await handle.executeUpdate(decideUpdate, { args: [edit] });
    });
    const expired = calls.filter(({ activity }) => activity === 'expireApproval');
    expect(expired.map(({ input }) => (input as { approvalId: string }).approvalId)).toEqual(['apr_edited']);
  });
});

test('what a person who rejects wants to be different reaches whoever sent the decision', async () => {
  const guided = { ...reject, guidance: 'use the other port' };
  const { acted, result } = await play({}, (handle) =>
    handle.executeUpdate(decideUpdate, { args: [guided] }),
  );
  expect(acted).toMatchObject({ accepted: true, state: 'rejected', guidance: 'use the other port' });
  expect(result).toMatchObject({ state: 'rejected', guidance: 'use the other port' });
});

describe('running', () => {
  const run: Play = (handle) => handle.executeUpdate(decideUpdate, { args: [approve] });

  test('an agent that says no ends the task as failed', async () => {
    const { result } = await play(
      { dispatchMode: 'auto', agent: () => ({ ok: false, summary: 'no such service' }) },
      run,
    );
    expect(result.state).toBe('failed');
  });

  test('an agent that throws is not run a second time', async () => {
    const agent = (): never => {
      throw ApplicationFailure.retryable('it broke');
    };
    const { result, names } = await play({ dispatchMode: 'auto', agent }, run);
    expect(result.state).toBe('failed');
    expect(names.filter((name) => name === 'runAgent')).toHaveLength(1);
  });

  test('an agent that answers anything else is a failure', async () => {
    const { result } = await play({ dispatchMode: 'auto', agent: () => 'done!' }, run);
    expect(result.state).toBe('failed');
  });

  test('a retry runs at once, under the standing approval', async () => {
    const { result, names } = await play({ state: 'pending' }, () => Promise.resolve(), { run: 2 });
    expect(result.state).toBe('success');
    expect(names).toEqual(['claimRun', 'beginAttempt', 'runAgent', 'finishAttempt']);
  });

  test('a lost outcome is asked of a person, and their word ends the task', async () => {
    const agent = (): never => {
      throw outcomeUnknown();
    };
    const { result, names } = await play({ dispatchMode: 'auto', agent }, async (handle) => {
      await handle.executeUpdate(decideUpdate, { args: [approve] });
      await expect
        .poll(async () => (await handle.query(taskStateQuery)).approvalId, { timeout: 20_000 })
        .toBe('apr_outcome');
      await handle.executeUpdate(decideUpdate, { args: [{ ...approve, approvalId: 'apr_outcome' }] });
    });
    expect(result.state).toBe('success');
    expect(names.filter((name) => name === 'runAgent')).toHaveLength(1);
  });

  test('a lost outcome nobody speaks for ends as failed, never as success', async () => {
    const agent = (): never => {
      throw outcomeUnknown();
    };
    const { result } = await play({ dispatchMode: 'auto', agent }, run);
    expect(result.state).toBe('failed');
  });
});

describe('cancelling', () => {
  test('a waiting task is cancelled and never runs', async () => {
    const { result, acted, names } = await play({ dispatchMode: 'auto' }, (handle) =>
      handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'cnl_1' }] }),
    );
    expect(acted).toEqual({ accepted: true, state: 'cancelled' });
    expect(result.state).toBe('cancelled');
    expect(names).not.toContain('runAgent');
  });

  test('a cancel request that is on nobody’s record is refused', async () => {
    const { result } = await play({ dispatchMode: 'auto' }, async (handle) => {
      expect(await handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'forged' }] })).toMatchObject({
        accepted: false,
        refused: 'FORBIDDEN',
      });
      await handle.executeUpdate(decideUpdate, { args: [approve] });
    });
    expect(result.state).toBe('success');
  });

  test('a run cancelled in Temporal itself leaves a cancelled task behind', async () => {
    const taskQueue = aQueue('task');
    const record = fakeRecord(taskQueue, {});
    const worker = await createWorker(environment, taskQueue, record.activities);
    const handle = await environment.client.workflow.start<typeof task>('task', {
      workflowId: `task/${taskQueue}`,
      taskQueue,
      args: [{ taskId: taskQueue, run: 1 }],
    });
    await worker.runUntil(async () => {
      await expect.poll(() => record.calls.length, { timeout: 20_000 }).toBeGreaterThan(0);
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
    });
    expect(record.calls.at(-1)).toMatchObject({ activity: 'cancelTask', input: { actor: 'temporal' } });
  });
});

describe('what replay cannot see', () => {
  test('activity inputs of an approved task are the golden ones', async () => {
    const { calls, taskId, handle } = await play({ dispatchMode: 'auto' }, (started) =>
      started.executeUpdate(decideUpdate, { args: [approve], updateId: 'dec_1' }),
    );
    const { runId = '' } = await handle.describe();
    await expect(normalised(calls, { [taskId]: 'TASK', [runId]: 'RUN' })).toMatchFileSnapshot(
      'golden/task.approve.json',
    );
  });

  test('a run that replays its whole history at every step ends the same', async () => {
    const { result } = await play(
      { dispatchMode: 'auto' },
      (handle) => handle.executeUpdate(decideUpdate, { args: [approve] }),
      { replayAlways: true },
    );
    expect(result.state).toBe('success');
  });
});

function normalised(calls: Call[], names: Record<string, string>): string {
  let text = JSON.stringify(calls, null, 2);
  for (const [from, to] of Object.entries(names)) text = text.replaceAll(from, to);
  return `${text}\n`;
}
