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
import { approvalSubjects } from './approval-subjects.ts';
import { type ApprovalRow, approvalFacts, databaseNow, getApproval } from './approvals.ts';
import { readApprover, type ReadApprover } from './approvers.ts';
import { change, recordedResult } from './change.ts';
import type { Db } from './client.ts';
import { holdOnApproval, isSameBoard, readSwitches, type SwitchBoard } from './kill-switch.ts';
import { approvals } from './schema/index.ts';

/** Who decides, by what proof, and on which run's approval. */
export type DeciderInput = {
  approvalId: string;
  workflowId: string;
  principalId: string;
  digest: string;
  reason: string | null;
  /** The request or ticket that proves who decided; it is used up by the same statement. Empty for raw signals. */
  requestId: string | null;
  opKey: string;
  keyId?: string | null;
  loginAtMs?: number | null;
  madeAtMs?: number | null;
};

export type DecisionInput = DeciderInput & {
  decision: Decision;
  guidance?: string | null;
  acknowledgedFindings?: string[];
  breakGlass?: boolean;
};

type Recorded = { state: ApprovalState; votesLeft: number; decidedAt: string };

const rounds = 5;

/** What a decision is judged by, read afresh; a refusal where there is nothing to judge. */
export async function readCase(
  db: Db,
  input: DeciderInput,
): Promise<{ approval: ApprovalRow; approver: ReadApprover } | Refusal> {
  const [approval, approver] = await Promise.all([
    getApproval(db, input.approvalId),
    readApprover(db, input.principalId, input.keyId ?? null),
  ]);
  if (approval === null || approval.workflowId !== input.workflowId)
    return refuse('NOT_FOUND', `${input.workflowId} has no approval ${input.approvalId}.`);
  if (approver === null) return refuse('FORBIDDEN', `${input.principalId} is unknown here.`);
  return { approval, approver };
}

/**
 * The one writer of decisions. The rule is asked on fresh rows; what it allowed is written by one conditional
 * statement that finds nothing to change when another decision was faster, and then the rule is asked again.
 */
export async function recordDecision(db: Db, input: DecisionInput): Promise<DecisionOutcome> {
  for (let round = 0; round < rounds; round += 1) {
    const [read, board] = await Promise.all([readCase(db, input), readSwitches(db)]);
    if (isRefusal(read)) return denied(read);
    const { approval, approver } = read;
    const request = {
      approvalId: input.approvalId,
      decision: input.decision,
      digest: input.digest,
      reason: input.reason,
      acknowledgedFindings: input.acknowledgedFindings ?? [],
      breakGlass: input.breakGlass === true,
      approver,
      loginAtMs: input.loginAtMs ?? null,
      madeAtMs: input.madeAtMs ?? null,
    };
    const verdict = decide(approvalFacts(approval), request, approver.nowMs);
    const hold = input.decision === 'approve' ? holdOnApproval(board, approval) : null;
    const judged = isRefusal(verdict) ? verdict : (hold ?? verdict);
    const done = await writeDecision(db, input, approval, approver, judged, board);
    if (done !== null) return done;
  }
  return denied(crowded());
}

/** What somebody is told whose decision found another one before it five times over. */
export function crowded(): Refusal {
  return refuse('CONFLICT', 'The approval changed while it was being decided; read it again, then decide.');
}

export function denied(refusal: Refusal): DecisionOutcome {
  return { accepted: false, ...refusal };
}

function voteOf(input: DecisionInput, { principal }: ReadApprover, stage: number): Vote {
  const { guidance = null, acknowledgedFindings = [], breakGlass = false } = input;
  return {
    principalId: principal.id,
    person: principal.person,
    name: principal.name,
    decision: input.decision,
    stage,
    at: new Date().toISOString(),
    reason: input.reason,
    ...(guidance === null ? {} : { guidance }),
    ...(acknowledgedFindings.length === 0 ? {} : { acknowledgedFindings }),
    ...(breakGlass ? { breakGlass } : {}),
  };
}

/** The approval is still what the rule was asked about, and so is who decides. */
export function isAsRead(approval: ApprovalRow, { principal }: ReadApprover, requestId: string | null): SQL {
  const same = and(
    eq(approvals.id, approval.id),
    eq(approvals.state, 'open'),
    eq(approvals.digest, approval.digest),
    sql`jsonb_array_length(${approvals.votes}) = ${approval.votes.length}::int`,
    sql`jsonb_array_length(${approvals.handovers}) = ${approval.handovers.length}::int`,
    sql`${approvals.expiresAt} > now()`,
    sql`exists (select from principals p where p.id = ${principal.id} and p.status = 'active' and p.role = ${principal.role})`,
    requestId === null ? undefined : requestIsOpen(requestId),
  );
  return same ?? sql`false`;
}

async function writeDecision(
  db: Db,
  input: DecisionInput,
  approval: ApprovalRow,
  approver: ReadApprover,
  verdict: Verdict | Refusal,
  board: SwitchBoard,
): Promise<DecisionOutcome | null> {
  if (isRefusal(verdict)) {
    // The same operation may have been recorded before its acknowledgement was lost.
    const earlier = await recordedResult<Recorded>(db, input.opKey);
    return earlier === null ? denied(verdict) : accepted(input, earlier);
  }
  const vote = voteOf(input, approver, verdict.stage);
  const votes = JSON.stringify([vote]);
  const { state } = verdict;
  const outcome = await change<Recorded>(db, {
    opKey: input.opKey,
    write: db
      .update(approvals)
      .set({
        votes: sql`${approvals.votes} || ${votes}::text::jsonb`,
        state,
        decidedAt: state === 'open' ? null : sql`now()`,
      })
      .where(
        and(
          isAsRead(approval, approver, input.requestId),
          input.decision === 'approve' ? isSameBoard(board) : undefined,
        ),
      )
      .returning()
      .getSQL(),
    also: [
      ...(input.requestId === null ? [] : [settleRequest(input.requestId)]),
      ...(state === 'open' ? [] : approvalSubjects[approval.kind].decided(state, input.guidance ?? null)),
    ],
    events: decisionEvents(approval, approver, verdict, input),
    audit: {
      actor: approver.principal.id,
      action: input.breakGlass === true ? 'approval.break-glass' : `approval.${input.decision}`,
      subjectKind: 'approval',
      subjectId: approval.id,
      detail: {
        task: approval.subjectId,
        digest: input.digest,
        reason: input.reason,
        state,
        stage: verdict.stage,
        requestId: input.requestId,
      },
    },
    result: sql`jsonb_build_object('state', changed.state, 'votesLeft', ${verdict.votesLeft}::int, 'decidedAt', ${vote.at}::text)`,
  });
  if (outcome.status !== 'unchanged') return accepted(input, outcome.result);
  return usedUp(db, input.requestId);
}

/** Why nothing was written, where that is because the proof was used before. */
export async function usedUp(db: Db, requestId: string | null): Promise<DecisionOutcome | null> {
  if (requestId === null || (await isOpenRequest(db, requestId))) return null;
  return denied(refuse('CONFLICT', 'This decision was already used once; it cannot be used again.'));
}

function accepted(input: DecisionInput, recorded: Recorded): DecisionOutcome {
  const { approvalId, guidance = null } = input;
  const isGuided = recorded.state === 'rejected' && guidance !== null;
  return { accepted: true, approvalId, ...recorded, ...(isGuided ? { guidance } : {}) };
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

function decisionEvents(
  approval: ApprovalRow,
  { principal }: ReadApprover,
  verdict: Verdict,
  input: DecisionInput,
): NewEvent[] {
  const payload: JsonObject = {
    ...aboutApproval(approval),
    decision: input.decision,
    by: principal.id,
    name: principal.name,
    digest: input.digest,
    reason: input.reason,
    guidance: input.guidance ?? null,
    votesLeft: verdict.votesLeft,
  };
  const source = { type: 'squad' as const, id: approval.subjectId };
  const correlationId = approval.subjectId;
  const type =
    verdict.state === 'open'
      ? eventTypes.approvalVoted
      : approvalSubjects[approval.kind].events[verdict.state];
  const said = { type, source, payload, correlationId };
  if (input.breakGlass !== true) return [said];
  return [{ ...said, type: eventTypes.approvalGlassBroken, severity: 'critical' }, said];
}

/** What every event about an approval tells, so that a notification can be written from it alone. */
export function aboutApproval(approval: ApprovalRow): JsonObject {
  const { id, subjectId, kind, title, risk, target, requestedBy, expiresAt } = approval;
  return {
    approvalId: id,
    taskId: subjectId,
    ...{ kind, title, risk, target, requestedBy },
    expiresAt: expiresAt.toISOString(),
  };
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
    also: approvalSubjects[approval.kind].expired(),
    events: [
      {
        type: approvalSubjects[approval.kind].events.expired,
        severity: 'warning',
        source: { type: 'squad', id: approval.subjectId },
        payload: { ...aboutApproval(approval), votes: approval.votes.length },
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
