import {
  condition,
  currentUpdateInfo,
  proxyLocalActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { DecisionActivities } from '../activities/decisions.ts';
import type { ApprovalMessage, ApprovalState, DecisionOutcome } from '../domain/approval.ts';
import type { Refusal } from '../domain/refusal.ts';
import { approvalSignal, decideUpdate } from './messages.ts';
import type { takeTurns } from './turns.ts';

const decisions = proxyLocalActivities<DecisionActivities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

export type GateAnswer = Exclude<ApprovalState, 'open'> | 'interrupted';

export type Gate = {
  /** Waits until people decided, time is over, or `interrupted` turns true. */
  wait(approval: { id: string; expiresInMs: number }, interrupted: () => boolean): Promise<GateAnswer>;
  /** The attempt that began together with the approval, once. */
  takeBegun(): Begun;
};

type Begun = Awaited<ReturnType<DecisionActivities['recordDecision']>>['begun'];

/** Ends a run with a refusal; a plain Error would retry the workflow task for ever. */
export function fail(refusal: Refusal): ApplicationFailure {
  return ApplicationFailure.nonRetryable(refusal.message, refusal.refused, refusal.details);
}

/**
 * Registers the handlers that carry decisions. Call it before anything is awaited: an answer may be there before the
 * run has asked (FEATURES F4). What a decision is worth is settled by `recordDecision` alone; this only listens.
 * `beginTaskId` names the task whose approval is at once its dispatch, while there is one.
 */
export function openGate(inTurn: ReturnType<typeof takeTurns>, beginTaskId: () => string | null): Gate {
  const { workflowId, runId } = workflowInfo();
  const { recordDecision, expireApproval } = inTurn(decisions);
  const decided = new Map<string, Exclude<ApprovalState, 'open'>>();
  let begun: Begun = null;
  let signals = 0;
  let closed = false;

  // Signals are in the history in their order; updates that were not accepted yet may come back in another one when a
  // workflow task is repeated, so only their own id names them.
  async function record(message: ApprovalMessage, source: string): Promise<DecisionOutcome> {
    const opKey = `decision:${runId}:${source}`;
    const answered = await recordDecision({ message, workflowId, opKey, beginTaskId: beginTaskId() });
    const { outcome } = answered;
    begun ??= answered.begun;
    if (outcome.accepted && outcome.state !== 'open') decided.set(outcome.approvalId, outcome.state);
    return outcome;
  }

  setHandler(decideUpdate, (message) => record(message, `update:${currentUpdateInfo()?.id}`), {
    validator: (_message: ApprovalMessage) => {
      if (closed)
        throw ApplicationFailure.nonRetryable('This run no longer waits for a decision.', 'CONFLICT');
    },
  });
  setHandler(approvalSignal, async (message) => {
    signals += 1;
    await record(message, `signal:${signals}`);
  });

  return {
    takeBegun() {
      const taken = begun;
      begun = null;
      return taken;
    },
    async wait(approval, interrupted) {
      closed = false;
      let timeLeftMs = approval.expiresInMs;
      for (let round = 1; ; round += 1) {
        const answered = await condition(() => decided.has(approval.id) || interrupted(), timeLeftMs);
        const state = decided.get(approval.id);
        if (state !== undefined) {
          closed = true;
          return state;
        }
        if (answered) return 'interrupted';
        const expiry = await expireApproval({
          approvalId: approval.id,
          opKey: `expire:${approval.id}:${runId}:${round}`,
        });
        if (expiry.expired) {
          closed = true;
          return 'expired';
        }
        if (expiry.state !== 'open') decided.set(approval.id, expiry.state);
        timeLeftMs = Math.max(1, expiry.remainingMs);
      }
    },
  };
}
