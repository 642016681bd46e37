import {
  condition,
  currentUpdateInfo,
  proxyLocalActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { DecisionActivities } from '../activities/decisions.ts';
import type { ApprovalMessage, ApprovalState, DecisionOutcome, Waiting } from '../domain/approval.ts';
import type { Refusal } from '../domain/refusal.ts';
import { afterDue, nextDue, timetable } from '../domain/waiting.ts';
import { approvalSignal, decideUpdate } from './messages.ts';
import type { takeTurns } from './turns.ts';

const decisions = proxyLocalActivities<DecisionActivities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});

type Settled = Exclude<ApprovalState, 'open'>;

/** How a wait ended; `guidance` is what a person who rejected it wants to be different. */
export type GateAnswer = { state: Settled | 'interrupted'; guidance: string | null };

/** The approval to wait for. */
export type Waited = Waiting & { id: string };

export type Gate = {
  /**
   * Waits until people decided, time is over, or `interrupted` turns true; meanwhile it has people reminded. An edit
   * replaces the approval by one of the new content: the wait goes on for that, and `replaced` hears of it.
   */
  wait(
    approval: Waited,
    interrupted: () => boolean,
    replaced?: (approval: Waited) => void,
  ): Promise<GateAnswer>;
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
  const { recordDecision, expireApproval, nudgeApproval } = inTurn(decisions);
  const decided = new Map<string, { state: Settled; guidance: string | null; next: Waited | null }>();
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
    if (outcome.accepted && outcome.state !== 'open') {
      const { approvalId, state, guidance = null, replacement } = outcome;
      const next = replacement === undefined ? null : { ...replacement, id: replacement.approvalId };
      decided.set(approvalId, { state, guidance, next });
    }
    return outcome;
  }

  function settled(approvalId: string, state: ApprovalState): void {
    if (state !== 'open' && !decided.has(approvalId))
      decided.set(approvalId, { state, guidance: null, next: null });
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
    async wait(asked, interrupted, replaced = () => undefined) {
      closed = false;
      let approval = asked;
      let times = timetable(approval, Date.now());
      for (let round = 1; ; round += 1) {
        const due = nextDue(times);
        const leftMs = Math.max(1, due.atMs - Date.now());
        const answered = await condition(() => decided.has(approval.id) || interrupted(), leftMs);
        const answer = decided.get(approval.id);
        if (answer !== undefined && answer.next !== null) {
          approval = answer.next;
          times = timetable(approval, Date.now());
          replaced(approval);
        } else if (answer !== undefined) {
          closed = true;
          return { state: answer.state, guidance: answer.guidance };
        } else if (answered) {
          return { state: 'interrupted', guidance: null };
        } else if (due.what === 'expiry') {
          const opKey = `expire:${approval.id}:${runId}:${round}`;
          const expiry = await expireApproval({ approvalId: approval.id, opKey });
          if (expiry.expired) {
            closed = true;
            return { state: 'expired', guidance: null };
          }
          settled(approval.id, expiry.state);
          times = { ...times, expiresAtMs: Date.now() + Math.max(1, expiry.remainingMs) };
        } else {
          const { what } = due;
          const opKey = `${what}:${approval.id}:${runId}:${round}`;
          const { state } = await nudgeApproval({ approvalId: approval.id, what, opKey });
          settled(approval.id, state);
          times = afterDue(times, what, Date.now());
        }
      }
    },
  };
}
