import { isPermitted } from './access.ts';
import type { JsonObject } from './json.ts';
import type { Decision, Handover, ApprovalState } from './approval-record.ts';
import {
  type ApprovalFacts,
  type Approver,
  brokenGlass,
  describeApprovers,
  glassBreakers,
  hasHandedOver,
  isEligible,
  isPermittedStill,
  lateIdentity,
  personOf,
  stageOf,
} from './approver.ts';
import { refuse, type Refusal } from './refusal.ts';

export * from './approval-record.ts';
export type { ApprovalFacts, Approver } from './approver.ts';

export type DecisionFacts = {
  approvalId: string;
  decision: Decision;
  digest: string;
  reason: string | null;
  acknowledgedFindings: readonly string[];
  breakGlass: boolean;
  approver: Approver;
  /** When the person logged in at an identity provider; empty for a key presented with the request. */
  loginAtMs: number | null;
  /** When the request was made, where that was not now: a login does not age on the way to the run. */
  madeAtMs: number | null;
};

export type Verdict = {
  state: Extract<ApprovalState, 'open' | 'approved' | 'rejected'>;
  votesLeft: number;
  /** The stage the vote counts for. */
  stage: number;
};

/** Who ended an approval and when, for the person who comes too late. */
export function settledBy(approval: Pick<ApprovalFacts, 'state' | 'votes' | 'decidedAt'>): JsonObject {
  const last = approval.votes.at(-1);
  return {
    state: approval.state,
    decidedBy: last === undefined ? null : last.name,
    decidedAt: approval.decidedAt ?? last?.at ?? null,
  };
}

/** What the person is told who comes too late; null while an approval is open. */
export function settledRefusal(
  approval: Pick<ApprovalFacts, 'state' | 'votes' | 'decidedAt'>,
): Refusal | null {
  if (approval.state === 'open') return null;
  const by = settledBy(approval);
  const who = typeof by.decidedBy === 'string' ? ` by ${by.decidedBy}` : '';
  const when = typeof by.decidedAt === 'string' ? ` at ${by.decidedAt}` : '';
  const code = approval.state === 'expired' ? 'EXPIRED' : 'CONFLICT';
  return refuse(code, `This approval is already ${approval.state}${who}${when}; nothing was changed.`, by);
}

/**
 * A decision counts when an eligible human, who neither wrote the content nor stands behind who did, answers an open,
 * unexpired approval of exactly the content they saw, and has not answered it before. One rejection ends it; approvals
 * end it when every stage has its number of different people, or when two break the glass.
 */
export function decide(approval: ApprovalFacts, request: DecisionFacts, nowMs: number): Verdict | Refusal {
  const { breakGlass, decision } = request;
  const refusal =
    checkPerson(approval, request.approver, breakGlass) ??
    checkOpen(approval, request.digest, nowMs) ??
    checkRights(approval, request.approver, breakGlass) ??
    checkVote(approval, request.approver, breakGlass) ??
    checkLogin(approval, request, nowMs) ??
    (decision === 'approve' ? checkApproval(approval, request) : null);
  if (refusal !== null) return refusal;
  const stage = stageOf(approval);
  if (decision === 'reject') return { state: 'rejected', votesLeft: 0, stage: stage.index };
  const needed = breakGlass ? glassBreakers - brokenGlass(approval.votes) : stage.votesLeft;
  const votesLeft = needed - 1;
  return {
    state: votesLeft > 0 ? 'open' : 'approved',
    votesLeft: Math.max(0, votesLeft),
    stage: stage.index,
  };
}

/** An eligible approver may change the content instead of deciding it, where the policy lets them. */
export function checkEdit(
  approval: ApprovalFacts,
  request: Omit<DecisionFacts, 'decision'>,
  nowMs: number,
): Refusal | null {
  return (
    checkPerson(approval, request.approver, false) ??
    checkOpen(approval, request.digest, nowMs) ??
    checkRights(approval, request.approver, false) ??
    (approval.kind === 'task' && approval.rule.editAllowed
      ? null
      : refuse(
          'FORBIDDEN',
          'Its policy does not allow to edit this; reject it and say what should change.',
        )) ??
    checkVote(approval, request.approver, false) ??
    checkLogin(approval, request, nowMs)
  );
}

/** An eligible approver may give their vote to another permitted person, and then has none. */
export function handOver(
  approval: ApprovalFacts,
  request: { giver: Approver; receiver: Approver; reason: string | null; at: string },
  nowMs: number,
): Handover | Refusal {
  const { giver, receiver } = request;
  const from = giver.principal;
  const to = receiver.principal;
  const refusal =
    checkPerson(approval, giver, false) ??
    checkOpen(approval, approval.digest, nowMs) ??
    checkRights(approval, giver, false) ??
    (approval.rule.handOverAllowed
      ? null
      : refuse(
          'FORBIDDEN',
          'Its policy does not allow to hand this over; decide it or leave it to others.',
        )) ??
    checkVote(approval, giver, false) ??
    (to.person === from.person
      ? refuse('INVALID', `${to.name} is ${from.name}; name another person.`)
      : checkReceiver(approval, receiver));
  if (refusal !== null) return refusal;
  const stages = approval.rule.stages
    .map((_stage, index) => index)
    .filter((index) => index >= stageOf(approval).index && isEligible(giver, index, approval));
  return {
    ...{ from: from.id, fromName: from.name, fromPerson: from.person },
    ...{ to: to.id, toName: to.name, toPerson: to.person },
    ...{ stages, reason: request.reason, at: request.at },
  };
}

function checkReceiver(approval: ApprovalFacts, receiver: Approver): Refusal | null {
  const { name, person } = receiver.principal;
  const refusal = checkPerson(approval, receiver, false) ?? checkRights(approval, receiver, false);
  if (refusal !== null) return refuse(refusal.refused, `It cannot be handed to ${name}: ${refusal.message}`);
  return approval.votes.some((vote) => personOf(vote) === person)
    ? refuse('CONFLICT', `${name} has already approved this; name somebody who has not.`)
    : null;
}

function checkPerson(approval: ApprovalFacts, approver: Approver, breakGlass: boolean): Refusal | null {
  const { principal } = approver;
  const { name } = principal;
  if (principal.kind !== 'human')
    return refuse('FORBIDDEN', `${name} is ${withArticle(principal.kind)}; only people decide.`);
  const permission = breakGlass ? 'approvals:break-glass' : 'approvals:decide';
  if (!approver.active || !isPermitted(principal, permission, approval.target))
    return refuse(
      'FORBIDDEN',
      `${name} may not decide ${approval.target === '' ? 'approvals' : `approvals for ${approval.target}`}; the permission is ${permission}.`,
      { permission },
    );
  const wrote =
    approval.requestedBy === principal.id ||
    approval.requestedByPerson === principal.person ||
    approval.requestedBy === principal.person;
  if (wrote)
    return refuse(
      'FORBIDDEN',
      `${name} requested this and cannot decide it; another person has to (four-eyes rule).`,
    );
  return null;
}

/** Nobody chooses their own judge; who comes too late is told that first. */
function checkRights(approval: ApprovalFacts, approver: Approver, breakGlass: boolean): Refusal | null {
  const { name } = approver.principal;
  const late = lateIdentity(approver, approval);
  if (late !== null)
    return refuse(
      'FORBIDDEN',
      `The ${late.what} of ${name} was made by whoever asks for this, after asking; somebody else has to decide it.`,
    );
  const permission = breakGlass ? 'approvals:break-glass' : 'approvals:decide';
  if (isPermittedStill(approver, permission, approval)) return null;
  return refuse(
    'FORBIDDEN',
    `${name} has ${permission} from whoever asks for this, given after asking; somebody else has to decide it.`,
    { permission },
  );
}

function checkOpen(approval: ApprovalFacts, digest: string, nowMs: number): Refusal | null {
  const settled = settledRefusal(approval);
  if (settled !== null) return settled;
  if (nowMs >= approval.expiresAtMs)
    return refuse('EXPIRED', 'The time to decide is over; create the task again if it is still wanted.', {
      expiredAt: new Date(approval.expiresAtMs).toISOString(),
    });
  if (approval.digest !== digest)
    return refuse('STALE', 'The content changed after you looked at it; read it again, then decide.', {
      current: approval.digest,
      yours: digest,
    });
  return null;
}

function checkVote(approval: ApprovalFacts, approver: Approver, breakGlass: boolean): Refusal | null {
  const { name, person } = approver.principal;
  if (approval.votes.some((vote) => personOf(vote) === person))
    return refuse('CONFLICT', `${name} has already approved this; another person has to.`);
  if (breakGlass) return null;
  if (hasHandedOver(person, approval))
    return refuse('CONFLICT', `${name} has handed this over; it is decided by who received it.`);
  const stage = stageOf(approval);
  if (isEligible(approver, stage.index, approval)) return null;
  const who = describeApprovers(stage.approvers);
  return refuse(
    'FORBIDDEN',
    `${name} is not among the approvers of stage ${stage.index + 1} of ${stage.of}; it is decided by ${who}. One of them can hand it over.`,
    { stage: stage.index + 1, roles: stage.approvers.roles, groups: stage.approvers.groups },
  );
}

function checkLogin(
  approval: ApprovalFacts,
  request: Pick<DecisionFacts, 'loginAtMs' | 'madeAtMs'>,
  nowMs: number,
): Refusal | null {
  const { freshLoginMs } = approval.rule;
  if (freshLoginMs === null || request.loginAtMs === null) return null;
  if ((request.madeAtMs ?? nowMs) - request.loginAtMs <= freshLoginMs) return null;
  const minutes = Math.floor(freshLoginMs / 60_000);
  return refuse(
    'FORBIDDEN',
    `This needs a login of the last ${minutes} minutes; log in again, then decide.`,
    { freshLoginMs },
  );
}

function checkApproval(approval: ApprovalFacts, request: DecisionFacts): Refusal | null {
  const block = approval.findings.find(({ level }) => level === 'block');
  if (block !== undefined)
    return refuse('CONFLICT', `Finding ${block.id} makes approval impossible: ${block.text}. Reject it.`, {
      findings: [block.id],
    });
  const missing = approval.findings
    .map(({ id }) => id)
    .filter((id) => !request.acknowledgedFindings.includes(id));
  if (missing.length > 0)
    return refuse('INVALID', `Acknowledge each finding first; missing: ${missing.join(', ')}.`, {
      findings: missing,
    });
  const needsReason = approval.rule.reasonRequired || request.breakGlass;
  if (needsReason && (request.reason ?? '').trim() === '')
    return refuse(
      'INVALID',
      request.breakGlass
        ? 'Breaking the glass needs a reason; say why it cannot wait for its approvers.'
        : 'Its policy asks for a reason with each approval; say why this may be done.',
      { missing: 'reason' },
    );
  return null;
}

function withArticle(kind: string): string {
  return kind === 'agent' ? 'an agent' : `a ${kind}`;
}
