import type { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { openTemporal } from '../../api/temporal-connection.ts';
import { createTemporal, type TaskStart, type TemporalPort } from '../../api/temporal.ts';
import { newId } from '../../db/ids.ts';
import {
  haloWorkflowId,
  messageNames,
  probeScheduleId,
  redriveWorkflowId,
  subscriptionWorkflowId,
  taskQueues,
  taskWorkflowId,
} from '../../domain/names.ts';
import { fakeHalo } from '../support/halo-record.ts';
import { fakeRecord } from '../support/task-record.ts';
import { realTime } from '../support/temporal.ts';
import { createWorker } from '../support/worker.ts';

let connection: Connection;
let client: Client;
let port: TemporalPort;

beforeAll(() => {
  ({ connection, client } = openTemporal({ address: inject('temporalAddress') }, 'default'));
  port = createTemporal(connection, client);
});
afterAll(() => connection.close());

function aStart(given: Partial<TaskStart> = {}): TaskStart {
  const taskId = newId('tsk');
  return {
    taskId,
    run: 1,
    target: 'probe:p',
    title: 'ü'.repeat(200),
    state: 'pending-approval',
    severity: 'high',
    ...given,
  };
}

async function withWorker<T>(work: () => Promise<T>): Promise<T> {
  const environment = await realTime();
  const activities = {
    ...fakeHalo({}).activities,
    ...fakeRecord(taskQueues.main).activities,
    runProbe: () => Promise.resolve({ ok: false, eventId: 'evt_1', failures: ['status 500'] }),
  };
  const worker = await createWorker(environment, taskQueues.main, activities);
  return worker.runUntil(work);
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; ms: number }> {
  const startedAt = Date.now();
  const result = await work();
  return { result, ms: Date.now() - startedAt };
}

describe('without a worker', () => {
  test('a task is started once, however often it is asked', async () => {
    const start = aStart();
    const first = await port.startTask(start);
    const again = await port.startTask(start);
    expect(again.runId).toBe(first.runId);
    const seen = await client.workflow.getHandle(taskWorkflowId(start.taskId, 1)).describe();
    expect(seen.typedSearchAttributes.getAll().map(({ value }) => value)).toEqual(
      expect.arrayContaining(['task', 'probe:p', 'pending-approval', 'high', 'squad']),
    );
    await client.workflow.getHandle(taskWorkflowId(start.taskId, 1)).terminate();
    // A run that has ended is not started again: the row has exactly one.
    expect(await port.startTask(start)).toEqual({ runId: null });
  });

  test('a run is told to look for a kill switch, once for each telling', async () => {
    const start = aStart();
    await port.startTask(start);
    const workflowId = taskWorkflowId(start.taskId, 1);
    await port.signalHold(workflowId);
    const { events = [] } = await client.workflow.getHandle(workflowId).fetchHistory();
    const signals = (events ?? []).flatMap((event) => event.workflowExecutionSignaledEventAttributes ?? []);
    expect(signals.map(({ signalName }) => signalName)).toEqual([messageNames.hold]);
    await client.workflow.getHandle(workflowId).terminate();
    await expect(port.signalHold(workflowId)).rejects.toThrow();
  });

  test('a redrive is started once and told to look; one that was ended in Temporal is started again', async () => {
    const start = { redriveId: newId('rdr'), total: 3, state: 'canary' };
    const first = await port.startRedrive(start);
    expect(await port.startRedrive(start)).toEqual(first);
    const handle = client.workflow.getHandle(redriveWorkflowId(start.redriveId));
    const seen = await handle.describe();
    expect(seen.typedSearchAttributes.getAll().map(({ value }) => value)).toEqual(
      expect.arrayContaining(['redrive', start.redriveId, 'canary', 'bus']),
    );
    await port.signalRedrive(start.redriveId);
    const { events = [] } = await handle.fetchHistory();
    const signals = (events ?? []).flatMap((event) => event.workflowExecutionSignaledEventAttributes ?? []);
    expect(signals.map(({ signalName }) => signalName)).toEqual([messageNames.redriveCancelled]);
    await handle.terminate();
    expect((await port.startRedrive(start)).runId).not.toBe(first.runId);
    await handle.terminate();
    await expect(port.signalRedrive(newId('rdr'))).rejects.toThrow();
  });

  test('an update ends at its deadline, and a run that is not there is said at once', async () => {
    const start = aStart();
    await port.startTask(start);
    const workflowId = taskWorkflowId(start.taskId, 1);
    const ask = { workflowId, requestId: newId('dec'), name: 'dispatch' } as const;
    const { result, ms } = await timed(() => port.ask(ask));
    expect(result).toEqual({ silent: 'unreachable' });
    expect(ms).toBeLessThan(4_000);
    expect(await port.ask({ ...ask, workflowId: 'task/none' })).toEqual({ silent: 'not-found' });
    await client.workflow.getHandle(workflowId).terminate();
    expect(await port.ask(ask)).toEqual({ silent: 'not-found' });
  });

  test('HALO that does not run has no state, and a request for a cycle is a 503 in time', async () => {
    expect(await port.haloState()).toBeNull();
    const { result, ms } = await timed(() =>
      port.requestCycle({ mode: 'full', requestedBy: 'prn_1' }).catch((error: unknown) => error),
    );
    expect(result).toMatchObject({ code: 'UNAVAILABLE' });
    expect(ms).toBeLessThan(4_000);
    await client.workflow
      .getHandle(haloWorkflowId)
      .terminate()
      .catch(() => undefined);
  });

  test('a subscription is started once, and told what is asked of it with nothing but the request', async () => {
    const key = newId('sub');
    await port.startSubscription(key);
    await port.startSubscription(key);
    await port.signalSubscription({ key, action: 'pause', requestId: 'dec_1' });
    await port.signalSubscription({ key, action: 'rewind', requestId: 'dec_2' });
    const handle = client.workflow.getHandle(subscriptionWorkflowId(key));
    const { events = [] } = await handle.fetchHistory();
    const signals = (events ?? []).flatMap((event) => event.workflowExecutionSignaledEventAttributes ?? []);
    const told = signals.map(({ signalName, input }) => [
      signalName,
      defaultPayloadConverter.fromPayload(input?.payloads?.[0] ?? {}),
    ]);
    expect(told).toEqual([
      ['pause', { requestId: 'dec_1' }],
      ['rewind', { requestId: 'dec_2' }],
    ]);
    // One that has ended is started by what it is told.
    await handle.terminate();
    await port.signalSubscription({ key, action: 'resume', requestId: 'dec_3' });
    expect((await client.workflow.getHandle(subscriptionWorkflowId(key)).describe()).status.name).toBe(
      'RUNNING',
    );
    await client.workflow.getHandle(subscriptionWorkflowId(key)).terminate();
  });

  test('a probe is scheduled once, and paused and resumed by asking again', async () => {
    const probeId = newId('prb');
    const schedule = client.schedule.getHandle(probeScheduleId(probeId));
    for (const paused of [false, true, false]) {
      await port.putProbeSchedule({ probeId, intervalSeconds: 3600, paused });
      expect((await schedule.describe()).state.paused).toBe(paused);
    }
    const { spec, policies } = await schedule.describe();
    expect(spec.intervals).toMatchObject([{ every: 3_600_000 }]);
    expect(policies.overlap).toBe('SKIP');
    await schedule.delete();
  });
});

describe('with a worker', () => {
  test('an answer of the run comes back, and the same request is answered the same', async () => {
    await withWorker(async () => {
      const start = aStart();
      await port.startTask(start);
      const workflowId = taskWorkflowId(start.taskId, 1);
      const requestId = newId('dec');
      const message = { approvalId: 'apr_1', decision: 'approve' as const, requestId };
      const ask = { workflowId, requestId, name: 'decide', message } as const;
      // The worker may need longer to wake up than a call waits; the same request is sent until it is answered.
      await expect
        .poll(() => port.ask(ask), { timeout: 30_000 })
        .toMatchObject({ answer: { accepted: true, state: 'approved' } });
      expect(await port.ask(ask)).toEqual(await port.ask(ask));
      const cancelled = await port.ask({ workflowId, requestId: newId('dec'), name: 'cancel' });
      expect(cancelled).toEqual({ answer: { accepted: true, state: 'cancelled' } });
    });
  });

  test('HALO is started by the first request, paused once and resumed once', async () => {
    await withWorker(async () => {
      const ask = { mode: 'light', requestedBy: 'prn_1' } as const;
      await expect
        .poll(() => port.requestCycle(ask).catch(() => null), { timeout: 30_000 })
        .toMatchObject({ cycleId: expect.stringMatching(/^cyc_/) as string });
      const pause = (paused: boolean, requestId = newId('dec')) =>
        port.setHaloPaused({ paused, principalId: 'prn_1', requestId });
      expect(await pause(true, newId('forged'))).toMatchObject({ refused: 'FORBIDDEN' });
      expect(await pause(true)).toEqual({ paused: true });
      expect(await pause(true)).toMatchObject({ refused: 'CONFLICT' });
      expect(await port.haloState()).toMatchObject({ paused: true });
      expect(await pause(false)).toEqual({ paused: false });
      await client.workflow.getHandle(haloWorkflowId).terminate();
      expect(await port.haloState()).toBeNull();
    });
  });

  test('a probe answers with what it saw, and the same occurrence runs once', async () => {
    await withWorker(async () => {
      const run = { probeId: newId('prb'), occurrence: 'once', waitMs: 30_000 };
      const first = await port.runProbe(run);
      expect(first).toMatchObject({
        result: { ok: false, eventId: 'evt_1', failures: ['status 500'] },
        failed: null,
      });
      expect(await port.runProbe(run)).toEqual({ ...first, runId: null });
    });
  });
});

describe('the server', () => {
  test('is checked with its namespace', async () => {
    await expect(port.check()).resolves.toBeUndefined();
    const stranger = openTemporal({ address: inject('temporalAddress') }, 'nowhere');
    await expect(createTemporal(stranger.connection, stranger.client).check()).rejects.toThrow();
    await stranger.connection.close();
  });

  test('that is not there is a 503 in time', async () => {
    const nowhere = openTemporal({ address: '127.0.0.1:1' }, 'default');
    const away = createTemporal(nowhere.connection, nowhere.client);
    const { result, ms } = await timed(() => away.startTask(aStart()).catch((error: unknown) => error));
    expect(result).toMatchObject({ code: 'UNAVAILABLE' });
    expect(ms).toBeLessThan(2_500);
    expect(await away.ask({ workflowId: 'task/x', requestId: 'dec_1', name: 'cancel' })).toEqual({
      silent: 'unreachable',
    });
    await nowhere.connection.close();
  });
});
