import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import type { AnalyzerName, Issue } from '../../domain/analyzers/issue.ts';
import { taskQueues } from '../../domain/names.ts';
import { emptyHaloLoop, type HaloLimits, type HaloTrigger, triggerOf } from '../../domain/halo-loop.ts';
import { refuse } from '../../domain/refusal.ts';
import { silentLog } from '../../stack/log.ts';
import { startTemporal } from '../../stack/temporal.ts';
import { readToolchain } from '../../stack/toolchain.ts';
import {
  approvalSignal,
  cancelUpdate,
  decideUpdate,
  dispatchUpdate,
  type HaloPauseRequest,
  haloPauseUpdate,
  haloRequestUpdate,
  haloTriggerSignal,
  holdSignal,
  pauseSignal,
  redriveCancelledSignal,
  releaseSignal,
  resumeSignal,
  rewindSignal,
  supersededSignal,
  type TaskRunState,
} from '../../workflows/messages.ts';
import { anIssue, fakeHalo } from '../support/halo-record.ts';
import { fakeRedrive } from '../support/redrive-record.ts';
import { fakeReplay } from '../support/replay-record.ts';
import { fakeRecord, outcomeUnknown } from '../support/task-record.ts';
import { aQueue, createWorker } from '../support/worker.ts';

/*
 * `npm run record-history` records each scenario that has no history yet, on a real server; with names it records a new
 * version of those (`npm run record-history -- task.approve`). Histories are recorded, never edited: an old one stays as
 * long as runs of that age may be alive.
 */
const folder = join(import.meta.dirname, 'histories');
const approve = { approvalId: 'apr_1', decision: 'approve', requestId: 'dec_1' } as const;

type Scenario = {
  activities: (taskQueue: string) => Record<string, (input: never) => unknown>;
  args: unknown[];
  act?: (handle: WorkflowHandle) => Promise<unknown>;
  /** For runs that never end by themselves: record the history as it is, then terminate. */
  endless?: boolean;
  /** For runs that end as failed. */
  fails?: boolean;
};

function taskScenario(script: Parameters<typeof fakeRecord>[1], act: Scenario['act'], run = 1): Scenario {
  return {
    activities: (taskQueue) => fakeRecord(taskQueue, script).activities,
    args: [{ taskId: 'tsk_recorded', run }],
    ...(act === undefined ? {} : { act }),
  };
}

/** Of a replay that continues as new, the first run is recorded. */
function replayScenario(script: Parameters<typeof fakeReplay>[0], act?: Scenario['act']): Scenario {
  return {
    activities: () => fakeReplay(script).activities,
    args: [{ replayId: 'rpl_recorded', looks: 0 }],
    ...(act === undefined ? {} : { act }),
  };
}

let recordedFrom = 0;

function loopScenario(limits: Partial<HaloLimits>, act: Scenario['act'], find = found): Scenario {
  return {
    activities: (taskQueue) => ({
      ...fakeHalo({ find, limits }).activities,
      ...fakeRecord(taskQueue).activities,
    }),
    args: [{ state: emptyHaloLoop() }],
    ...(act === undefined ? {} : { act }),
    endless: true,
  };
}

function cycleScenario(
  find: (analyzer: AnalyzerName) => Issue[],
  broken: Partial<ReturnType<typeof fakeHalo>['activities']> = {},
  settleMs = 0,
): Scenario {
  return {
    activities: (taskQueue) => ({
      ...fakeHalo({ find }).activities,
      ...fakeRecord(taskQueue).activities,
      ...broken,
    }),
    args: [
      {
        cycleId: 'cyc_recorded',
        mode: 'full',
        trigger: { manual: 0, event: 1, eventIds: ['evt_1'] },
        requestedBy: null,
        settleMs,
      },
    ],
  };
}

async function waitUntil(handle: WorkflowHandle, isSo: (state: TaskRunState) => boolean): Promise<void> {
  while (!isSo(await handle.query<TaskRunState>('taskState'))) await sleep(50);
}

function waitFor(handle: WorkflowHandle, approvalId: string): Promise<void> {
  return waitUntil(handle, (state) => state.approvalId === approvalId);
}

/** An approved task waits; it is told once in vain, and then in time. */
function waitingScenario(because: string): Scenario {
  return taskScenario({ dispatchMode: 'auto', waits: [because, `${because}, still`] }, async (handle) => {
    await handle.executeUpdate(decideUpdate, { args: [approve] });
    await waitUntil(handle, ({ waitingFor }) => waitingFor === because);
    await handle.signal(releaseSignal);
    await waitUntil(handle, ({ waitingFor }) => waitingFor.endsWith('still'));
    await handle.signal(releaseSignal);
  });
}

/** A kill switch ends an attempt under way: the first `hold` is forged, the second is not. */
function stoppedScenario(): Scenario {
  let isEngaged = false;
  const agent = async (): Promise<unknown> => {
    const context = Context.current();
    const beat = setInterval(() => context.heartbeat(), 100);
    return context.cancelled.finally(() => clearInterval(beat));
  };
  const stop = () => (isEngaged ? 'stopped by the kill switch (all, engaged by olga: fire)' : null);
  return taskScenario({ dispatchMode: 'auto', agent, stop }, async (handle) => {
    await handle.executeUpdate(decideUpdate, { args: [approve] });
    await waitUntil(handle, ({ state }) => state === 'running');
    await handle.signal(holdSignal);
    await sleep(1_000);
    isEngaged = true;
    await handle.signal(holdSignal);
  });
}

/** HALO withdraws a proposal that waits: the first signal is forged, the second is not. */
function supersededScenario(): Scenario {
  let isSuperseded = false;
  return taskScenario({ withdraws: () => isSuperseded }, async (handle) => {
    await handle.signal(supersededSignal);
    await sleep(1_000);
    isSuperseded = true;
    await handle.signal(supersededSignal);
  });
}

/** A person cancels a redrive between two releases; the signal before that is forged. */
function cancelledRedrive(): Scenario {
  const record = fakeRedrive({ total: 100, canary: false, perMinute: 6 });
  return {
    activities: () => record.activities,
    args: [{ redriveId: 'rdr_1' }],
    act: async (handle) => {
      while (record.progress().waiting === 100) await sleep(50);
      await handle.signal(redriveCancelledSignal);
      await sleep(1_000);
      record.cancel();
      await handle.signal(redriveCancelledSignal);
    },
  };
}

function redriveScenario(script: Parameters<typeof fakeRedrive>[0]): Scenario {
  return { activities: () => fakeRedrive(script).activities, args: [{ redriveId: 'rdr_1' }] };
}

const found = (analyzer: AnalyzerName): Issue[] => (analyzer === 'endpoint-health' ? [anIssue()] : []);

const scenarios: Record<string, Scenario> = {
  'task.approve': taskScenario({ dispatchMode: 'auto' }, (handle) =>
    handle.executeUpdate(decideUpdate, { args: [approve] }),
  ),
  'task.reject': taskScenario({}, (handle) =>
    handle.executeUpdate(decideUpdate, { args: [{ ...approve, decision: 'reject' }] }),
  ),
  'task.not-before': waitingScenario('its time: not before 2026-12-01T00:00:00.000Z'),
  'task.dependencies': waitingScenario('what it depends on to succeed: tsk_1 (running)'),
  'task.place': waitingScenario('a place at agent keeper, which runs 1 of at most 1 tasks'),
  'task.dependency-fails': taskScenario(
    {
      dispatchMode: 'auto',
      waits: ['what it depends on to succeed: tsk_1 (running)', 'a person: tsk_1 (failed)'],
    },
    async (handle) => {
      await handle.executeUpdate(decideUpdate, { args: [approve] });
      await waitUntil(handle, ({ waitingFor }) => waitingFor.includes('(running)'));
      await handle.signal(releaseSignal);
      await waitUntil(handle, ({ waitingFor }) => waitingFor.includes('a person'));
      await handle.executeUpdate(dispatchUpdate, { args: [{ requestId: 'dsp_1' }] });
    },
  ),
  'task.expire': taskScenario({ expiresInMs: 500, clockBehindMs: 300 }, undefined),
  'task.retry': taskScenario({ state: 'pending' }, undefined, 2),
  'task.signal': taskScenario({}, async (handle) => {
    await handle.signal(approvalSignal, { approvalId: 'apr_1', decision: 'approve', principalId: 'prn_x' });
    await handle.signal(approvalSignal, approve);
    await handle.executeUpdate(dispatchUpdate, { args: [{ requestId: 'dsp_1' }] });
  }),
  'task.cancel': taskScenario({}, (handle) =>
    handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'cnl_1' }] }),
  ),
  'task.superseded': supersededScenario(),
  'task.race': taskScenario({ dispatchMode: 'auto' }, (handle) =>
    Promise.allSettled([
      handle.executeUpdate(decideUpdate, { args: [approve] }),
      handle.executeUpdate(decideUpdate, { args: [{ ...approve, decision: 'reject' }] }),
      handle.executeUpdate(decideUpdate, { args: [approve] }),
      handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'forged' }] }),
    ]),
  ),
  'task.voided': taskScenario({ dispatchMode: 'auto', voidedOnce: true }, async (handle) => {
    await handle.executeUpdate(decideUpdate, { args: [approve] });
    await waitFor(handle, 'apr_2');
    await handle.executeUpdate(decideUpdate, { args: [{ ...approve, approvalId: 'apr_2' }] });
    await handle.executeUpdate(dispatchUpdate, { args: [{ requestId: 'dsp_1' }] });
  }),
  'task.outcome-unknown': taskScenario(
    {
      dispatchMode: 'auto',
      agent: () => {
        throw outcomeUnknown();
      },
    },
    async (handle) => {
      await handle.executeUpdate(decideUpdate, { args: [approve] });
      await waitFor(handle, 'apr_outcome');
      await handle.executeUpdate(decideUpdate, { args: [{ ...approve, approvalId: 'apr_outcome' }] });
    },
  ),
  'task.edit': taskScenario({ dispatchMode: 'auto' }, async (handle) => {
    await handle.executeUpdate(decideUpdate, { args: [{ ...approve, decision: 'edit' }] });
    await waitFor(handle, 'apr_edited');
    await handle.executeUpdate(decideUpdate, { args: [approve] });
    await handle.executeUpdate(decideUpdate, { args: [{ ...approve, approvalId: 'apr_edited' }] });
  }),
  'task.remind': taskScenario(
    { dispatchMode: 'auto', expiresInMs: 30_000, remindEveryMs: 1_500, escalateAfterMs: 2_000 },
    async (handle) => {
      await sleep(4_000);
      await handle.executeUpdate(decideUpdate, { args: [approve] });
    },
  ),
  'task.remind-expire': taskScenario(
    { expiresInMs: 1_200, remindEveryMs: 400, escalateAfterMs: 800 },
    undefined,
  ),
  'task.guidance': taskScenario({}, (handle) =>
    handle.executeUpdate(decideUpdate, {
      args: [{ ...approve, decision: 'reject', guidance: 'use the other port' }],
    }),
  ),
  'task.parked': taskScenario({ dispatchMode: 'auto', parked: 2 }, async (handle) => {
    await handle.executeUpdate(decideUpdate, { args: [approve] });
    await waitUntil(handle, ({ waitingFor }) => waitingFor.startsWith('a release'));
    // The first comes before its turn.
    await handle.signal(releaseSignal);
    await sleep(1_000);
    await handle.signal(releaseSignal);
  }),
  'task.stopped': stoppedScenario(),
  'haloLoop.trigger': {
    activities: (taskQueue) => ({
      ...fakeHalo({ find: found, limits: { errorWindowMs: 200, cooldownMs: 200 } }).activities,
      ...fakeRecord(taskQueue).activities,
    }),
    args: [{ state: emptyHaloLoop() }],
    act: async (handle) => {
      const trigger = {
        name: 'event',
        urgent: false,
        mode: 'full',
        requestedBy: null,
        eventIds: ['evt_1'],
      } as const;
      await handle.signal(haloTriggerSignal, { ...trigger, eventIds: ['evt_1'] });
      await handle.signal(haloTriggerSignal, { ...trigger, urgent: true, eventIds: ['evt_2'] });
      await handle.executeUpdate(haloPauseUpdate, { args: [{ paused: true, principalId: 'prn_operator' }] });
      await handle.executeUpdate(haloRequestUpdate, {
        args: [{ mode: 'light', requestedBy: 'prn_operator' }],
      });
      await handle.executeUpdate(haloPauseUpdate, { args: [{ paused: false, principalId: 'prn_operator' }] });
      await sleep(3_000);
    },
    endless: true,
  },
  'haloLoop.pause': {
    activities: (taskQueue) => ({
      ...fakeHalo({ find: found, limits: { errorWindowMs: 1_000, cooldownMs: 200 } }).activities,
      ...fakeRecord(taskQueue).activities,
    }),
    args: [{ state: emptyHaloLoop() }],
    act: async (handle) => {
      const pause = (paused: boolean, requestId?: string) => {
        const said = { paused, principalId: 'prn_operator' };
        const args: [HaloPauseRequest] = [requestId === undefined ? said : { ...said, requestId }];
        return handle.executeUpdate(haloPauseUpdate, { args });
      };
      const trigger = { name: 'event', urgent: false, mode: 'full', requestedBy: null, eventIds: ['evt_1'] };
      await handle.signal(haloTriggerSignal, trigger as HaloTrigger);
      await pause(true, 'made-up');
      await pause(true);
      await pause(true, 'dec_1');
      await pause(false, 'made-up');
      await pause(false, 'dec_2');
      await sleep(2_500);
    },
    endless: true,
  },
  'haloLoop.time': loopScenario({ errorWindowMs: 200, cooldownMs: 200 }, async (handle) => {
    await handle.signal(haloTriggerSignal, triggerOf('requests'));
    await handle.signal(haloTriggerSignal, triggerOf('time'));
    await sleep(2_000);
    await handle.signal(haloTriggerSignal, triggerOf('deploy', { eventIds: ['evt_1'] }));
    await sleep(2_000);
  }),
  'haloLoop.budget-spent': loopScenario({ cooldownMs: 0, cyclesPerHour: 1 }, async (handle) => {
    await handle.signal(haloTriggerSignal, triggerOf('event', { urgent: true }));
    await sleep(2_000);
    await handle.signal(haloTriggerSignal, triggerOf('errors'));
    const args: [{ mode: 'full'; requestedBy: string }] = [{ mode: 'full', requestedBy: 'prn_operator' }];
    await handle.executeUpdate(haloRequestUpdate, { args });
    await sleep(1_000);
  }),
  'haloLoop.paused': loopScenario({ errorWindowMs: 200, cooldownMs: 200 }, async (handle) => {
    const said = { principalId: 'prn_operator' };
    await handle.executeUpdate(haloPauseUpdate, { args: [{ ...said, paused: true, requestId: 'dec_1' }] });
    for (const name of ['time', 'errors', 'deploy', 'event'] as const)
      await handle.signal(haloTriggerSignal, triggerOf(name));
    await sleep(1_000);
    await handle.executeUpdate(haloPauseUpdate, { args: [{ ...said, paused: false, requestId: 'dec_2' }] });
    await sleep(2_500);
  }),
  // The thousandth message ends the run.
  'haloLoop.continues': loopScenario({ errorWindowMs: 3_600_000 }, async (handle) => {
    const args: [HaloPauseRequest] = [{ paused: true, principalId: 'prn_operator', requestId: 'dec_1' }];
    await handle.executeUpdate(haloPauseUpdate, { args });
    for (let sent = 0; sent < 1_000; sent += 50)
      await Promise.all(
        Array.from({ length: 50 }, () => handle.signal(haloTriggerSignal, triggerOf('errors'))),
      );
    await sleep(2_000);
  }),
  // Its second cycle is one that nobody but the loop itself asked for.
  'haloLoop.settled': loopScenario(
    { errorWindowMs: 0, cooldownMs: 0, settleMs: 2_000 },
    async (handle) => {
      recordedFrom = Date.now();
      await handle.signal(haloTriggerSignal, triggerOf('event'));
      await sleep(6_000);
    },
    (analyzer) => found(analyzer).map((issue) => ({ ...issue, sinceMs: recordedFrom })),
  ),
  haloTimer: { activities: () => ({ triggerByTime: () => undefined }), args: [] },
  'haloCycle.no-issues': cycleScenario(() => []),
  'haloCycle.settles': cycleScenario(
    (analyzer) => found(analyzer).map((issue) => ({ ...issue, sinceMs: Date.now() })),
    {},
    3_600_000,
  ),
  'haloCycle.learning-fails': cycleScenario(found, {
    readLessons: () => Promise.reject(ApplicationFailure.nonRetryable('no links')),
    computeInsights: () => Promise.reject(ApplicationFailure.nonRetryable('no traits')),
  }),
  'haloCycle.proposes': {
    activities: (taskQueue) => ({
      ...fakeHalo({ find: found }).activities,
      ...fakeRecord(taskQueue).activities,
    }),
    args: [
      {
        cycleId: 'cyc_recorded',
        mode: 'full',
        trigger: { manual: 0, event: 1, eventIds: ['evt_1'] },
        requestedBy: null,
      },
    ],
  },
  // One of the two runs is gone.
  'haloCycle.supersedes': {
    activities: (taskQueue) => ({
      ...fakeHalo({
        find: found,
        supersedes: () => [
          { taskId: 'tsk_gone', workflowId: 'task/tsk_gone' },
          { taskId: 'tsk_cyc_supersedes_0', workflowId: 'task/tsk_cyc_supersedes_0' },
        ],
      }).activities,
      ...fakeRecord(taskQueue).activities,
    }),
    args: [
      {
        cycleId: 'cyc_supersedes',
        mode: 'full',
        trigger: { manual: 0, event: 1, eventIds: ['evt_1'] },
        requestedBy: null,
      },
    ],
  },
  'haloCycle.analyzer-fails': {
    activities: () => {
      const halo = fakeHalo({
        find: () => {
          throw new Error('the database is gone');
        },
      });
      return halo.activities;
    },
    args: [
      {
        cycleId: 'cyc_light',
        mode: 'light',
        trigger: { manual: 1, event: 0, eventIds: [] },
        requestedBy: 'prn_operator',
      },
    ],
  },
  'probeRun.failed': {
    activities: () => ({ runProbe: () => ({ ok: false, eventId: 'evt_1', failures: ['status 503'] }) }),
    args: [{ probeId: 'prb_1' }],
  },
  'notification.sent': {
    activities: () => ({ deliverNotification: () => ({ state: 'sent' }), failNotification: () => undefined }),
    args: [{ notificationId: 'ntf_1' }],
  },
  'notification.failed': {
    activities: () => {
      const deliverNotification = (): never => {
        throw ApplicationFailure.nonRetryable('the key that sealed this secret is gone', 'CONFLICT');
      };
      return { deliverNotification, failNotification: () => undefined };
    },
    args: [{ notificationId: 'ntf_1' }],
  },
  'redrive.done': redriveScenario({ total: 40, perMinute: 6_000, looks: 2 }),
  'redrive.canary-fails': redriveScenario({ total: 40, looks: 2, ends: () => 'failed' }),
  'redrive.too-many-fail': redriveScenario({
    ...{ total: 1_000, perMinute: 600 },
    ends: (place) => (place % 2 === 1 ? 'failed' : 'completed'),
  }),
  'redrive.cancelled': cancelledRedrive(),
  auditAnchor: {
    activities: () => ({ anchorAudit: () => ({ anchored: 7, written: 1 }) }),
    args: [],
  },
  'retention.removed': {
    activities: () => ({
      dropOldMonths: () => [{ name: 'events_2026_01', events: 7 }],
      deleteOldEvents: () => 5,
      forgetOldKeys: () => 12,
      recordRetention: () => undefined,
    }),
    args: [],
  },
  'retention.step-fails': {
    activities: () => ({
      dropOldMonths: (): never => {
        throw ApplicationFailure.nonRetryable('the log is locked');
      },
      deleteOldEvents: () => 5,
      forgetOldKeys: () => 0,
      recordRetention: () => undefined,
    }),
    args: [],
    act: (handle) => handle.result().catch(() => undefined),
    fails: true,
  },
  'replay.done': replayScenario({ pages: 2, behind: 1, looks: 1 }),
  'replay.pages': replayScenario({ pages: 60 }),
  'replay.failed': replayScenario({ pages: 9, failsAfter: 2, underWay: 1 }),
  'replay.cancelled': replayScenario({ looks: Infinity, underWay: 1 }, async (handle) => {
    await sleep(500);
    await handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'forged' }] });
    await handle.executeUpdate(cancelUpdate, { args: [{ requestId: 'dec_1' }] });
  }),
  'subscription.switched-off': {
    activities: () => {
      let turns = 0;
      return {
        consumeEvents: () => ({ ended: (turns += 1) < 3 ? 'turn-over' : 'switched-off', delivered: turns }),
      };
    },
    args: [{ key: 'halo' }],
  },
};

/** A record of one subscription in memory: what its run is told, and how its consumers' turns end. */
function subscriptionScenario(script: {
  looks: { status: string; consumers: number }[];
  turns: string[];
  accepts?: (requestId: string) => boolean;
  act?: Scenario['act'];
}): Scenario {
  return {
    activities: () => {
      const looks = [...script.looks];
      const turns = [...script.turns];
      return {
        readSubscription: () => looks.shift() ?? { status: 'switched-off', consumers: 1 },
        consumeEvents: async () => {
          await sleep(300);
          return { ended: turns.shift() ?? 'switched-off', delivered: 3, failed: 1 };
        },
        applySubscriptionRequest: ({ requestId }: { requestId: string }) =>
          script.accepts?.(requestId) === true
            ? { accepted: true }
            : { accepted: false, ...refuse('FORBIDDEN', 'There is no recorded request.') },
      };
    },
    args: [{ key: 'halo' }],
    ...(script.act === undefined ? {} : { act: script.act }),
  };
}

const running = (consumers = 1) => ({ status: 'running', consumers });
const paused = { status: 'paused', consumers: 1 };

Object.assign(scenarios, {
  'subscription.lanes': subscriptionScenario({
    looks: [running()],
    turns: ['turn-over', 'taken-over', 'turn-over'],
  }),
  'subscription.paused': subscriptionScenario({
    looks: [running(), paused, running()],
    turns: ['paused', 'turn-over'],
    accepts: () => true,
    act: async (handle) => {
      await handle.signal(pauseSignal, { requestId: 'dec_1' });
      await sleep(1_500);
      await handle.signal(resumeSignal, { requestId: 'dec_2' });
    },
  }),
  'subscription.refused': subscriptionScenario({
    looks: [running()],
    turns: ['turn-over', 'turn-over', 'turn-over'],
    act: async (handle) => {
      await handle.signal(pauseSignal, { requestId: 'made-up' });
      await handle.signal('pause');
    },
  }),
  'subscription.rewound': subscriptionScenario({
    looks: [running()],
    turns: ['turn-over', 'taken-over', 'turn-over'],
    accepts: (requestId) => requestId === 'dec_3',
    act: (handle) => handle.signal(rewindSignal, { requestId: 'dec_3' }),
  }),
  'subscription.balanced': subscriptionScenario({
    looks: [running(2), running(3)],
    turns: ['turn-over', 'turn-over', 'changed', 'changed', 'turn-over'],
  }),
} satisfies Record<string, Scenario>);

function nextVersion(name: string): number {
  const versions = readdirSync(folder)
    .map((file) => new RegExp(`^${name.replaceAll('.', '\\.')}\\.v(\\d+)\\.json$`).exec(file)?.[1])
    .filter((version) => version !== undefined)
    .map(Number);
  return Math.max(0, ...versions) + 1;
}

/** Queues that are part of a workflow's code, so its recording listens there. */
const fixedQueues: Record<string, string> = {
  subscription: taskQueues.bus,
  notification: taskQueues.effects,
};

async function record(environment: TestWorkflowEnvironment, name: string, scenario: Scenario): Promise<void> {
  const workflow = name.split('.', 1)[0] ?? '';
  const taskQueue = fixedQueues[workflow] ?? aQueue(name);
  const worker = await createWorker(environment, taskQueue, scenario.activities(taskQueue));
  const history = await worker.runUntil(async () => {
    const workflowId = `${workflow}/recorded-${name}`;
    const handle = await environment.client.workflow.start(workflow, {
      workflowId,
      taskQueue,
      args: scenario.args,
    });
    await scenario.act?.(handle);
    if (scenario.endless === true) {
      const { firstExecutionRunId } = handle;
      const so = await environment.client.workflow.getHandle(workflowId, firstExecutionRunId).fetchHistory();
      await handle.terminate('recorded');
      return so;
    }
    if (scenario.fails !== true) await handle.result();
    // Bound to its run: one that continued as new is recorded from its beginning.
    const { firstExecutionRunId } = handle;
    return environment.client.workflow.getHandle(workflowId, firstExecutionRunId).fetchHistory();
  });
  const file = `${name}.v${nextVersion(name)}.json`;
  writeFileSync(join(folder, file), `${historyToJSON(history)}\n`);
  console.log(`${file}: ${history.events?.length ?? 0} events`);
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => scenarios[name] === undefined);
if (unknown.length > 0) {
  console.error(`No scenario ${unknown.join(', ')}. There are: ${Object.keys(scenarios).join(', ')}.`);
  process.exit(2);
}
const cli = readToolchain(resolve(import.meta.dirname, '../..')).temporalCli;
if (cli === null) {
  console.error('Temporal is missing; run `node scripts/setup.mjs`.');
  process.exit(1);
}
const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-record-'));
const temporal = await startTemporal({ cli, dataDir, log: silentLog, headless: true, ephemeral: true });
const environment = await TestWorkflowEnvironment.createFromExistingServer({ address: temporal.address });
try {
  for (const [name, scenario] of Object.entries(scenarios)) {
    const isWanted = wanted.length === 0 ? nextVersion(name) === 1 : wanted.includes(name);
    if (isWanted) await record(environment, name, scenario);
  }
} finally {
  await environment.teardown();
  await temporal.stop();
  rmSync(dataDir, { recursive: true, force: true });
}
