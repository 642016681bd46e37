import { eq, sql } from 'drizzle-orm';
import type { ApprovalFacts } from '../domain/approval.ts';
import { anyone, builtInPolicy, type PolicyRule } from '../domain/policy.ts';
import type { Db } from './client.ts';
import { approvals } from './schema/index.ts';

export type ApprovalRow = typeof approvals.$inferSelect;

export async function getApproval(db: Db, id: string): Promise<ApprovalRow | null> {
  const [row] = await db.select().from(approvals).where(eq(approvals.id, id));
  return row ?? null;
}

/** The row as the decision rule sees it. */
export function approvalFacts(row: ApprovalRow): ApprovalFacts {
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    digest: row.digest,
    target: row.target,
    rule: ruleOf(row),
    findings: row.findings,
    votes: row.votes,
    handovers: row.handovers,
    requestedBy: row.requestedBy,
    requestedByPerson: row.requestedByPerson,
    askedByPerson: row.askedByPerson,
    askedAtMs: Math.min(row.askedAt.getTime(), row.createdAt.getTime()),
    escalatedAtMs: row.escalatedAt?.getTime() ?? null,
    expiresAtMs: row.expiresAt.getTime(),
    decidedAt: row.decidedAt?.toISOString() ?? null,
  };
}

/** An approval that was opened before there were policies asks for what it asked for then. */
function ruleOf(row: Pick<ApprovalRow, 'rule' | 'requiredApprovals'>): PolicyRule {
  const stored: Partial<PolicyRule> = row.rule;
  if (stored.stages !== undefined) return row.rule;
  return {
    ...builtInPolicy('low').rule,
    stages: [{ approvals: row.requiredApprovals, approvers: anyone }],
    handOverAllowed: false,
    editAllowed: false,
  };
}

/** The database's clock in milliseconds: every expiry is decided by it. */
export async function databaseNow(db: Db): Promise<number> {
  const [row] = await db.execute(sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`);
  return Number(row?.ms);
}
