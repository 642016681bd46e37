import { isPermitted, type Principal } from './access.ts';
import type { JsonObject } from './json.ts';
import { refuse, type Refusal } from './refusal.ts';

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
};

export type ApprovalFacts = {
  id: string;
  state: ApprovalState;
  digest: string;
  requestedBy: string;
  requiredApprovals: number;
  votes: Vote[];
  expiresAtMs: number;
  decidedAt: string | null;
};

export type DecisionFacts = {
  approvalId: string;
  decision: Decision;
  digest: string;
  reason: string | null;
  principal: Principal;
  principalActive: boolean;
};

export type Verdict = { state: Extract<ApprovalState, 'open' | 'approved' | 'rejected'>; votesLeft: number };

/** Who ended an approval and when, for the person who comes too late. */
export function settledBy(approval: Pick<ApprovalFacts, 'state' | 'votes' | 'decidedAt'>): JsonObject {
  const last = approval.votes.at(-1);
  return {
    state: approval.state,
    decidedBy: last === undefined ? null : last.name,
    decidedAt: approval.decidedAt ?? last?.at ?? null,
  };
}

function describeSettled(approval: ApprovalFacts): string {
  const { decidedBy, decidedAt } = settledBy(approval);
  const who = typeof decidedBy === 'string' ? ` by ${decidedBy}` : '';
  const when = typeof decidedAt === 'string' ? ` at ${decidedAt}` : '';
  return `This approval is already ${approval.state}${who}${when}; nothing was changed.`;
}

/**
 * A decision counts when a permitted human other than the requester answers an open, unexpired approval of exactly
 * the content they saw, and has not answered it before; one rejection ends it, approvals end it at the quorum.
 */
export function decide(approval: ApprovalFacts, request: DecisionFacts, nowMs: number): Verdict | Refusal {
  const { principal } = request;
  if (principal.kind !== 'human')
    return refuse('FORBIDDEN', `${principal.name} is ${withArticle(principal.kind)}; only people decide.`);
  if (!request.principalActive || !isPermitted(principal, 'approvals:decide'))
    return refuse(
      'FORBIDDEN',
      `${principal.name} may not decide approvals; the permission is approvals:decide.`,
    );
  if (approval.requestedBy === principal.id)
    return refuse(
      'FORBIDDEN',
      `${principal.name} requested this and cannot decide it; another person has to (four-eyes rule).`,
    );
  if (approval.state === 'expired') return refuse('EXPIRED', describeSettled(approval), settledBy(approval));
  if (approval.state !== 'open') return refuse('CONFLICT', describeSettled(approval), settledBy(approval));
  if (nowMs >= approval.expiresAtMs)
    return refuse('EXPIRED', 'The time to decide is over; create the task again if it is still wanted.', {
      expiredAt: new Date(approval.expiresAtMs).toISOString(),
    });
  if (approval.digest !== request.digest)
    return refuse('STALE', 'The content changed after you looked at it; read it again, then decide.', {
      current: approval.digest,
      yours: request.digest,
    });
  if (approval.votes.some((vote) => vote.principalId === principal.id))
    return refuse('CONFLICT', `${principal.name} has already approved this; another person has to.`);
  if (request.decision === 'reject') return { state: 'rejected', votesLeft: 0 };
  const votesLeft = approval.requiredApprovals - approval.votes.length - 1;
  return votesLeft > 0 ? { state: 'open', votesLeft } : { state: 'approved', votesLeft: 0 };
}

function withArticle(kind: string): string {
  return kind === 'agent' ? 'an agent' : `a ${kind}`;
}

/** The payload of Signal `approval` and Update `decide` (LEDGER 5.5); with a ticket the other fields may be left out. */
export type ApprovalMessage = {
  approvalId?: string;
  decision?: Decision;
  principalId?: string;
  digest?: string;
  reason?: string;
  acknowledgedFindings?: string[];
  requestId?: string;
  ticket?: string;
};

/** What the sender of a decision is told. */
export type DecisionOutcome =
  | { accepted: true; approvalId: string; state: ApprovalState; votesLeft: number; decidedAt: string }
  | ({ accepted: false } & Refusal);
