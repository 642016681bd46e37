import { type Client, WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import type { CycleMode } from '../domain/halo.ts';
import { emptyHaloLoop, type HaloLoopState, type HaloTrigger } from '../domain/halo-loop.ts';
import { haloWorkflowId, taskQueues, workflowTaskTimeoutMs } from '../domain/names.ts';
import type { Refusal } from '../domain/refusal.ts';
import type { HaloLoopInput } from '../workflows/inputs.ts';
import {
  haloPauseUpdate,
  haloRequestUpdate,
  haloStateQuery,
  haloTriggerSignal,
} from '../workflows/messages.ts';
import { type Deadlined, isGone, rejectionOf } from './temporal-errors.ts';
import { searchAttributesOf } from './search-attributes.ts';

/** `requestId` is the id of the stored request, and of the update. */
export type PauseAsk = { paused: boolean; principalId: string; requestId: string };

export type TemporalHalo = {
  /** Asks the loop for a cycle and starts the loop where it does not run. */
  requestCycle(ask: { mode: CycleMode; requestedBy: string }): Promise<{ cycleId: string; because: string }>;
  /** Hands the loop a trigger and starts the loop where it does not run. */
  signalHalo(trigger: HaloTrigger): Promise<void>;
  setHaloPaused(ask: PauseAsk): Promise<{ paused: boolean } | Refusal>;
  /** State of the loop, null while it does not run. */
  haloState(): Promise<HaloLoopState | null>;
};

type HaloLoop = (input: HaloLoopInput) => Promise<void>;

/** HALO's loop as the API sees it. An update that starts what it updates needs no order of starts. */
export function createTemporalHalo(client: Client, within: Deadlined): TemporalHalo {
  const loop = () =>
    new WithStartWorkflowOperation<HaloLoop>('haloLoop', {
      workflowId: haloWorkflowId,
      taskQueue: taskQueues.main,
      workflowTaskTimeout: workflowTaskTimeoutMs,
      args: [{ state: emptyHaloLoop() }],
      workflowIdConflictPolicy: 'USE_EXISTING',
      typedSearchAttributes: searchAttributesOf({ kind: 'halo-loop', subsystem: 'halo' }),
    });

  return {
    requestCycle: (ask) =>
      within(() =>
        client.workflow.executeUpdateWithStart(haloRequestUpdate, {
          args: [ask],
          startWorkflowOperation: loop(),
        }),
      ),

    signalHalo: (trigger) =>
      within(async () => {
        await client.workflow.signalWithStart<HaloLoop, [HaloTrigger]>('haloLoop', {
          workflowId: haloWorkflowId,
          taskQueue: taskQueues.main,
          workflowTaskTimeout: workflowTaskTimeoutMs,
          args: [{ state: emptyHaloLoop() }],
          typedSearchAttributes: searchAttributesOf({ kind: 'halo-loop', subsystem: 'halo' }),
          signal: haloTriggerSignal,
          signalArgs: [trigger],
        });
      }),

    setHaloPaused: (ask) =>
      within(async () => {
        try {
          return await client.workflow.executeUpdateWithStart(haloPauseUpdate, {
            updateId: ask.requestId,
            args: [ask],
            startWorkflowOperation: loop(),
          });
        } catch (error) {
          if (error instanceof WorkflowUpdateFailedError) return rejectionOf(error);
          throw error;
        }
      }),

    haloState: () =>
      within(async () => {
        try {
          return await client.workflow.getHandle(haloWorkflowId).query(haloStateQuery);
        } catch (error) {
          if (isGone(error)) return null;
          throw error;
        }
      }),
  };
}
