import { sql } from 'drizzle-orm';
import type { ApprovalKind, ApprovalState, Vote } from '../domain/approval.ts';
import type { RecordedApproval, RecordedVote } from '../domain/policy-backtest.ts';
import type { DispatchMode, Risk } from '../domain/task.ts';
import type { Db } from './client.ts';
import { groupMembers, principals } from './schema/index.ts';

const batchSize = 10_000;

type Row = {
  id: string;
  title: string;
  kind: ApprovalKind;
  risk: Risk;
  target: string;
  type: string;
  requested_by: string;
  opened_ms: number;
  decided_ms: number | null;
  state: ApprovalState;
  votes: (Vote & { role?: string; groups?: string[] })[];
  required_approvals: number;
  dispatch_mode: DispatchMode | null;
};

type Membership = { roleOf: Map<string, string>; groupsOf: Map<string, string[]> };

/** Roles and groups as they are today. */
async function membership(db: Db): Promise<Membership> {
  const [people, members] = await Promise.all([
    db.select({ id: principals.id, role: principals.role }).from(principals),
    db.select({ id: groupMembers.principalId, group: groupMembers.groupName }).from(groupMembers),
  ]);
  const groupsOf = new Map<string, string[]>();
  for (const { id, group } of members) groupsOf.set(id, [...(groupsOf.get(id) ?? []), group]);
  return { roleOf: new Map(people.map(({ id, role }) => [id, role])), groupsOf };
}

/**
 * The approvals that were opened in the last days, newest first, batch by batch: the caller's process answers others
 * between two of them. Neither contents nor rules are read, as a back-test needs none.
 */
export async function* recordedApprovals(
  db: Db,
  window: { days: number; max: number },
): AsyncGenerator<RecordedApproval[]> {
  const known = await membership(db);
  let before: { ms: number; id: string } | null = null;
  for (let read = 0; read < window.max;) {
    const size = Math.min(batchSize, window.max - read);
    const rows: Row[] = await readBatch(db, window.days, before, size);
    read += rows.length;
    if (rows.length > 0) yield rows.map((row) => recorded(row, known));
    const last = rows.at(-1);
    if (last === undefined || rows.length < size) return;
    before = { ms: last.opened_ms, id: last.id };
  }
}

async function readBatch(
  db: Db,
  days: number,
  before: { ms: number; id: string } | null,
  size: number,
): Promise<Row[]> {
  const rows = await db.execute(sql`
    select a.id, a.title, a.kind, a.risk, a.target, a.type, a.requested_by, a.state, a.votes, a.required_approvals,
           (extract(epoch from a.created_at) * 1000)::float8 as opened_ms,
           (extract(epoch from a.decided_at) * 1000)::float8 as decided_ms, t.dispatch_mode
    from approvals a left join tasks t on a.kind = 'task' and t.id = a.subject_id
    where a.created_at >= now() - make_interval(days => ${days}::int)
      ${
        before === null
          ? sql``
          : sql`and (a.created_at, a.id) < (to_timestamp(${before.ms / 1000}::float8)::timestamptz(3), ${before.id})`
      }
    order by a.created_at desc, a.id desc
    limit ${size}::int`);
  return rows as unknown as Row[];
}

function recorded(row: Row, { roleOf, groupsOf }: Membership): RecordedApproval {
  const votes = row.votes.map((vote): RecordedVote => ({
    principalId: vote.principalId,
    name: vote.name,
    decision: vote.decision,
    atMs: Date.parse(vote.at),
    hasReason: (vote.reason ?? '').trim() !== '',
    role: vote.role ?? roleOf.get(vote.principalId) ?? '',
    groups: vote.groups ?? groupsOf.get(vote.principalId) ?? [],
  }));
  return {
    ...{ id: row.id, title: row.title, kind: row.kind, risk: row.risk, target: row.target, type: row.type },
    requestedBy: row.requested_by,
    requesterGroups: groupsOf.get(row.requested_by) ?? [],
    openedAtMs: row.opened_ms,
    decidedAtMs: row.decided_ms,
    state: row.state,
    votes,
    requiredApprovals: row.required_approvals,
    dispatchMode: row.dispatch_mode,
  };
}
