import { approvalFacts, type ApprovalRow, databaseNow, getApproval } from '../db/approvals.ts';
import { auditRefusal } from '../db/change.ts';
import { newId } from '../db/ids.ts';
import { riskOf } from '../db/risk.ts';
import type { Principal } from '../domain/access.ts';
import { decide, type Decision, decisions, settledBy } from '../domain/approval.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { highRiskScore } from '../domain/risk.ts';
import type { ApiDeps } from './context.ts';
import { throwRefusal } from './problems.ts';

export type Wish = { decision: Decision; digest: string; reason: string | null };

/** Asks the rule before anything is written; the run asks it again on fresh rows. A refusal is audited. */
export async function requireAllowed(
  deps: ApiDeps,
  approvalId: string,
  asker: { principal: Principal; requestId: string },
  wishOf: (approval: ApprovalRow) => Wish,
): Promise<{ approval: ApprovalRow; wish: Wish }> {
  const { db } = deps.database;
  const [approval, nowMs] = await Promise.all([getApproval(db, approvalId), databaseNow(db)]);
  if (approval === null) throwRefusal(refuse('NOT_FOUND', `There is no approval ${approvalId}.`));
  const wish = wishOf(approval);
  const refusal =
    check(approval, asker.principal, wish, nowMs) ?? (await checkRisk(deps, approval, asker.principal));
  if (refusal === null) return { approval, wish };
  const audit = {
    actor: asker.principal.id,
    action: `approval.${wish.decision}`,
    subjectKind: 'approval',
    subjectId: approval.id,
    detail: { requestId: asker.requestId },
  };
  // Callers choose their request id, so it alone would let a repeated one go unrecorded.
  await auditRefusal(db, `refused-api:${asker.requestId}:${newId('ref')}`, audit, refusal);
  throwRefusal(refusal);
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

function check(row: ApprovalRow, principal: Principal, wish: Wish, nowMs: number): Refusal | null {
  const facts = { approvalId: row.id, ...wish, principal, principalActive: true };
  const verdict = decide(approvalFacts(row), facts, nowMs);
  return isRefusal(verdict) ? verdict : null;
}

/** What the caller could do with an approval as it stands; where that is nothing, why not. */
export function allowedActions(
  row: ApprovalRow,
  principal: Principal,
  nowMs: number,
): { allowedActions: Decision[]; whyNot: string | null } {
  const refusal = check(row, principal, { decision: 'approve', digest: row.digest, reason: null }, nowMs);
  return refusal === null
    ? { allowedActions: [...decisions], whyNot: null }
    : { allowedActions: [], whyNot: refusal.message };
}

/** What a person is told whose decision came after another one. */
export function settledRefusal(row: ApprovalRow): Refusal | null {
  if (row.state === 'open') return null;
  const by = settledBy(approvalFacts(row));
  const who = typeof by.decidedBy === 'string' ? ` by ${by.decidedBy}` : '';
  const code = row.state === 'expired' ? 'EXPIRED' : 'CONFLICT';
  return refuse(code, `This approval is already ${row.state}${who}; nothing was changed.`, by);
}
