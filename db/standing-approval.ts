import { and, sql, type SQL } from 'drizzle-orm';
import { checkStanding, classOfTarget, isInForce, pairOf } from '../domain/autonomy.ts';
import type { StandingGrant, Vote } from '../domain/approval.ts';
import { eventTypes } from '../domain/events.ts';
import { holdFor } from '../domain/kill-switch.ts';
import type { JsonObject } from '../domain/json.ts';
import { approvalFacts, type ApprovalRow, getApproval } from './approvals.ts';
import { readApprover } from './approvers.ts';
import { getAutonomy, isGrantInForce } from './autonomy.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { aboutApproval, isAsRead } from './decisions.ts';
import { isSameBoard, readSwitches } from './kill-switch.ts';
import { approvals } from './schema/index.ts';
import { getTask } from './tasks.ts';

const none = {};

/**
 * Decides the open approval of what HALO just proposed, where a person granted this action on this class of targets and
 * their own vote would be enough now. Everything that has to hold is asked again by the one statement; where it does
 * not, the approval stays open for people.
 */
export async function grantStanding(db: Db, taskId: string): Promise<{ state: 'pending' } | typeof none> {
  const task = await getTask(db, taskId);
  if (task?.state !== 'pending-approval') return none;
  const pair = { action: task.type, targetClass: classOfTarget(task.target) };
  const row = await getAutonomy(db, pair);
  if (row?.state !== 'granted' || row.grantedBy === null) return none;
  const [approval, grantor, board] = await Promise.all([
    getApproval(db, task.approvalId),
    readApprover(db, row.grantedBy, null),
    readSwitches(db),
  ]);
  if (approval === null || grantor === null) return none;
  if (!isInForce({ state: row.state, expiresAtMs: row.expiresAt?.getTime() ?? null }, grantor.nowMs))
    return none;
  const reason = `standing approval: ${row.reason ?? ''}`;
  const refusal = checkStanding(
    {
      approval: approvalFacts(approval),
      grantor,
      grantReason: reason,
      origin: task.origin,
      risk: task.risk,
      hasAgent: task.agentId !== null,
    },
    grantor.nowMs,
  );
  const work = { kind: 'task', target: task.target };
  const hold = holdFor(board.switches, work, 'approve') ?? holdFor(board.switches, work, 'dispatch');
  if (refusal !== null || hold !== null) return none;
  const grant: StandingGrant = { ...pair, version: row.version };
  const { id, name, person } = grantor.principal;
  const vote: Vote = {
    ...{ principalId: id, person, name, decision: 'approve', stage: 0 },
    ...{ at: new Date(grantor.nowMs).toISOString(), reason, grant },
  };
  const told: JsonObject = { grant: pairOf(pair.action, pair.targetClass), grantVersion: row.version };
  const outcome = await change(db, {
    opKey: `approval.standing:${approval.id}`,
    write: db
      .update(approvals)
      .set({
        votes: sql`${approvals.votes} || ${JSON.stringify([vote])}::text::jsonb`,
        state: 'approved',
        decidedAt: sql`now()`,
      })
      .where(and(isAsRead(approval, grantor, null), isSameBoard(board), isGrantInForce(grant)))
      .returning()
      .getSQL(),
    also: [
      sql`
        update tasks set state = 'pending', dispatch_mode = 'auto', updated_at = now()
        from changed
        where tasks.id = changed.subject_id and tasks.approval_id = changed.id and tasks.state = 'pending-approval'`,
    ],
    events: [
      {
        type: eventTypes.taskApproved,
        source: { type: 'squad', id: task.id },
        payload: {
          ...aboutApproval(approval),
          ...{
            decision: 'approve',
            by: id,
            name,
            digest: approval.digest,
            reason,
            guidance: null,
            votesLeft: 0,
          },
          ...told,
        },
        correlationId: task.id,
      },
    ],
    audit: {
      actor: 'halo',
      action: 'approval.standing',
      subjectKind: 'approval',
      subjectId: approval.id,
      detail: { task: task.id, digest: approval.digest, grantor: id, ...told, reason, state: 'approved' },
    },
  });
  return outcome.status === 'unchanged' ? none : { state: 'pending' };
}

function grantOf(approval: ApprovalRow | null): StandingGrant | null {
  return approval?.votes.find(({ grant }) => grant !== undefined)?.grant ?? null;
}

/** Why an approval that rests on a grant carries no dispatch any more; null where it does, or rests on people. */
export async function lapsedGrant(db: Db, approval: ApprovalRow | null): Promise<string | null> {
  const grant = grantOf(approval);
  if (grant === null) return null;
  const [row] = await db.execute(sql`select ${isGrantInForce(grant)} as holds`);
  if (row?.holds === true) return null;
  return `the grant of ${pairOf(grant.action, grant.targetClass)} is not in force any more`;
}

/** True in the statement that begins an attempt, while the grant that its approval rests on is in force. */
export function grantStillHolds(approval: ApprovalRow | null): SQL | undefined {
  const grant = grantOf(approval);
  return grant === null ? undefined : isGrantInForce(grant);
}
