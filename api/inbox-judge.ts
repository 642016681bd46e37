import type { ApprovalRow } from '../db/approvals.ts';
import { readApprover } from '../db/approvers.ts';
import type { Decision } from '../domain/approval.ts';
import type { ApiDeps, Asker } from './context.ts';
import { allowedActions } from './decision-rule.ts';

export type Judged = { allowedActions: Decision[]; whyNot: string | null };
export type Judge = { nowMs: number; judge: (row: ApprovalRow) => Judged };

/** The one rule of decisions for one caller, asked row by row: what it needs of the caller is read once. */
export async function judgeFor(deps: ApiDeps, asker: Asker): Promise<Judge> {
  const approver = await readApprover(deps.database.db, asker.principal.id, asker.keyId ?? null);
  const { nowMs, rights } = approver ?? { nowMs: deps.now(), rights: [] };
  return { nowMs, judge: (row) => allowedActions(row, { ...asker, rights }, nowMs) };
}
