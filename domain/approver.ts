import { isPermitted, matchesScope, type Permission, type Principal } from './access.ts';
import type { Finding, Handover, ApprovalKind, ApprovalState, Vote } from './approval-record.ts';
import type { Approvers, PolicyRule, Stage } from './policy.ts';

/** Something a principal may decide by, who gave it, and when. */
export type Right = {
  what: 'account' | 'key' | 'role' | 'grant' | 'group';
  /** Of the role or the group. */
  name: string;
  /** The targets a grant is for. */
  scope: string;
  /** What a role or a grant lets its holder do. */
  permissions: readonly string[];
  /** The person who gave it; empty where nobody is on record. */
  givenBy: string | null;
  givenAtMs: number;
};

/** Somebody who would decide, with everything they would decide by. */
export type Approver = { principal: Principal; active: boolean; rights: readonly Right[] };

export type ApprovalFacts = {
  id: string;
  kind: ApprovalKind;
  state: ApprovalState;
  digest: string;
  target: string;
  rule: PolicyRule;
  findings: Finding[];
  votes: Vote[];
  handovers: Handover[];
  /** Who wrote the content at hand: the requester, or who edited it last. */
  requestedBy: string;
  /** The person behind that one. */
  requestedByPerson: string;
  /** The person behind the first request, whoever edited it since. */
  askedByPerson: string;
  /** When the work was first asked for, whatever approvals it has had since. */
  askedAtMs: number;
  escalatedAtMs: number | null;
  expiresAtMs: number;
  decidedAt: string | null;
};

/** Two people have to break the glass together (TRUST 4.18). */
export const glassBreakers = 2;

/** The person behind a vote; a vote from before persons were recorded was one of a human. */
export function personOf(vote: Vote): string {
  return vote.person ?? vote.principalId;
}

/** Rights that whoever asks has given after asking do not count: nobody chooses their own judge (TRUST 4.11). */
function isLate(right: Right, approval: ApprovalFacts): boolean {
  const { requestedBy, requestedByPerson, askedByPerson } = approval;
  return (
    right.givenBy !== null &&
    right.givenAtMs >= approval.askedAtMs &&
    [requestedBy, requestedByPerson, askedByPerson].includes(right.givenBy)
  );
}

/** The right that takes every other one with it: an account or a key that the requester made after asking. */
export function lateIdentity(approver: Approver, approval: ApprovalFacts): Right | null {
  const isIdentity = ({ what }: Right): boolean => what === 'account' || what === 'key';
  return approver.rights.find((right) => isIdentity(right) && isLate(right, approval)) ?? null;
}

/** True while the approver is permitted by rights that count, for the target in question. */
export function isPermittedStill(
  approver: Approver,
  permission: Permission,
  approval: ApprovalFacts,
): boolean {
  const { principal, active, rights } = approver;
  if (!active || !isPermitted(principal, permission, approval.target)) return false;
  if (!rights.some((right) => isLate(right, approval))) return true;
  const permissions = rights
    .filter((right) => !isLate(right, approval))
    .flatMap((right) => right.permissions);
  return isPermitted({ ...principal, permissions }, permission, approval.target);
}

function isNamed(approvers: Approvers, approver: Approver, approval: ApprovalFacts): boolean {
  if (approvers.roles.length === 0 && approvers.groups.length === 0) return true;
  return approver.rights.some((right) => {
    if (isLate(right, approval)) return false;
    if (right.what === 'group') return approvers.groups.includes(right.name);
    const isRole =
      right.what === 'role' || (right.what === 'grant' && matchesScope(right.scope, approval.target));
    return isRole && approvers.roles.includes(right.name);
  });
}

/** True when the approver may vote in a stage: named for it, named for escalations once escalated, or handed it. */
export function isEligible(approver: Approver, stage: number, approval: ApprovalFacts): boolean {
  const approvers = approval.rule.stages[stage]?.approvers;
  if (approvers === undefined) return false;
  if (isNamed(approvers, approver, approval)) return true;
  if (approval.escalatedAtMs !== null && isNamed(approval.rule.escalateTo, approver, approval)) return true;
  return approval.handovers.some(({ to, stages }) => to === approver.principal.id && stages.includes(stage));
}

/** True when the last word about a person's vote is that they gave it away. */
export function hasHandedOver(person: string, approval: Pick<ApprovalFacts, 'handovers'>): boolean {
  const last = approval.handovers.findLast(
    ({ fromPerson, toPerson }) => fromPerson === person || toPerson === person,
  );
  return last?.fromPerson === person;
}

/** An approval carries a dispatch only while everybody whose vote it counts may still give it (TRUST 4.12). */
export function whoLapsed(approval: ApprovalFacts, voters: ReadonlyMap<string, Approver>): string | null {
  const lapsed = approval.votes.find((vote) => {
    if (vote.decision !== 'approve') return false;
    const voter = voters.get(vote.principalId);
    if (voter === undefined || lateIdentity(voter, approval) !== null) return true;
    if (vote.breakGlass === true) return !isPermittedStill(voter, 'approvals:break-glass', approval);
    return (
      !isPermittedStill(voter, 'approvals:decide', approval) || !isEligible(voter, vote.stage ?? 0, approval)
    );
  });
  return lapsed?.name ?? null;
}

export type StageProgress = Stage & {
  /** Counted from 0; behind the last stage nothing is left to ask. */
  index: number;
  of: number;
  given: number;
  /** Over all stages. */
  votesLeft: number;
};

/** Where an approval stands follows from its votes alone: each counts for the stage it was given in. */
export function stageOf(approval: Pick<ApprovalFacts, 'rule' | 'votes'>): StageProgress {
  const { stages } = approval.rule;
  const given = stages.map(
    (_stage, index) => approval.votes.filter((vote) => isYes(vote) && (vote.stage ?? 0) === index).length,
  );
  const left = stages.map((stage, index) => Math.max(0, stage.approvals - (given[index] ?? 0)));
  const open = left.findIndex((votes) => votes > 0);
  const index = open < 0 ? stages.length : open;
  const stage = stages[index] ?? { approvals: 0, approvers: { roles: [], groups: [] } };
  return {
    ...stage,
    index,
    of: stages.length,
    given: given[index] ?? 0,
    votesLeft: left.reduce((sum, votes) => sum + votes, 0),
  };
}

function isYes(vote: Vote): boolean {
  return vote.decision === 'approve' && vote.breakGlass !== true;
}

/** How many have broken the glass. */
export function brokenGlass(votes: Vote[]): number {
  return votes.filter((vote) => vote.decision === 'approve' && vote.breakGlass === true).length;
}

/** Approvers in words, for people who look for one. */
export function describeApprovers({ roles, groups }: Approvers): string {
  const named = [...roles.map((role) => `role ${role}`), ...groups.map((group) => `group ${group}`)];
  return named.length === 0 ? 'anyone who may decide approvals' : named.join(' or ');
}
