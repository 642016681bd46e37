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
};

/** Ends a run with a refusal; a plain Error would retry the workflow task for ever. */
export function fail(refusal: Refusal): ApplicationFailure {
  return ApplicationFailure.nonRetryable(refusal.message, refusal.refused, refusal.details);
}

/**
 * Registers the handlers that carry decisions. Call it before anything is awaited: an answer may be there before the
 * run has asked (FEATURES F4). What a decision is worth is settled by `recordDecision` alone; this only listens.
 */
export function openGate(inTurn: ReturnType<typeof takeTurns>): Gate {
  const { workflowId, runId } = workflowInfo();
  const { recordDecision, expireApproval } = inTurn(decisions);
  const decided = new Map<string, Exclude<ApprovalState, 'open'>>();
  let signals = 0;
  let closed = false;

  // Signals are in the history in their order; updates that were not accepted yet may come back in another one when a
  // workflow task is repeated, so only their own id names them.
  async function record(message: ApprovalMessage, source: string): Promise<DecisionOutcome> {
    const opKey = `decision:${runId}:${source}`;
    const outcome = await recordDecision({ message, workflowId, opKey });
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
