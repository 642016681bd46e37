import { eq, sql } from 'drizzle-orm';
import type { ApprovalFacts } from '../domain/approval.ts';
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
    state: row.state,
    digest: row.digest,
    requestedBy: row.requestedBy,
    requiredApprovals: row.requiredApprovals,
    votes: row.votes,
    expiresAtMs: row.expiresAt.getTime(),
    decidedAt: row.decidedAt?.toISOString() ?? null,
  };
}

/** The database's clock in milliseconds: every expiry is decided by it. */
export async function databaseNow(db: Db): Promise<number> {
  const [row] = await db.execute(sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`);
  return Number(row?.ms);
}
