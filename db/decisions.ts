import { and, eq, sql, type SQL } from 'drizzle-orm';
import {
  type ApprovalState,
  decide,
  type Decision,
  type DecisionOutcome,
  type Verdict,
  type Vote,
} from '../domain/approval.ts';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { type ApprovalRow, approvalFacts, databaseNow, getApproval } from './approvals.ts';
import { change, recordedResult } from './change.ts';
import type { Db } from './client.ts';
import { holdOnApproval, isSameBoard, readSwitches, type SwitchBoard } from './kill-switch.ts';
import { actorOf, getPrincipal, type PrincipalRow } from './principals.ts';
import { approvals } from './schema/index.ts';

export type DecisionInput = {
  approvalId: string;
  workflowId: string;
  decision: Decision;
  principalId: string;
  digest: string;
  reason: string | null;
  /** The request or ticket that proves who decided; it is used up by the same statement. Empty for raw signals. */
  requestId: string | null;
  opKey: string;
};

type Recorded = { state: ApprovalState; votesLeft: number; decidedAt: string };

const rounds = 5;

/**
 * The one writer of decisions. The rule is asked on fresh rows; what it allowed is written by one conditional
 * statement that finds nothing to change when another decision was faster, and then the rule is asked again.
 */
export async function recordDecision(db: Db, input: DecisionInput): Promise<DecisionOutcome> {
  for (let round = 0; round < rounds; round += 1) {
    const [approval, principal, nowMs] = await Promise.all([
      getApproval(db, input.approvalId),
      getPrincipal(db, input.principalId),
      databaseNow(db),
    ]);
    if (approval === null || approval.workflowId !== input.workflowId)
      return denied(refuse('NOT_FOUND', `${input.workflowId} has no approval ${input.approvalId}.`));
    if (principal === null) return denied(refuse('FORBIDDEN', `${input.principalId} is unknown here.`));
    const verdict = decide(
      approvalFacts(approval),
      { ...input, principal: actorOf(principal), principalActive: principal.status === 'active' },
      nowMs,
    );
    const board = await readSwitches(db);
    const hold = input.decision === 'approve' ? holdOnApproval(board, approval) : null;
    const done = await writeDecision(
      db,
      input,
      approval,
      principal,
      isRefusal(verdict) ? verdict : (hold ?? verdict),
      board,
    );
    if (done !== null) return done;
  }
  return denied(
    refuse('CONFLICT', 'The approval changed while it was being decided; read it again, then decide.'),
  );
}

function denied(refusal: Refusal): DecisionOutcome {
  return { accepted: false, ...refusal };
}

async function writeDecision(
  db: Db,
  input: DecisionInput,
  approval: ApprovalRow,
  principal: PrincipalRow,
  verdict: Verdict | Refusal,
  board: SwitchBoard,
): Promise<DecisionOutcome | null> {
  if (isRefusal(verdict)) {
    // The same operation may have been recorded before its acknowledgement was lost.
    const earlier = await earlierOutcome(db, input);
    return earlier ?? denied(verdict);
  }
  const vote: Vote = {
    principalId: principal.id,
    name: principal.name,
    decision: input.decision,
    at: new Date().toISOString(),
    reason: input.reason,
  };
  const votes = JSON.stringify([vote]);
  const outcome = await change<Recorded>(db, {
    opKey: input.opKey,
    write: db
      .update(approvals)
      .set({
        votes: sql`${approvals.votes} || ${votes}::text::jsonb`,
        state: verdict.state,
        decidedAt: verdict.state === 'open' ? null : sql`now()`,
      })
      .where(
        and(
          eq(approvals.id, approval.id),
          eq(approvals.state, 'open'),
          eq(approvals.digest, input.digest),
          sql`jsonb_array_length(${approvals.votes}) = ${approval.votes.length}::int`,
          sql`${approvals.expiresAt} > now()`,
          sql`exists (select from principals p where p.id = ${principal.id} and p.status = 'active' and p.role = ${principal.role})`,
          input.requestId === null ? undefined : requestIsOpen(input.requestId),
          input.decision === 'approve' ? isSameBoard(board) : undefined,
        ),
      )
      .returning()
      .getSQL(),
    also: [
      ...(input.requestId === null ? [] : [settleRequest(input.requestId)]),
      ...taskEffect(approval, verdict.state),
    ],
    events: decisionEvents(approval, principal, verdict, input),
    audit: {
      actor: principal.id,
      action: `approval.${input.decision}`,
      subjectKind: 'approval',
      subjectId: approval.id,
      detail: {
        task: approval.subjectId,
        digest: input.digest,
        reason: input.reason,
        state: verdict.state,
        requestId: input.requestId,
      },
    },
    result: sql`jsonb_build_object('state', changed.state, 'votesLeft', ${verdict.votesLeft}::int, 'decidedAt', ${vote.at}::text)`,
  });
  if (outcome.status !== 'unchanged') return { accepted: true, approvalId: approval.id, ...outcome.result };
  if (input.requestId !== null && !(await isOpenRequest(db, input.requestId)))
    return denied(refuse('CONFLICT', 'This decision was already used once; it cannot be used again.'));
  return null;
}

async function earlierOutcome(db: Db, input: DecisionInput): Promise<DecisionOutcome | null> {
  const recorded = await recordedResult<Recorded>(db, input.opKey);
  return recorded === null ? null : { accepted: true, approvalId: input.approvalId, ...recorded };
}

function requestIsOpen(requestId: string): SQL {
  return sql`exists (select from decision_requests r where r.id = ${requestId} and r.state = 'open')`;
}

async function isOpenRequest(db: Db, requestId: string): Promise<boolean> {
  const [row] = await db.execute(sql`select ${requestIsOpen(requestId)} as open`);
  return row?.open === true;
}

/** Marks a request as answered by the row in `changed`. */
export function settleRequest(requestId: string): SQL {
  return sql`
    update decision_requests set state = 'recorded', settled_at = now(), outcome = '{"accepted": true}'::jsonb
    from changed where decision_requests.id = ${requestId}`;
}

function taskEffect(approval: ApprovalRow, state: ApprovalState): SQL[] {
  if (approval.kind !== 'task' || state === 'open') return [];
  const next = state === 'approved' ? 'pending' : 'rejected';
  return [
    sql`
      update tasks set state = ${next}, updated_at = now(),
                       ended_at = case when ${next} = 'rejected' then now() else ended_at end
      from changed
      where tasks.id = changed.subject_id and tasks.approval_id = changed.id and tasks.state = 'pending-approval'`,
  ];
}

function decisionEvents(
  approval: ApprovalRow,
  principal: PrincipalRow,
  verdict: Verdict,
  input: DecisionInput,
): NewEvent[] {
  const payload: JsonObject = {
    approvalId: approval.id,
    taskId: approval.subjectId,
    decision: input.decision,
    by: principal.id,
    digest: input.digest,
    reason: input.reason,
    votesLeft: verdict.votesLeft,
  };
  const byState = {
    open: eventTypes.approvalVoted,
    approved: approval.kind === 'task' ? eventTypes.taskApproved : eventTypes.approvalVoted,
    rejected: approval.kind === 'task' ? eventTypes.taskRejected : eventTypes.approvalVoted,
  };
  return [
    {
      type: byState[verdict.state],
      source: { type: 'squad', id: approval.subjectId },
      payload,
      correlationId: approval.subjectId,
    },
  ];
}

export type ExpiryOutcome =
  | { expired: true }
  /** Somebody decided first; the timer's answer does not count. */
  | { expired: false; state: ApprovalState; remainingMs: 0 }
  /** By the database's clock there is time left. */
  | { expired: false; state: 'open'; remainingMs: number };

/** Expires an approval whose time is over by the database's clock; a decision that was faster stands (F1). */
export async function expireApproval(
  db: Db,
  input: { approvalId: string; opKey: string },
): Promise<ExpiryOutcome> {
  const approval = await getApproval(db, input.approvalId);
  if (approval === null) return { expired: false, state: 'withdrawn', remainingMs: 0 };
  const outcome = await change(db, {
    opKey: input.opKey,
    write: db
      .update(approvals)
      .set({ state: 'expired', decidedAt: sql`now()`, closedBecause: 'nobody decided in time' })
      .where(
        and(eq(approvals.id, approval.id), eq(approvals.state, 'open'), sql`${approvals.expiresAt} <= now()`),
      )
      .returning()
      .getSQL(),
    also: [
      sql`
        update tasks set state = 'expired', updated_at = now(), ended_at = now()
        from changed
        where changed.kind = 'task' and tasks.id = changed.subject_id and tasks.approval_id = changed.id
          and tasks.state = 'pending-approval'`,
    ],
    events: [
      {
        type: approval.kind === 'task' ? eventTypes.taskExpired : eventTypes.approvalVoted,
        severity: 'warning',
        source: { type: 'squad', id: approval.subjectId },
        payload: { approvalId: approval.id, taskId: approval.subjectId, votes: approval.votes.length },
        correlationId: approval.subjectId,
      },
    ],
    audit: { actor: 'system', action: 'approval.expire', subjectKind: 'approval', subjectId: approval.id },
  });
  if (outcome.status !== 'unchanged') return { expired: true };
  const now = await getApproval(db, input.approvalId);
  if (now === null || now.state !== 'open')
    return { expired: false, state: now?.state ?? 'withdrawn', remainingMs: 0 };
  const remainingMs = now.expiresAt.getTime() - (await databaseNow(db));
  return { expired: false, state: 'open', remainingMs: Math.max(1, Math.ceil(remainingMs)) };
}
