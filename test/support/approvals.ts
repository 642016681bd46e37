import { permissionsOf, type Principal } from '../../domain/access.ts';
import type { DecisionFacts } from '../../domain/approval.ts';
import type { ApprovalFacts, Approver, Right } from '../../domain/approver.ts';
import { anyone, builtInPolicy, type PolicyRule } from '../../domain/policy.ts';

/** The moment the approvals of these tests were asked for. */
export const askedAtMs = 1_000_000;

export function aPrincipal(given: Partial<Principal> = {}): Principal {
  const { id = 'prn_operator', role = 'operator' } = given;
  const permissions = permissionsOf(role);
  return { id, kind: 'human', name: 'Olga', role, person: id, permissions, ...given };
}

export function aRight(given: Partial<Right> & Pick<Right, 'what'>): Right {
  return { name: '', scope: '*', permissions: [], givenBy: null, givenAtMs: 0, ...given };
}

/** Somebody with an account and a role that were there before anything was asked. */
export function anApprover(
  given: Partial<Principal> & { active?: boolean; rights?: Right[]; groups?: string[] } = {},
): Approver {
  const { active = true, rights = [], groups = [], ...who } = given;
  const principal = aPrincipal(who);
  return {
    principal,
    active,
    rights: [
      aRight({ what: 'account' }),
      aRight({ what: 'role', name: principal.role, permissions: permissionsOf(principal.role) }),
      ...groups.map((name) => aRight({ what: 'group', name })),
      ...rights,
    ],
  };
}

export function aRule(given: Partial<PolicyRule> & { quorum?: number } = {}): PolicyRule {
  const { quorum = 1, ...rule } = given;
  return {
    ...builtInPolicy('medium').rule,
    stages: [{ approvals: quorum, approvers: anyone }],
    ...rule,
  };
}

export function anApproval(given: Partial<ApprovalFacts> & { quorum?: number } = {}): ApprovalFacts {
  const { quorum = 1, ...facts } = given;
  return {
    id: 'apr_1',
    kind: 'task',
    state: 'open',
    digest: 'd1',
    target: 'probe:shop',
    rule: aRule({ quorum }),
    findings: [],
    votes: [],
    handovers: [],
    requestedBy: 'prn_requester',
    requestedByPerson: 'prn_requester',
    askedByPerson: 'prn_requester',
    askedAtMs,
    escalatedAtMs: null,
    expiresAtMs: askedAtMs + 1,
    decidedAt: null,
    ...facts,
  };
}

export function aDecision(given: Partial<DecisionFacts> = {}): DecisionFacts {
  return {
    approvalId: 'apr_1',
    decision: 'approve',
    digest: 'd1',
    reason: null,
    acknowledgedFindings: [],
    breakGlass: false,
    approver: anApprover(),
    loginAtMs: null,
    madeAtMs: null,
    ...given,
  };
}

export function aVote(principalId: string, name = principalId) {
  return { principalId, name, decision: 'approve' as const, at: '2026-01-01T00:00:00.000Z', reason: null };
}
