import type { ApprovalKind, ApprovalState, Decision } from './approval.ts';
import { approvalsNeeded, type Approvers, type Policy, type PolicyRule, resolvePolicy } from './policy.ts';
import type { DispatchMode, Risk } from './task.ts';

/*
 * What would have been, had a changed set of policies been in force: each recorded approval is opened again under the
 * policy it would fall under now, and the votes that people really gave are counted again, each at its own time. Where
 * the changed set leaves an approval under the same policy as the present set, nothing differs because of the change.
 * Only recorded votes count: whoever else would have voted, had more been needed, is not known.
 */

export type RecordedVote = {
  principalId: string;
  name: string;
  decision: Decision;
  atMs: number;
  hasReason: boolean;
  role: string;
  groups: string[];
};

export type RecordedApproval = {
  id: string;
  title: string;
  kind: ApprovalKind;
  risk: Risk;
  target: string;
  type: string;
  requestedBy: string;
  requesterGroups: string[];
  openedAtMs: number;
  decidedAtMs: number | null;
  state: ApprovalState;
  votes: RecordedVote[];
  requiredApprovals: number;
  /** How the work really was dispatched; empty for work that is not dispatched by itself. */
  dispatchMode: DispatchMode | null;
};

export const voteFaults = ['not-eligible', 'reason-missing', 'after-expiry'] as const;
export type VoteFault = (typeof voteFaults)[number];

/** From best to worst for who waits: what the changed set would have made of a recorded approval. */
export const backTestEffects = ['unchanged', 'changed', 'sooner', 'slowed', 'refused', 'expired'] as const;
export type BackTestEffect = (typeof backTestEffects)[number];

export type BackTested = {
  id: string;
  title: string;
  effect: BackTestEffect;
  policy: { from: string; to: string };
  people: { from: number; to: number } | null;
  votesNotCounted: { name: string; because: VoteFault }[];
  dispatch: { from: DispatchMode; to: DispatchMode } | null;
  waitedMs: number | null;
  /** How long it would have waited; empty where the recorded votes would not have decided it. */
  wouldWaitMs: number | null;
};

export type PolicySets = { present: readonly Policy[]; changed: readonly Policy[] };

/** The present set with one policy put in or replaced, in force as if it had been enabled. */
export function withPolicy(present: readonly Policy[], draft: Policy): Policy[] {
  return [...present.filter(({ id }) => id !== draft.id), draft];
}

function isEligible({ roles, groups }: Approvers, vote: RecordedVote): boolean {
  if (roles.length + groups.length === 0) return true;
  return roles.includes(vote.role) || groups.some((group) => vote.groups.includes(group));
}

function isNamed({ roles, groups }: Approvers): boolean {
  return roles.length + groups.length > 0;
}

/** Why a vote would not have counted in a stage at its time; null when it would have. */
function faultOf(rule: PolicyRule, stage: number, vote: RecordedVote, openedAtMs: number): VoteFault | null {
  const waitedMs = vote.atMs - openedAtMs;
  if (waitedMs >= rule.expiresInMs) return 'after-expiry';
  const isEscalated = rule.escalateAfterMs !== null && waitedMs >= rule.escalateAfterMs;
  const mayVote =
    isEligible(rule.stages[stage]?.approvers ?? { roles: [], groups: [] }, vote) ||
    (isEscalated && isNamed(rule.escalateTo) && isEligible(rule.escalateTo, vote));
  if (!mayVote) return 'not-eligible';
  return rule.reasonRequired && !vote.hasReason ? 'reason-missing' : null;
}

type Counted = {
  end: 'approved' | 'rejected' | null;
  endedAtMs: number | null;
  faults: { name: string; because: VoteFault }[];
};

/** Counts recorded votes in their order under a rule, until it is decided. */
function countVotes(rule: PolicyRule, approval: RecordedApproval): Counted {
  const votes = [...approval.votes].sort((a, b) => a.atMs - b.atMs);
  const faults: Counted['faults'] = [];
  let stage = 0;
  let inStage = 0;
  for (const vote of votes) {
    const fault = faultOf(rule, stage, vote, approval.openedAtMs);
    if (fault !== null) {
      faults.push({ name: vote.name, because: fault });
      continue;
    }
    if (vote.decision === 'reject') return { end: 'rejected', endedAtMs: vote.atMs, faults };
    inStage += 1;
    if (inStage >= (rule.stages[stage]?.approvals ?? 1)) {
      stage += 1;
      inStage = 0;
    }
    if (stage >= rule.stages.length) return { end: 'approved', endedAtMs: vote.atMs, faults };
  }
  return { end: null, endedAtMs: null, faults };
}

function effectOf(approval: RecordedApproval, counted: Counted): BackTestEffect {
  const wasDecided = approval.state === 'approved' || approval.state === 'rejected';
  if (!wasDecided) return counted.end === null ? 'changed' : 'sooner';
  if (counted.end === null) {
    if (counted.faults.some(({ because }) => because === 'after-expiry')) return 'expired';
    return counted.faults.length > 0 ? 'refused' : 'slowed';
  }
  const lastVoteMs = Math.max(...approval.votes.map(({ atMs }) => atMs));
  return counted.endedAtMs !== null && counted.endedAtMs < lastVoteMs ? 'sooner' : 'changed';
}

function dispatchUnder(
  rule: PolicyRule,
  recorded: DispatchMode | null,
): { from: DispatchMode; to: DispatchMode } | null {
  if (recorded === null || rule.dispatchMode === 'as-asked' || rule.dispatchMode === recorded) return null;
  return { from: recorded, to: rule.dispatchMode };
}

/** One recorded approval under the changed set: what of it would have been different, and to what effect. */
export function backTest(sets: PolicySets, approval: RecordedApproval): BackTested {
  const facts = { ...approval, groups: approval.requesterGroups };
  const before = resolvePolicy(sets.present, facts);
  const after = resolvePolicy(sets.changed, facts);
  const waitedMs = approval.decidedAtMs === null ? null : approval.decidedAtMs - approval.openedAtMs;
  const { id, title } = approval;
  const policy = { from: before.name, to: after.name };
  if (before.id === after.id && before.version === after.version)
    return {
      ...{ id, title, effect: 'unchanged', policy, people: null, votesNotCounted: [], dispatch: null },
      ...{ waitedMs, wouldWaitMs: waitedMs },
    };
  const counted = countVotes(after.rule, approval);
  const to = approvalsNeeded(after.rule);
  const people = to === approval.requiredApprovals ? null : { from: approval.requiredApprovals, to };
  const dispatch = dispatchUnder(after.rule, approval.dispatchMode);
  return {
    ...{ id, title, effect: effectOf(approval, counted), policy, people, dispatch, waitedMs },
    votesNotCounted: counted.faults,
    wouldWaitMs: counted.endedAtMs === null ? null : counted.endedAtMs - approval.openedAtMs,
  };
}

export type BackTestTotals = {
  approvals: number;
  effects: Record<BackTestEffect, number>;
  morePeople: number;
  fewerPeople: number;
  votesNotCounted: number;
  becomeAutomatic: number;
  becomeManual: number;
  medianWaitMs: number | null;
  medianWouldWaitMs: number | null;
};

function median(values: number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) return null;
  const lower = sorted.length % 2 === 0 ? (sorted[middle - 1] ?? upper) : upper;
  return Math.round((lower + upper) / 2);
}

/** The whole window in numbers. */
export function backTestTotals(tested: readonly BackTested[]): BackTestTotals {
  const count = (is: (each: BackTested) => boolean): number => tested.filter(is).length;
  const known = (of: (each: BackTested) => number | null): number[] =>
    tested.map(of).filter((ms): ms is number => ms !== null);
  const effects = Object.fromEntries(
    backTestEffects.map((effect) => [effect, count((each) => each.effect === effect)]),
  ) as Record<BackTestEffect, number>;
  return {
    approvals: tested.length,
    effects,
    morePeople: count(({ people }) => people !== null && people.to > people.from),
    fewerPeople: count(({ people }) => people !== null && people.to < people.from),
    votesNotCounted: tested.reduce((sum, { votesNotCounted }) => sum + votesNotCounted.length, 0),
    becomeAutomatic: count(({ dispatch }) => dispatch?.to === 'auto'),
    becomeManual: count(({ dispatch }) => dispatch?.to === 'manual'),
    medianWaitMs: median(known(({ waitedMs }) => waitedMs)),
    medianWouldWaitMs: median(known(({ wouldWaitMs }) => wouldWaitMs)),
  };
}

/** What no record can tell, said with every back-test. */
export const backTestLimits = [
  'Who else would have voted, had more people been asked, is not known: slowed and refused mean that the recorded votes alone would not have been enough.',
  'Silence is not recorded: an approval that nobody answered stays unanswered here, whoever a reminder or an escalation would have reached.',
  'Votes that were refused at the time are no votes of the approval and are not counted again; neither is the age of a login.',
  'A vote that was handed over counts for whoever gave it, by their own role and groups.',
  'Where a vote does not hold the role and the groups of its voter, those of today are taken, as are the groups of the requester.',
] as const;
