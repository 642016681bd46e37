import type { Refusal } from './refusal.ts';

/*
 * An approval is one question about one content. It is open until enough people said yes (approved), one said no
 * (rejected), nobody did in time (expired), the content moved (void) or the work was cancelled (withdrawn).
 * All but open are final: a new question is a new approval.
 */
export const approvalStates = ['open', 'approved', 'rejected', 'expired', 'void', 'withdrawn'] as const;
export type ApprovalState = (typeof approvalStates)[number];

/**
 * The kinds of work that wait at the gate. `outcome` is the odd one: it asks "did this attempt take effect?" after an
 * answer was lost, where the others ask "may this be done?".
 */
export const approvalKinds = ['task', 'graft', 'deployment', 'fabric', 'remedy', 'outcome'] as const;
export type ApprovalKind = (typeof approvalKinds)[number];

export const decisions = ['approve', 'reject'] as const;
export type Decision = (typeof decisions)[number];

export type Vote = {
  principalId: string;
  name: string;
  decision: Decision;
  at: string;
  reason: string | null;
  /** The person behind the vote. Votes recorded before there were stages lack this and what follows. */
  person?: string;
  /** Counted from 0. */
  stage?: number;
  /** What whoever made the content should do differently. */
  guidance?: string | null;
  acknowledgedFindings?: string[];
  breakGlass?: boolean;
  /** Of a standing approval: the grant it rests on. The person gave that, not this. */
  grant?: StandingGrant;
};

/** An action on a class of targets that a person lets go without a question each time, as it was granted. */
export type StandingGrant = { action: string; targetClass: string; version: number };

/** What checks of the content found: a `block` makes approval impossible, a `warn` has to be acknowledged by name. */
export type Finding = { id: string; level: 'block' | 'warn'; text: string };

/** One person's vote in the hands of another. */
export type Handover = {
  from: string;
  fromName: string;
  fromPerson: string;
  to: string;
  toName: string;
  toPerson: string;
  /** The stages in which the giver could have voted. */
  stages: number[];
  reason: string | null;
  at: string;
};

/** What a person asks of an approval: to decide it, or to have its content changed. */
export type DecisionKind = Decision | 'edit';

/** The payload of Signal `approval` and Update `decide` (LEDGER 5.5); with a ticket the other fields may be left out. */
export type ApprovalMessage = {
  approvalId?: string;
  decision?: DecisionKind;
  principalId?: string;
  digest?: string;
  reason?: string;
  guidance?: string;
  acknowledgedFindings?: string[];
  breakGlass?: boolean;
  requestId?: string;
  ticket?: string;
};

/** An approval that a run waits for, and what becomes due while it does. */
export type Waiting = {
  expiresInMs: number;
  /** Runs recorded before there were reminders lack these. */
  remindEveryMs?: number | null;
  /** Until the first reminder, where that is not a whole interval away. */
  remindAfterMs?: number | null;
  escalateAfterMs?: number | null;
};

/** What the sender of a decision is told. */
export type DecisionOutcome =
  | {
      accepted: true;
      approvalId: string;
      state: ApprovalState;
      votesLeft: number;
      decidedAt: string;
      /** Of a rejection: what to do differently. */
      guidance?: string;
      /** After an edit: the approval of the new content. */
      replacement?: Waiting & { approvalId: string };
    }
  | ({ accepted: false } & Refusal);
