import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Check } from '../../domain/analyzers/check.ts';
import type { AnalyzerName, Issue } from '../../domain/analyzers/issue.ts';
import { emptyHaloLoop, type HaloTrigger } from '../../domain/halo-loop.ts';
import type { CyclePlan } from '../../activities/halo.ts';
import type { haloCycle, haloLoop } from '../../workflows/index.ts';
import {
  haloPauseUpdate,
  haloRequestUpdate,
  haloStateQuery,
  haloTriggerSignal,
} from '../../workflows/messages.ts';
import { anIssue, fakeHalo } from '../support/halo-record.ts';
import { fakeRecord, type Call } from '../support/task-record.ts';
import { skippingTime } from '../support/temporal.ts';
import { aQueue, createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await skippingTime();
});

const trigger: HaloTrigger = {
  name: 'event',
  urgent: false,
  mode: 'full',
  requestedBy: null,
  eventIds: ['evt_1'],
};
const urgent: HaloTrigger = { ...trigger, urgent: true };
const hourMs = 3_600_000;

const asked = (paused: boolean, requestId: string) => ({ paused, principalId: 'prn_operator', requestId });

function cyclesOf(calls: Call[]): string[] {
  return calls
    .filter((call) => call.activity === 'beginCycle')
    .map((call) => (call.input as { cycleId: string }).cycleId);
}

/** Runs the loop against fake activities until `act` is done, then ends it. */
async function playLoop(
  script: Parameters<typeof fakeHalo>[0],
  act: (handle: WorkflowHandle<typeof haloLoop>, calls: Call[]) => Promise<void>,
) {
  const taskQueue = aQueue('halo');
  const halo = fakeHalo(script);
  const activities = { ...halo.activities, ...fakeRecord(taskQueue).activities };
  const worker = await createWorker(environment, taskQueue, activities);
  await worker.runUntil(async () => {
    const handle = await environment.client.workflow.start<typeof haloLoop>('haloLoop', {
      workflowId: `halo-${taskQueue}`,
      taskQueue,
      args: [{ state: emptyHaloLoop() }],
    });
    await act(handle, halo.calls);
    await handle.terminate('the test is over');
  });
  return halo.calls;
}

async function settled(handle: WorkflowHandle<typeof haloLoop>, cycles: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const state = await handle.query(haloStateQuery);
        return state.cycles === cycles && state.runningCycleId === null;
      },
      { timeout: 30_000 },
    )
    .toBe(true);
}

const failing = (analyzer: AnalyzerName, given: Partial<Issue> = {}): Issue[] =>
  analyzer === 'endpoint-health' ? [anIssue(given)] : [];

/** What each cycle proposed, by target. */
function proposedBy(calls: Call[]): string[][] {
  return calls
    .filter((call) => call.activity === 'proposeTasks')
    .map((call) => (call.input as CyclePlan).proposals.map(({ target }) => target));
}

describe('a fresh finding', () => {
  const settleMs = 10 * 60_000;

  test('is proposed for once it has settled, and nothing but HALO itself has to look again', async () => {
    const sinceMs = await environment.currentTimeMs();
    const find = (analyzer: AnalyzerName) => failing(analyzer, { sinceMs });
    const calls = await playLoop({ limits: { settleMs }, find, folds: true }, async (handle) => {
      await handle.signal(haloTriggerSignal, urgent);
      await settled(handle, 1);
      await environment.sleep(settleMs);
      await settled(handle, 2);
      await environment.sleep(hourMs);
      await settled(handle, 2);
    });
    expect(proposedBy(calls)).toEqual([[], ['probe:prb_1']]);
    const [first] = calls.filter((call) => call.activity === 'proposeTasks');
    expect((first?.input as CyclePlan).unripe).toMatchObject([{ target: 'probe:prb_1' }]);
  });

  test('is proposed for at once when a person asks', async () => {
    const sinceMs = (await environment.currentTimeMs()) + hourMs;
    const find = (analyzer: AnalyzerName) => failing(analyzer, { sinceMs });
    const calls = await playLoop({ limits: { settleMs }, find, folds: true }, async (handle) => {
      await handle.executeUpdate(haloRequestUpdate, {
        args: [{ mode: 'full', requestedBy: 'prn_operator' }],
      });
      await settled(handle, 1);
    });
    expect(proposedBy(calls)).toEqual([['probe:prb_1']]);
  });

  test('is looked at again after a pause, not in it', async () => {
    const sinceMs = await environment.currentTimeMs();
    const find = (analyzer: AnalyzerName) => failing(analyzer, { sinceMs });
    await playLoop({ limits: { settleMs }, find, folds: true }, async (handle) => {
      await handle.signal(haloTriggerSignal, urgent);
      await settled(handle, 1);
      await handle.executeUpdate(haloPauseUpdate, { args: [asked(true, 'dec_1')] });
      await environment.sleep(2 * settleMs);
      await settled(handle, 1);
      await handle.executeUpdate(haloPauseUpdate, { args: [asked(false, 'dec_2')] });
      await environment.sleep(60_000);
      await settled(handle, 2);
    });
  });
});

describe('when HALO looks', () => {
  test('a storm of triggers becomes one cycle', async () => {
    const calls = await playLoop({}, async (handle) => {
      for (let count = 0; count < 40; count += 1) await handle.signal(haloTriggerSignal, trigger);
      await environment.sleep(31_000);
      await settled(handle, 1);
      await environment.sleep(hourMs);
      await settled(handle, 1);
    });
    expect(cyclesOf(calls)).toHaveLength(1);
  });

  test('a critical event does not wait for the error window', async () => {
    await playLoop({ limits: { errorWindowMs: 24 * hourMs } }, async (handle) => {
      await handle.signal(haloTriggerSignal, trigger);
      expect((await handle.query(haloStateQuery)).cycles).toBe(0);
      await handle.signal(haloTriggerSignal, urgent);
      await settled(handle, 1);
    });
  });

  test('the next cycle waits for the cooldown, and its trigger is not lost (trap D10)', async () => {
    await playLoop({ limits: { cooldownMs: hourMs } }, async (handle) => {
      await handle.signal(haloTriggerSignal, urgent);
      await settled(handle, 1);
      await handle.signal(haloTriggerSignal, urgent);
      expect((await handle.query(haloStateQuery)).pending).not.toBeNull();
      await environment.sleep(hourMs + 1_000);
      await settled(handle, 2);
    });
  });

  test('a person does not wait for the cooldown', async () => {
    await playLoop({ limits: { cooldownMs: 24 * hourMs } }, async (handle) => {
      await handle.signal(haloTriggerSignal, urgent);
      await settled(handle, 1);
      const request = { mode: 'light', requestedBy: 'prn_operator' } as const;
      const { cycleId } = await handle.executeUpdate(haloRequestUpdate, { args: [request] });
      expect(cycleId).toMatch(/^cyc_/);
      await settled(handle, 2);
    });
  });

  test('the hourly budget holds for everyone, and the cycle runs when it has room again', async () => {
    await playLoop({ limits: { cooldownMs: 0, cyclesPerHour: 2 } }, async (handle) => {
      for (let cycle = 1; cycle <= 2; cycle += 1) {
        await handle.signal(haloTriggerSignal, urgent);
        await settled(handle, cycle);
      }
      await handle.executeUpdate(haloRequestUpdate, {
        args: [{ mode: 'full', requestedBy: 'prn_operator' }],
      });
      expect((await handle.query(haloStateQuery)).cycles).toBe(2);
      await environment.sleep(hourMs + 1_000);
      await settled(handle, 3);
    });
  });

  test('a pause or a resume that nobody asked the record for changes nothing', async () => {
    await playLoop({}, async (handle, calls) => {
      const forged = [asked(true, 'made-up'), { paused: true, principalId: 'prn_admin' }];
      for (const args of forged)
        expect(await handle.executeUpdate(haloPauseUpdate, { args: [args] })).toMatchObject({
          refused: 'FORBIDDEN',
        });
      expect((await handle.query(haloStateQuery)).paused).toBe(false);
      await handle.executeUpdate(haloPauseUpdate, { args: [asked(true, 'dec_1')] });
      await handle.signal(haloTriggerSignal, urgent);
      const resumed = await handle.executeUpdate(haloPauseUpdate, { args: [asked(false, 'made-up')] });
      expect(resumed).toMatchObject({ refused: 'FORBIDDEN' });
      await environment.sleep(hourMs);
      expect((await handle.query(haloStateQuery)).paused).toBe(true);
      expect(cyclesOf(calls)).toEqual([]);
    });
  });

  test('a paused loop remembers triggers and runs them after the resume', async () => {
    await playLoop({}, async (handle, calls) => {
      await handle.executeUpdate(haloPauseUpdate, { args: [asked(true, 'dec_1')] });
      await expect(handle.executeUpdate(haloPauseUpdate, { args: [asked(true, 'dec_2')] })).rejects.toThrow();
      await handle.signal(haloTriggerSignal, urgent);
      await environment.sleep(hourMs);
      expect(cyclesOf(calls)).toEqual([]);
      await handle.executeUpdate(haloPauseUpdate, { args: [asked(false, 'dec_3')] });
      await settled(handle, 1);
    });
  });
});

const fails = (message: string) => () => Promise.reject(ApplicationFailure.nonRetryable(message));

async function playCycle(
  find: (analyzer: AnalyzerName) => Issue[],
  mode: 'full' | 'light' = 'full',
  later: (taskQueue: string) => Promise<unknown> = () => Promise.resolve(),
  broken: Partial<ReturnType<typeof fakeHalo>['activities']> = {},
  checks: Partial<Record<AnalyzerName, Check[]>> = {},
) {
  const taskQueue = aQueue('cycle');
  const halo = fakeHalo({ find, checks });
  const activities = { ...halo.activities, ...fakeRecord(taskQueue).activities, ...broken };
  const worker = await createWorker(environment, taskQueue, activities);
  return worker.runUntil(async () => {
    const result = await environment.client.workflow.execute<typeof haloCycle>('haloCycle', {
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
    const after = await later(taskQueue);
    return { result, after, calls: halo.calls, taskQueue };
  });
}

describe('a cycle', () => {
  test('a weak point becomes a task that waits, and the task outlives the cycle', async () => {
    // The server's clock skips ahead: nobody decides, so the task waits out its time after the cycle has ended.
    const { result, after } = await playCycle(
      (analyzer) => (analyzer === 'endpoint-health' ? [anIssue()] : []),
      'full',
      (cycle) => environment.client.workflow.getHandle(`task/tsk_${cycle}_0`).result(),
    );
    expect(result).toMatchObject({ step: 'completed', weakPoints: 1, proposals: 1 });
    expect(after).toMatchObject({ state: 'expired' });
  });

  test('what cannot be learned or superseded is said, and the tasks are proposed all the same', async () => {
    const { result, calls } = await playCycle(failing, 'full', undefined, {
      readLessons: fails('no links'),
      supersedeProposals: fails('no waiting ones'),
      judgeRepairs: fails('no repairs'),
    });
    expect(result).toMatchObject({ step: 'completed', proposals: 1 });
    const said = calls.filter((call) => call.activity === 'recordLearningError').map((call) => call.input);
    expect(said).toMatchObject([
      { step: 'lessons', message: 'lessons: no links' },
      { step: 'supersede', message: 'supersede: no waiting ones' },
      { step: 'judgeRepairs', message: 'judgeRepairs: no repairs' },
    ]);
    expect(calls.some((call) => call.activity === 'computeInsights')).toBe(true);
  });

  test('a broken analyzer is a finding and does not fail the cycle', async () => {
    const { result, calls } = await playCycle((analyzer) => {
      if (analyzer === 'agent-health') throw new Error('no such table');
      return failing(analyzer);
    }, 'light');
    expect(result).toMatchObject({ step: 'completed', weakPoints: 2, proposals: 0 });
    const recorded = calls.find((call) => call.activity === 'recordIssues')?.input as { issues: Issue[] };
    expect(recorded.issues.map((issue) => issue.key).sort()).toEqual(['analyzer-failed', 'prb_1']);
  });

  test('how the checks of the patrol stood is kept on the cycle', async () => {
    const checks: Check[] = [{ name: 'dns', state: 'green', said: 'all as it should be', watches: ['shop'] }];
    const { calls } = await playCycle(() => [], 'full', undefined, undefined, { 'swarm-patrol': checks });
    const recorded = calls.find((call) => call.activity === 'recordIssues')?.input as { analyses: unknown[] };
    expect(recorded.analyses).toContainEqual({
      ...{ analyzer: 'swarm-patrol', state: 'done', tookMs: 1, issues: 0 },
      checks,
    });
    expect(recorded.analyses).toContainEqual({
      ...{ analyzer: 'environment', state: 'done', tookMs: 1, issues: 0 },
    });
  });

  test('a light cycle proposes nothing', async () => {
    const { calls } = await playCycle(() => [anIssue()], 'light');
    const proposed = calls.find((call) => call.activity === 'proposeTasks')?.input as {
      proposals: unknown[];
    };
    expect(proposed.proposals).toEqual([]);
  });

  test('activity inputs of a cycle are the golden ones', async () => {
    const { calls, taskQueue } = await playCycle((analyzer) =>
      analyzer === 'endpoint-health' ? [anIssue()] : [],
    );
    // The analyzers run side by side: their order is nobody's promise.
    const analyzed = calls.filter((call) => call.activity === 'examine');
    const ordered = [
      ...analyzed.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      ...calls.filter((call) => call.activity !== 'examine'),
    ];
    const text = JSON.stringify(ordered, null, 2)
      .replaceAll(taskQueue, 'CYCLE')
      .replace(/"runId": "[^"]+"/, '"runId": "RUN"');
    await expect(`${text}\n`).toMatchFileSnapshot('golden/halo-cycle.proposes.json');
  });
});
