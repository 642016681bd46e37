import { matchesScope, type Principal } from './access.ts';
import type { ApprovalKind } from './approval-record.ts';
import { refuse, type Refusal } from './refusal.ts';
import type { DispatchMode, Risk } from './task.ts';

/** Who may approve: people with one of the roles or in one of the groups; nobody named means everyone permitted. */
export type Approvers = { roles: string[]; groups: string[] };

/** So many different people of these approvers, before the next stage begins. */
export type Stage = { approvals: number; approvers: Approvers };

/** What a policy asks for. An approval keeps the rule it was opened under; later edits do not reach it. */
export type PolicyRule = {
  stages: Stage[];
  expiresInMs: number;
  /** After this long without a decision the approvers are reminded, again and again. */
  remindEveryMs: number | null;
  /** After this long `escalateTo` may approve as well, in whatever stage the approval is. */
  escalateAfterMs: number | null;
  escalateTo: Approvers;
  handOverAllowed: boolean;
  editAllowed: boolean;
  reasonRequired: boolean;
  /** A token from an identity provider must be of a login no older than this; keys are presented anew each time. */
  freshLoginMs: number | null;
  /** `as-asked` leaves it to who creates the task. */
  dispatchMode: DispatchMode | 'as-asked';
};

/** What a policy is for; an empty list matches everything. Targets and types may end in `*`. */
export type PolicyMatch = {
  kinds: ApprovalKind[];
  risks: Risk[];
  targets: string[];
  types: string[];
  /** Groups of the requester. */
  groups: string[];
};

export type Policy = {
  id: string;
  name: string;
  /** One number line for all policies: a changed policy has a version that none ever had. */
  version: number;
  /** Of several that match, the one with the lowest place counts; then the oldest version. */
  place: number;
  match: PolicyMatch;
  rule: PolicyRule;
};

/** What of a piece of work decides which policy it falls under. */
export type PolicyFacts = {
  kind: ApprovalKind;
  risk: Risk;
  target: string;
  type: string;
  groups: string[];
};

export const anyone: Approvers = { roles: [], groups: [] };
const hourMs = 3_600_000;
/** Versions below this belong to the policies that are built in. */
export const firstStoredVersion = 100;

/**
 * Where no stored policy matches: high risk needs two people and a reason, anything else one; who decides is reminded
 * once a day, and nobody's silence counts for longer than 72 h (LEDGER 5.6, TRUST 4.17).
 */
export function builtInPolicy(risk: Risk): Policy {
  const isHigh = risk === 'high';
  return {
    id: isHigh ? 'built-in-high' : 'built-in',
    name: isHigh ? 'built-in, high risk' : 'built-in',
    version: 2,
    place: Number.MAX_SAFE_INTEGER,
    match: { kinds: [], risks: [], targets: [], types: [], groups: [] },
    rule: {
      stages: [{ approvals: isHigh ? 2 : 1, approvers: anyone }],
      expiresInMs: 72 * hourMs,
      remindEveryMs: 24 * hourMs,
      escalateAfterMs: 48 * hourMs,
      escalateTo: anyone,
      handOverAllowed: true,
      editAllowed: true,
      reasonRequired: isHigh,
      freshLoginMs: isHigh ? hourMs / 4 : null,
      dispatchMode: 'as-asked',
    },
  };
}

function isAmong<T>(wanted: readonly T[], value: T): boolean {
  return wanted.length === 0 || wanted.includes(value);
}

/** A policy is for a piece of work when each of its lists is empty or names it. */
export function matchesPolicy(match: PolicyMatch, facts: PolicyFacts): boolean {
  return (
    isAmong(match.kinds, facts.kind) &&
    isAmong(match.risks, facts.risk) &&
    (match.targets.length === 0 || match.targets.some((scope) => matchesScope(scope, facts.target))) &&
    (match.types.length === 0 || match.types.some((scope) => matchesScope(scope, facts.type))) &&
    (match.groups.length === 0 || match.groups.some((group) => facts.groups.includes(group)))
  );
}

/** The policy that counts: the first that matches by place, then by version; without one the built-in. */
export function resolvePolicy(policies: readonly Policy[], facts: PolicyFacts): Policy {
  const matching = policies.filter(({ match }) => matchesPolicy(match, facts));
  matching.sort((a, b) => a.place - b.place || a.version - b.version);
  return matching[0] ?? builtInPolicy(facts.risk);
}

/** How many different people a rule asks for over all its stages. */
export function approvalsNeeded(rule: PolicyRule): number {
  return rule.stages.reduce((sum, stage) => sum + stage.approvals, 0);
}

/** What of a stored policy decides whether it may come into force. */
export type PolicyReview = Pick<Policy, 'name' | 'version'> & { enabled: boolean; editedByPerson: string };

/**
 * A policy comes into force when a person other than the one who wrote this version says so, on exactly the version
 * that was read: who writes the rule of a gate does not open it alone.
 */
export function checkEnable(
  policy: PolicyReview,
  reader: Pick<Principal, 'kind' | 'name' | 'person'>,
  version: number,
): Refusal | null {
  if (reader.kind !== 'human')
    return refuse(
      'FORBIDDEN',
      `${reader.name} is a principal of the kind ${reader.kind}; only people enable policies.`,
    );
  if (policy.editedByPerson === reader.person)
    return refuse(
      'FORBIDDEN',
      `${reader.name} wrote version ${policy.version} of ${policy.name} and cannot enable it; another person has to (four-eyes rule).`,
    );
  if (policy.version !== version)
    return refuse(
      'STALE',
      `${policy.name} is at version ${policy.version} now; read it again, then enable it.`,
      {
        current: policy.version,
        yours: version,
      },
    );
  if (policy.enabled)
    return refuse('CONFLICT', `Version ${policy.version} of ${policy.name} is already enabled.`);
  return null;
}
