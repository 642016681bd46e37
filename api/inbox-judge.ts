import { type ApprovalRow, databaseNow } from '../db/approvals.ts';
import type { Decision } from '../domain/approval.ts';
import type { ApiDeps, Asker } from './context.ts';
import { allowedActions } from './decision-rule.ts';

export type Judged = { allowedActions: Decision[]; whyNot: string | null };
export type Judge = { nowMs: number; judge: (row: ApprovalRow) => Judged };

/** The one rule of decisions for one caller, asked row by row: what it needs of the caller is read once. */
export async function judgeFor(deps: ApiDeps, asker: Asker): Promise<Judge> {
  const nowMs = await databaseNow(deps.database.db);
  return { nowMs, judge: (row) => allowedActions(row, asker.principal, nowMs) };
}

/** The targets whose approvals a caller may see; null means every one. */
export function readScopes({ principal }: Pick<Asker, 'principal'>): string[] | null {
  const permission = 'approvals:read';
  if (principal.permissions.includes(permission)) return null;
  const scopes = principal.permissions
    .filter((held) => held.startsWith(`${permission}@`))
    .map((held) => held.slice(permission.length + 1));
  return scopes.includes('*') ? null : scopes;
}
