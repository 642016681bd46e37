import { decide, type ApprovalFacts, type Approver } from './approval.ts';
import { approvalsNeeded } from './policy.ts';
import { isRefusal, refuse, type Refusal } from './refusal.ts';
import type { Risk } from './task.ts';
import type { Verdict } from './verdict.ts';

/*
 * An action on a class of targets is manual until enough of its repairs helped; then HALO suggests to let it go without
 * a question each time (suggested). Only a person grants that (granted). One repair that did not help, or a person's
 * word, puts it back to manual. A grant whose time is over is a suggestion again.
 */
export const autonomyStates = ['manual', 'suggested', 'granted'] as const;
export type AutonomyState = (typeof autonomyStates)[number];

export type AutonomyFacts = { helped: number; failed: number; streak: number; state: AutonomyState };
export type AutonomyThreshold = { streak: number; share: number };

/** Five that helped in a row, and nine of ten of all that were judged. */
export const defaultAutonomyThreshold: AutonomyThreshold = { streak: 5, share: 0.9 };

export const noAutonomy: AutonomyFacts = { helped: 0, failed: 0, streak: 0, state: 'manual' };

/** Targets of one class count together: the class is the word before the first `:` of the target. */
export function classOfTarget(target: string): string {
  return target.split(':', 1)[0] ?? target;
}

/** An action on a class of targets, as it is written everywhere. */
export function pairOf(action: string, targetClass: string): string {
  return `${action}|${targetClass}`;
}

/** What failed a verification is a repair without effect or with a bad one; what recovered anyway proves nothing. */
function countsAs(verdict: Verdict): 'helped' | 'failed' | 'nothing' {
  if (verdict === 'recovered-by-action') return 'helped';
  return verdict === 'recovered-anyway' ? 'nothing' : 'failed';
}

/** One failed verification makes a pair manual; past the threshold it is suggested; no verdict ever grants. */
export function afterVerdict(
  before: AutonomyFacts,
  verdict: Verdict,
  threshold: AutonomyThreshold = defaultAutonomyThreshold,
): AutonomyFacts {
  const counted = countsAs(verdict);
  if (counted === 'nothing') return before;
  if (counted === 'failed') return { ...before, failed: before.failed + 1, streak: 0, state: 'manual' };
  const helped = before.helped + 1;
  const streak = before.streak + 1;
  const isEarned = streak >= threshold.streak && helped / (helped + before.failed) >= threshold.share;
  return {
    ...before,
    helped,
    streak,
    state: before.state === 'manual' && isEarned ? 'suggested' : before.state,
  };
}

/** A grant counts until it is withdrawn or its time is over. */
export function isInForce(row: { state: AutonomyState; expiresAtMs: number | null }, nowMs: number): boolean {
  return row.state === 'granted' && (row.expiresAtMs === null || nowMs < row.expiresAtMs);
}

export type GrantRequest = {
  pair: string;
  row: { state: AutonomyState; version: number; expiresAtMs: number | null };
  person: { name: string; kind: string };
  version: number;
  hasHighRisk: boolean;
};

/** Only a person grants, only what was suggested and never high risk, on exactly the version that was read. */
export function checkGrant(request: GrantRequest, nowMs: number): Refusal | null {
  const { pair, row, person } = request;
  if (person.kind !== 'human')
    return refuse(
      'FORBIDDEN',
      `${person.name} is a principal of the kind ${person.kind}; only people grant autonomy.`,
    );
  if (request.hasHighRisk)
    return refuse('FORBIDDEN', `${pair} has been of high risk; what is of high risk is approved one by one.`);
  if (row.version !== request.version)
    return refuse('STALE', `${pair} is at version ${row.version} now; read it again, then grant it.`, {
      current: row.version,
      yours: request.version,
    });
  if (isInForce(row, nowMs)) return refuse('CONFLICT', `${pair} is granted already; withdraw it first.`);
  if (row.state === 'manual')
    return refuse(
      'CONFLICT',
      `${pair} is manual; it can be granted once HALO suggests it: dreamnet autonomy list.`,
    );
  return null;
}

export type StandingRequest = {
  approval: ApprovalFacts;
  /** Who granted, as they are now. */
  grantor: Approver;
  grantReason: string;
  origin: string;
  risk: Risk;
  hasAgent: boolean;
};

/**
 * A standing approval is the grantor's yes, given beforehand: it counts where their own vote would be enough now, by
 * one person, for work of HALO that is not of high risk, and where the policy asks for nobody's presence.
 */
export function checkStanding(request: StandingRequest, nowMs: number): Refusal | null {
  const { approval, grantor, risk } = request;
  const { rule } = approval;
  if (request.origin !== 'halo' || approval.kind !== 'task')
    return refuse('FORBIDDEN', 'A standing approval is for what HALO proposes.');
  if (risk === 'high') return refuse('FORBIDDEN', 'What is of high risk is approved one by one.');
  if (!request.hasAgent) return refuse('CONFLICT', 'No agent is bound to it; a person has to see it.');
  if (approvalsNeeded(rule) !== 1)
    return refuse('FORBIDDEN', `Its policy asks for ${approvalsNeeded(rule)} approvals; a grant is one.`);
  if (rule.freshLoginMs !== null || rule.dispatchMode === 'manual')
    return refuse('FORBIDDEN', 'Its policy asks for a person each time.');
  const verdict = decide(
    approval,
    {
      approvalId: approval.id,
      decision: 'approve',
      digest: approval.digest,
      reason: request.grantReason,
      acknowledgedFindings: [],
      breakGlass: false,
      approver: grantor,
      loginAtMs: null,
      madeAtMs: null,
    },
    nowMs,
  );
  if (isRefusal(verdict)) return verdict;
  return verdict.state === 'approved' ? null : refuse('FORBIDDEN', 'One vote is not enough for it.');
}
