import { and, asc, desc, eq, inArray, type SQL, sql } from 'drizzle-orm';
import type { ApprovalKind, ApprovalState } from '../domain/approval.ts';
import { type Risk, risks } from '../domain/task.ts';
import type { ApprovalRow } from './approvals.ts';
import type { Db } from './client.ts';
import { agents, approvals, tasks } from './schema/index.ts';
import { withinScopes } from './scopes.ts';

export const inboxSorts = ['oldest', 'newest', 'risk', 'expiry'] as const;
export type InboxSort = (typeof inboxSorts)[number];

export type InboxFilter = {
  state?: ApprovalState | undefined;
  kind?: ApprovalKind | undefined;
  risk?: Risk | undefined;
  /** These two may end in `*`. */
  target?: string | undefined;
  type?: string | undefined;
  requestedBy?: string | undefined;
  olderThanMs?: number | undefined;
  expiresWithinMs?: number | undefined;
  /** Part of the title, in any case. */
  text?: string | undefined;
  ids?: string[] | undefined;
  /** Scopes of the reader; null or none given is every target. */
  scopes?: readonly string[] | null;
  /** Leaves out what this person certainly cannot decide; the rule itself is asked about the rest. */
  maybeFor?: { id: string; person: string } | undefined;
};

/** Where a page ended; `sort` is part of it, as a place means nothing in another order. */
export type InboxPlace = { sort: InboxSort; rank: number; atMs: number; id: string };

const rankOfRisk = sql`(case ${approvals.risk} when 'high' then 0 when 'medium' then 1 else 2 end)`;

function wanted(filter: InboxFilter): (SQL | undefined)[] {
  const { state, kind, risk, target, type, requestedBy, olderThanMs, expiresWithinMs, text } = filter;
  const { ids, scopes = null, maybeFor } = filter;
  const seconds = (ms: number): SQL => sql`make_interval(secs => ${ms / 1000}::double precision)`;
  return [
    state === undefined ? undefined : eq(approvals.state, state),
    kind === undefined ? undefined : eq(approvals.kind, kind),
    risk === undefined ? undefined : eq(approvals.risk, risk),
    target === undefined ? undefined : withinScopes(approvals.target, [target]),
    type === undefined ? undefined : withinScopes(approvals.type, [type]),
    requestedBy === undefined ? undefined : eq(approvals.requestedBy, requestedBy),
    olderThanMs === undefined ? undefined : sql`${approvals.createdAt} <= now() - ${seconds(olderThanMs)}`,
    expiresWithinMs === undefined
      ? undefined
      : sql`${approvals.expiresAt} <= now() + ${seconds(expiresWithinMs)}`,
    text === undefined ? undefined : sql`strpos(lower(${approvals.title}), lower(${text})) > 0`,
    ids === undefined ? undefined : inArray(approvals.id, ids),
    withinScopes(approvals.target, scopes),
    maybeFor === undefined
      ? undefined
      : sql`${approvals.state} = 'open' and ${approvals.expiresAt} > now()
            and ${approvals.requestedByPerson} <> ${maybeFor.person}
            and not ${approvals.votes} @> jsonb_build_array(jsonb_build_object('principalId', ${maybeFor.id}::text))`,
  ];
}

function behind({ sort, rank, atMs, id }: InboxPlace): SQL {
  const at = sql`${new Date(atMs).toISOString()}::timestamptz`;
  const { createdAt, expiresAt, id: ownId } = approvals;
  if (sort === 'newest') return sql`(${createdAt}, ${ownId}) < (${at}, ${id})`;
  if (sort === 'expiry') return sql`(${expiresAt}, ${ownId}) > (${at}, ${id})`;
  if (sort === 'oldest') return sql`(${createdAt}, ${ownId}) > (${at}, ${id})`;
  return sql`(${rankOfRisk}, ${createdAt}, ${ownId}) > (${rank}::int, ${at}, ${id})`;
}

function orderOf(sort: InboxSort): SQL[] {
  const { createdAt, expiresAt, id } = approvals;
  if (sort === 'newest') return [desc(createdAt), desc(id)];
  if (sort === 'expiry') return [asc(expiresAt), asc(id)];
  return [...(sort === 'risk' ? [asc(rankOfRisk)] : []), asc(createdAt), asc(id)];
}

/** Approvals in one of the orders, behind a place of that order. */
export async function listInbox(
  db: Db,
  filter: InboxFilter,
  page: { sort: InboxSort; after: InboxPlace | null; limit: number },
): Promise<ApprovalRow[]> {
  return db
    .select()
    .from(approvals)
    .where(and(...wanted(filter), page.after === null ? undefined : behind(page.after)))
    .orderBy(...orderOf(page.sort))
    .limit(page.limit);
}

/** The place of a row in an order. */
export function placeOf(sort: InboxSort, row: ApprovalRow): InboxPlace {
  const at = sort === 'expiry' ? row.expiresAt : row.createdAt;
  return { sort, rank: risks.length - 1 - risks.indexOf(row.risk), atMs: at.getTime(), id: row.id };
}

export type InboxFacts = {
  agent: { id: string; name: string | null } | null;
  reversible: boolean;
  /** How many other entities it reaches. */
  blastRadius: number;
  evidenceCount: number;
  /** How many proposals this one decision answers. */
  groupSize: number;
  /** Where a proposal that joined gave a higher risk. */
  riskProposedLater: Risk | null;
};

/** What the work behind approvals is like, by the id of the work. */
export async function inboxFacts(db: Db, rows: ApprovalRow[]): Promise<Map<string, InboxFacts>> {
  if (rows.length === 0) return new Map();
  const found = await db
    .select({
      id: tasks.id,
      agentId: tasks.agentId,
      agentName: agents.name,
      reversible: tasks.reversible,
      blastRadius: tasks.blastRadius,
      evidenceCount: tasks.evidenceCount,
      folded: tasks.folded,
      foldedRisk: tasks.foldedRisk,
    })
    .from(tasks)
    .leftJoin(agents, eq(tasks.agentId, agents.id))
    .where(inArray(tasks.id, [...new Set(rows.map(({ subjectId }) => subjectId))]));
  return new Map(
    found.map(({ id, agentId, agentName, reversible, blastRadius, evidenceCount, folded, foldedRisk }) => [
      id,
      {
        agent: agentId === null ? null : { id: agentId, name: agentName },
        reversible,
        blastRadius,
        evidenceCount,
        groupSize: folded + 1,
        riskProposedLater: foldedRisk,
      },
    ]),
  );
}

export type InboxSummary = {
  open: number;
  byKind: Partial<Record<ApprovalKind, number>>;
  byRisk: Record<Risk, number>;
  oldestAgeSeconds: number | null;
  nextExpirySeconds: number | null;
};

/** What waits, in numbers: for a badge. */
export async function inboxSummary(db: Db, scopes: readonly string[] | null): Promise<InboxSummary> {
  const rows = await db
    .select({
      kind: approvals.kind,
      risk: approvals.risk,
      count: sql<number>`count(*)::int`,
      age: sql<number>`floor(extract(epoch from now() - min(${approvals.createdAt})))::float8`,
      left: sql<number>`floor(extract(epoch from min(${approvals.expiresAt}) - now()))::float8`,
    })
    .from(approvals)
    .where(and(...wanted({ state: 'open', scopes })))
    .groupBy(approvals.kind, approvals.risk);
  const byKind: InboxSummary['byKind'] = {};
  const byRisk: InboxSummary['byRisk'] = { low: 0, medium: 0, high: 0 };
  for (const { kind, risk, count } of rows) {
    byKind[kind] = (byKind[kind] ?? 0) + count;
    byRisk[risk] += count;
  }
  return {
    open: rows.reduce((sum, { count }) => sum + count, 0),
    byKind,
    byRisk,
    oldestAgeSeconds: rows.length === 0 ? null : Math.max(0, ...rows.map(({ age }) => age)),
    nextExpirySeconds: rows.length === 0 ? null : Math.max(0, Math.min(...rows.map(({ left }) => left))),
  };
}
