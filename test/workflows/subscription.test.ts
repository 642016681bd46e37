import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { WorkflowHandle } from '@temporalio/client';
import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../../db/ids.ts';
import { subscriptionWorkflowId, taskQueues } from '../../domain/names.ts';
import type { subscription } from '../../workflows/index.ts';
import {
  pauseSignal,
  resumeSignal,
  rewindSignal,
  type SubscriptionRunState,
  subscriptionStateQuery,
} from '../../workflows/messages.ts';
import { realTime } from '../support/temporal.ts';
import { createWorker } from '../support/worker.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await realTime();
});

type Ended = 'turn-over' | 'paused' | 'taken-over' | 'switched-off';
type Request = { action: 'pause' | 'resume' | 'rewind'; requestId: string; opKey: string };

/** A record that knows one request of each kind; consumers work until the record says otherwise. */
function aRecord(consumers: number) {
  const state = { paused: false, off: false, rewinds: 0, started: [] as number[], asked: [] as Request[] };
  /** The first input of each activity. */
  const inputs: Record<string, unknown> = {};
  const wait = () => new Promise((resolve) => setTimeout(resolve, 20));
  return {
    state,
    inputs,
    activities: {
      readSubscription: (input: { key: string }) => {
        inputs.readSubscription ??= input;
        return { status: state.off ? 'switched-off' : state.paused ? 'paused' : 'running', consumers };
      },
      consumeEvents: async (input: { key: string; consumer: number }): Promise<object> => {
        inputs.consumeEvents ??= input;
        const { consumer } = input;
        state.started.push(consumer);
        const { rewinds } = state;
        let ended: Ended | null = null;
        while (ended === null) {
          await wait();
          if (state.off) ended = 'switched-off';
          else if (state.paused) ended = 'paused';
          else if (state.rewinds > rewinds) ended = 'taken-over';
        }
        return { ended, delivered: 5, failed: 1 };
      },
      applySubscriptionRequest: (request: Request) => {
        inputs.applySubscriptionRequest ??= request;
        state.asked.push(request);
        if (request.requestId !== `dec_${request.action}`)
          return { accepted: false, refused: 'FORBIDDEN', message: 'There is no such request.' };
        if (request.action === 'rewind') state.rewinds += 1;
        else state.paused = request.action === 'pause';
        return { accepted: true };
      },
    },
  };
}

async function play(
  record: ReturnType<typeof aRecord>,
  act: (handle: WorkflowHandle<typeof subscription>) => Promise<void>,
): Promise<void> {
  const worker = await createWorker(environment, taskQueues.bus, record.activities, { replayAlways: true });
  await worker.runUntil(async () => {
    const key = newId('sub');
    const handle = await environment.client.workflow.start<typeof subscription>('subscription', {
      workflowId: subscriptionWorkflowId(key),
      taskQueue: taskQueues.bus,
      args: [{ key }],
    });
    await act(handle);
    record.state.off = true;
    record.state.paused = false;
    await handle.signal(resumeSignal, { requestId: 'dec_resume' });
    await handle.result();
  });
}

const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 30_000, interval: 50 });
const stateOf = (handle: WorkflowHandle<typeof subscription>): Promise<SubscriptionRunState> =>
  handle.query(subscriptionStateQuery);

describe('the run of a subscription', () => {
  test('starts as many consumers as the record says, each with a number of its own', async () => {
    const record = aRecord(3);
    await play(record, async (handle) => {
      await eventually(() => [...record.state.started].sort()).toEqual([0, 1, 2]);
      expect(await stateOf(handle)).toMatchObject({ state: 'running', consumers: 3, waitingFor: 'events' });
    });
  });

  test('is paused and resumed by requests that are on record, and shows it', async () => {
    const record = aRecord(1);
    await play(record, async (handle) => {
      await eventually(() => record.state.started.length).toBe(1);
      await handle.signal(pauseSignal, { requestId: 'dec_pause' });
      await eventually(async () => (await stateOf(handle)).state).toBe('paused');
      expect(await stateOf(handle)).toMatchObject({ consumers: 0, delivered: 5, failed: 1 });
      const before = record.state.started.length;
      await handle.signal(resumeSignal, { requestId: 'dec_resume' });
      await eventually(() => record.state.started.length).toBe(before + 1);
      await eventually(async () => (await stateOf(handle)).state).toBe('running');
    });
  });

  test('after a rewind a consumer begins anew', async () => {
    const record = aRecord(1);
    await play(record, async (handle) => {
      await eventually(() => record.state.started.length).toBe(1);
      await handle.signal(rewindSignal, { requestId: 'dec_rewind' });
      await eventually(() => record.state.started.length).toBe(2);
    });
  });

  test('does nothing for signals without a request, each asked of the record under a key of its own', async () => {
    const record = aRecord(1);
    await play(record, async (handle) => {
      await eventually(() => record.state.started.length).toBe(1);
      await handle.signal('pause');
      await handle.signal(pauseSignal, { requestId: 'made-up' });
      await handle.signal(rewindSignal, { requestId: 'dec_pause' });
      await eventually(() => record.state.asked.length).toBe(3);
      expect(new Set(record.state.asked.map(({ opKey }) => opKey)).size).toBe(3);
      expect(await stateOf(handle)).toMatchObject({ state: 'running', consumers: 1, turns: 0 });
    });
  });

  test('activity inputs are the golden ones', async () => {
    const record = aRecord(1);
    let names = ['', ''];
    await play(record, async (handle) => {
      const { workflowId, runId } = await handle.describe();
      names = [workflowId.replace('subscription/', ''), runId];
      await eventually(() => record.state.started.length).toBe(1);
      await handle.signal(pauseSignal, { requestId: 'dec_pause' });
      await eventually(() => record.state.asked.length).toBe(1);
    });
    const [key = '', runId = ''] = names;
    const text = JSON.stringify(record.inputs, null, 2).replaceAll(key, 'KEY').replaceAll(runId, 'RUN');
    await expect(`${text}\n`).toMatchFileSnapshot('golden/subscription.paused.json');
  });
});
