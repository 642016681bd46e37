import {
  allHandlersFinished,
  ChildWorkflowFailure,
  condition,
  continueAsNew,
  currentUpdateInfo,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  patched,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { HaloActivities } from '../activities/halo.ts';
import {
  askersOf,
  checkPause,
  defaultHaloLimits,
  ended,
  gather,
  type HaloTrigger,
  nextStart,
  nextStep,
  type PendingCycle,
  restFor,
  settling,
  started,
  triggerOf,
} from '../domain/halo-loop.ts';
import { haloCycleWorkflowId } from '../domain/names.ts';
import { isRefusal } from '../domain/refusal.ts';
import { describeRun } from './describe-run.ts';
import { haloCycle } from './halo-cycle.ts';
import type { HaloLoopInput } from './inputs.ts';
import {
  type HaloPauseRequest,
  haloPauseUpdate,
  haloRequestUpdate,
  haloStateQuery,
  haloTriggerSignal,
} from './messages.ts';
import { takeTurns } from './turns.ts';

const loopActivities = proxyLocalActivities<HaloActivities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

/** Far below the server's 10,000 signals per run (TRUST 2). */
const messagesPerRun = 1_000;
const cyclesPerRun = 50;

/**
 * The one loop that decides when HALO looks at the system: it gathers triggers, keeps cooldown and budget, and runs one
 * cycle at a time. What it remembers is one state object, carried over when it continues as new.
 */
export async function haloLoop(input: HaloLoopInput): Promise<void> {
  let { state } = input;
  // What a worker last said; until it did, the ones of the ledger tell a person what their cycle waits for.
  let limits = defaultHaloLimits;
  let messages = 0;
  let cycles = 0;
  const { runId } = workflowInfo();
  const { readHaloLimits, recordPause } = takeTurns()(loopActivities);

  function take(trigger: HaloTrigger): void {
    messages += 1;
    state = gather(state, trigger, newCycleId(), Date.now());
  }
  setHandler(haloTriggerSignal, take);
  setHandler(haloRequestUpdate, ({ mode, requestedBy }) => {
    take(triggerOf('manual', { mode, requestedBy }));
    const { because } = nextStart(state, limits, Date.now()) ?? { because: 'it starts now' };
    return { cycleId: state.pending?.cycleId ?? '', because };
  });
  setHandler(
    haloPauseUpdate,
    async ({ paused, requestId = null }) => {
      messages += 1;
      // A pause without a request, from before they were proven, replays as it was. May go after 2027-02.
      const isToProve = requestId !== null || patched('haloLoop-pause-proof-202611');
      if (!isToProve) state = { ...state, paused };
      const opKey = `halo.pause:${runId}:${currentUpdateInfo()?.id}`;
      const refusal = await recordPause({ paused, requestId, opKey });
      // Recorded results from before are empty.
      if (isRefusal(refusal)) return refusal;
      state = { ...state, paused };
      return { paused };
    },
    {
      validator: ({ paused }: HaloPauseRequest) => {
        const refusal = checkPause(state.paused, paused);
        if (refusal !== null) throw ApplicationFailure.nonRetryable(refusal.message, refusal.refused);
      },
    },
  );
  setHandler(haloStateQuery, () => state);

  for (;;) {
    if (cycles >= cyclesPerRun || messages >= messagesPerRun || workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished);
      return continueAsNew<typeof haloLoop>({ state });
    }
    if (state.pending === null || state.paused) {
      setCurrentDetails(state.paused ? '**paused**: waits for a resume' : 'waits for a trigger');
      await rest();
      continue;
    }
    limits = await readHaloLimits();
    const step = nextStep(state, limits, Date.now());
    if (step.do === 'start') {
      cycles += 1;
      await runCycle(state.pending);
    } else if (step.do === 'wait') {
      setCurrentDetails(`waits ${Math.ceil(step.forMs / 1000)} s: ${step.because}`);
      const { urgent, manual } = state.pending;
      // Ends early when something more urgent joins, or when a person pauses.
      await condition(
        () =>
          state.paused ||
          (state.pending !== null && (state.pending.urgent !== urgent || state.pending.manual !== manual)),
        step.forMs,
      );
    }
  }

  /** A finding that had to settle wakes the loop where nothing else does. */
  async function rest(): Promise<void> {
    const isToGo = (): boolean => (state.pending !== null && !state.paused) || messages >= messagesPerRun;
    const forMs = state.pending === null ? restFor(state, limits, Date.now()) : null;
    if (forMs === null) return condition(isToGo);
    if (await condition(() => isToGo() || state.pending !== null, forMs)) return;
    state = settling(state, 'full', undefined);
    take(triggerOf('settled'));
  }

  async function runCycle(pending: PendingCycle): Promise<void> {
    state = started(state, Date.now());
    setCurrentDetails(`runs cycle ${pending.cycleId}`);
    // A person who asks is answered at once.
    const settles = pending.manual || limits.settleMs === undefined ? {} : { settleMs: limits.settleMs };
    try {
      const { settledMs } = await executeChild(haloCycle, {
        workflowId: haloCycleWorkflowId(pending.cycleId),
        args: [
          {
            cycleId: pending.cycleId,
            mode: pending.mode,
            trigger: { ...pending.triggers, eventIds: pending.eventIds },
            requestedBy: pending.requestedBy,
            ...settles,
          },
        ],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        ...describeRun({
          summary: `HALO cycle (${pending.mode}) asked for by ${askersOf(pending)}`,
          kind: 'halo-cycle',
          entity: pending.cycleId,
          state: 'analyzing',
          severity: pending.urgent ? 'critical' : pending.triggers.event > 0 ? 'error' : 'info',
          subsystem: 'halo',
        }),
      });
      state = settling(state, pending.mode, settledMs);
    } catch (error) {
      // A failed cycle has recorded its failure itself; the loop goes on to the next trigger.
      if (!(error instanceof ChildWorkflowFailure) || isCancellation(error)) throw error;
    } finally {
      state = ended(state, Date.now());
    }
  }
}

function newCycleId(): string {
  return `cyc_${uuid4().replaceAll('-', '').slice(0, 16)}`;
}
