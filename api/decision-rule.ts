import { approvalFacts, type ApprovalRow, getApproval } from '../db/approvals.ts';
import { readApprover, type ReadApprover } from '../db/approvers.ts';
import { auditRefusal } from '../db/change.ts';
import { newId } from '../db/ids.ts';
import { holdOnApproval, readSwitches } from '../db/kill-switch.ts';
import { riskOf } from '../db/risk.ts';
import type { Permission, Principal } from '../domain/access.ts';
import { checkEdit, decide, type Decision, type DecisionKind, decisions } from '../domain/approval.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { highRiskScore } from '../domain/risk.ts';
import type { ApiDeps, Asker } from './context.ts';
import { requireObject } from './object-scope.ts';
import { throwRefusal } from './problems.ts';

type Wish<D extends DecisionKind> = {
  decision: D;
  digest: string;
  reason: string | null;
  guidance?: string | null | undefined;
  acknowledgedFindings?: string[] | undefined;
  breakGlass?: boolean | undefined;
};

/** The approval of a path for a caller; one out of its scope is as unknown as one that does not exist. */
export function requireApprovalFor(
  principal: Principal,
  found: ApprovalRow | null,
  id: string,
  need: Permission,
): ApprovalRow {
  return requireObject(principal, found, {
    what: 'approval',
    id,
    target: (row) => row.target,
    read: 'approvals:read',
    need,
  });
}

/** Asks the rule before anything is written; the run asks it again on fresh rows. A refusal is audited. */
export async function requireAllowed<W extends Wish<DecisionKind>>(
  deps: ApiDeps,
  approvalId: string,
  asker: Asker,
  wishOf: (approval: ApprovalRow) => W,
): Promise<{ approval: ApprovalRow; wish: W }> {
  const { db } = deps.database;
  const [found, approver, board] = await Promise.all([
    getApproval(db, approvalId),
    readApprover(db, asker.principal.id, asker.keyId ?? null),
    readSwitches(db),
  ]);
  // What of it they may do is the rule's to say: breaking the glass needs another permission than deciding.
  const approval = requireApprovalFor(asker.principal, found, approvalId, 'approvals:read');
  if (approver === null) throwRefusal(refuse('FORBIDDEN', `${asker.principal.id} is unknown here.`));
  const wish = wishOf(approval);
  const hold = wish.decision === 'approve' ? holdOnApproval(board, approval) : null;
  const refusal =
    check(approval, { ...asker, rights: approver.rights }, wish, approver.nowMs) ??
    hold ??
    (await checkRisk(deps, approval, asker.principal));
  if (refusal === null) return { approval, wish };
  await auditRefused(deps, approval, asker, wish.decision, refusal);
  throwRefusal(refusal);
}

/** A person was told no about an approval: that is on record as well (TRUST 4.47). */
export async function auditRefused(
  deps: ApiDeps,
  approval: ApprovalRow,
  asker: Asker,
  what: string,
  refusal: Refusal,
): Promise<void> {
  const audit = {
    actor: asker.principal.id,
    action: `approval.${what}`,
    subjectKind: 'approval',
    subjectId: approval.id,
    detail: { requestId: asker.requestId },
  };
  // Callers choose their request id, so it alone would let a repeated one go unrecorded.
  await auditRefusal(deps.database.db, `refused-api:${asker.requestId}:${newId('ref')}`, audit, refusal);
}

/** Only high risk asks for the score, so nothing else waits for it. */
async function checkRisk(deps: ApiDeps, row: ApprovalRow, principal: Principal): Promise<Refusal | null> {
  if (row.risk !== 'high') return null;
  const score = await riskOf(deps.database.db, principal.id);
  if (score < highRiskScore) return null;
  return refuse(
    'FORBIDDEN',
    `${principal.name} has the risk score ${score}; from ${highRiskScore} on nobody decides on high risk. Its threats, refusals and failed logins of the last 24 hours make it: \`dreamnet security risk ${principal.id}\`. Another person can decide, or an admin looks into its threats and closes them.`,
    { riskScore: score },
  );
}

type Judged = Pick<Asker, 'principal' | 'loginAtMs'> & Pick<ReadApprover, 'rights'>;

function check(row: ApprovalRow, asker: Judged, wish: Wish<DecisionKind>, nowMs: number): Refusal | null {
  const { principal, rights } = asker;
  const { decision, digest, reason, acknowledgedFindings = [], breakGlass = false } = wish;
  const facts = {
    ...{ approvalId: row.id, digest, reason, acknowledgedFindings, breakGlass },
    approver: { principal, rights, active: true },
    loginAtMs: asker.loginAtMs ?? null,
    madeAtMs: null,
  };
  if (decision === 'edit') return checkEdit(approvalFacts(row), facts, nowMs);
  const verdict = decide(approvalFacts(row), { ...facts, decision }, nowMs);
  return isRefusal(verdict) ? verdict : null;
}

/** What the caller could do with an approval as it stands; where that is nothing, why not. */
export function allowedActions(
  row: ApprovalRow,
  asker: Judged,
  nowMs: number,
): { allowedActions: Decision[]; whyNot: string | null } {
  const wish = { digest: row.digest, reason: 'asks only' };
  const acknowledgedFindings = row.findings.map(({ id }) => id);
  const why = (decision: Decision): Refusal | null =>
    check(row, asker, { ...wish, decision, acknowledgedFindings }, nowMs);
  const refusals = decisions.map((decision) => ({ decision, refusal: why(decision) }));
  return {
    allowedActions: refusals.filter(({ refusal }) => refusal === null).map(({ decision }) => decision),
    whyNot: refusals.find(({ refusal }) => refusal !== null)?.refusal?.message ?? null,
  };
}
