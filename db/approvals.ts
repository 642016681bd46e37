import { and, asc, desc, eq, lt, gt, or, sql, type SQL } from 'drizzle-orm';
import type { ApprovalFacts, ApprovalKind, ApprovalState } from '../domain/approval.ts';
import { anyone, builtInPolicy, type PolicyRule } from '../domain/policy.ts';
import type { Risk } from '../domain/task.ts';
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

export type ApprovalFilter = {
  state?: ApprovalState | undefined;
  kind?: ApprovalKind | undefined;
  risk?: Risk | undefined;
};

type Place = { createdAt: Date; id: string };

/** The inbox: open approvals oldest first, so that what waits longest is on top; settled ones newest first. */
export async function listApprovals(
  db: Db,
  filter: ApprovalFilter,
  after: Place | null,
  limit: number,
): Promise<ApprovalRow[]> {
  const oldestFirst = filter.state === 'open';
  const compare = oldestFirst ? gt : lt;
  const direction = oldestFirst ? asc : desc;
  const wanted: (SQL | undefined)[] = [
    filter.state === undefined ? undefined : eq(approvals.state, filter.state),
    filter.kind === undefined ? undefined : eq(approvals.kind, filter.kind),
    filter.risk === undefined ? undefined : eq(approvals.risk, filter.risk),
    after === null
      ? undefined
      : or(
          compare(approvals.createdAt, after.createdAt),
          and(eq(approvals.createdAt, after.createdAt), compare(approvals.id, after.id)),
        ),
  ];
  return db
    .select()
    .from(approvals)
    .where(and(...wanted))
    .orderBy(direction(approvals.createdAt), direction(approvals.id))
    .limit(limit);
}

/** The database's clock in milliseconds: every expiry is decided by it. */
export async function databaseNow(db: Db): Promise<number> {
  const [row] = await db.execute(sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`);
  return Number(row?.ms);
}
