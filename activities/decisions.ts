import { type KeyObject, verify } from 'node:crypto';
import { getApproval } from '../db/approvals.ts';
import { auditRefusal } from '../db/change.ts';
import type { Database } from '../db/client.ts';
import { type DecisionRequestRow, getDecisionRequest, refuseRequest } from '../db/decision-requests.ts';
import { tellForgedTicket } from '../db/forged-tickets.ts';
import { type DecisionInput, expireApproval, recordDecision } from '../db/decisions.ts';
import { beginAttempt, type DispatchOutcome } from '../db/task-run.ts';
import { type ApprovalMessage, type DecisionOutcome, decisions } from '../domain/approval.ts';
import { storableText } from '../domain/json.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { checkTicket, parseClaims } from '../domain/ticket.ts';

export type DecisionActivities = ReturnType<typeof createDecisionActivities>;

type Deps = {
  database: Database;
  /** Public half of the API's ticket key; a worker can check tickets and cannot make them. */
  ticketKey: KeyObject;
  /** Local play only: raw signals count as if their sender were who they say they are. */
  acceptRawSignals: boolean;
};

type Received = {
  message: ApprovalMessage;
  workflowId: string;
  opKey: string;
  /** The task to begin in the same step once this approves it; null where a dispatch is a step of its own. */
  beginTaskId: string | null;
};
/** What the sender is told, and the attempt that began with it. */
type Answered = { outcome: DecisionOutcome; begun: DispatchOutcome | null };
type Proven = Omit<DecisionInput, 'opKey' | 'workflowId'> & { request: DecisionRequestRow | null };

/** Decisions as they reach a run: the proof is checked here, the rule and the record are `db/decisions.ts`. */
export function createDecisionActivities({ database, ticketKey, acceptRawSignals }: Deps) {
  const { db } = database;

  function proofOf(message: ApprovalMessage, workflowId: string): Promise<Proven | Refusal> {
    if (message.ticket !== undefined) return byTicket(message.ticket, workflowId);
    if (message.requestId !== undefined) return byRequest(message.requestId, workflowId);
    return bySender(message);
  }

  async function byTicket(ticket: string, workflowId: string): Promise<Proven | Refusal> {
    const [text = '', signature = ''] = ticket.split('.');
    const signed = Buffer.from(text, 'base64url');
    if (!verify(null, signed, ticketKey, Buffer.from(signature, 'base64url'))) return forged;
    const claims = parseClaims(signed.toString('utf8'));
    if (claims === null) return refuse('FORBIDDEN', 'This ticket cannot be read; print a new one.');
    const refusal = checkTicket(claims, workflowId, Date.now());
    const request = await getDecisionRequest(db, claims.jti);
    if (request?.source !== 'ticket') return refuse('FORBIDDEN', 'This ticket is not on record.');
    if (refusal !== null) {
      await refuseRequest(db, request, refusal);
      return refusal;
    }
    const { approvalId, decision, principalId, digest, reason } = claims;
    return { approvalId, decision, principalId, digest, reason, requestId: claims.jti, request };
  }

  async function byRequest(requestId: string, workflowId: string): Promise<Proven | Refusal> {
    const request = await getDecisionRequest(db, requestId);
    const { action, approvalId, digest } = request ?? { action: null, approvalId: null, digest: null };
    const decides = action === 'approve' || action === 'reject';
    if (request === null || !decides || approvalId === null || digest === null || request.source !== 'api')
      return refuse('FORBIDDEN', `There is no recorded decision ${requestId}.`);
    if (request.workflowId !== workflowId)
      return refuse(
        'FORBIDDEN',
        `Decision ${requestId} is for ${request.workflowId}, not for ${workflowId}.`,
      );
    const { principalId, reason } = request;
    return { approvalId, decision: action, principalId, digest, reason, requestId, request };
  }

  async function bySender(message: ApprovalMessage): Promise<Proven | Refusal> {
    if (!acceptRawSignals)
      return refuse(
        'FORBIDDEN',
        'A signal counts only with a decision ticket: print one with `dreamnet ticket APPROVAL approve`.',
      );
    const { approvalId, decision, principalId } = message;
    const decides = decision !== undefined && decisions.includes(decision);
    if (approvalId === undefined || !decides || principalId === undefined)
      return refuse('INVALID', 'A raw signal needs approvalId, decision and principalId.');
    const approval = await getApproval(db, approvalId);
    const digest = message.digest ?? approval?.digest ?? '';
    const reason = message.reason ?? null;
    return { approvalId, decision, principalId, digest, reason, requestId: null, request: null };
  }

  async function settle(received: Received): Promise<DecisionOutcome> {
    const { workflowId, opKey } = received;
    const said = readMessage(received.message);
    const proven = await proofOf(said, workflowId);
    if (isRefusal(proven)) {
      const audit = {
        actor: 'unproven',
        action: 'approval.decide',
        subjectKind: 'workflow',
        subjectId: workflowId,
        detail: { approvalId: (said.approvalId ?? '').slice(0, 100) },
      };
      await auditRefusal(db, `${opKey}:refused`, audit, proven);
      if (proven === forged) await tellForgedTicket(database.log, { workflowId, opKey });
      return { accepted: false, ...proven };
    }
    const { request, ...decision } = proven;
    const outcome = await recordDecision(db, { ...decision, workflowId, opKey });
    if (outcome.accepted) return outcome;
    const { refused, message, details } = outcome;
    const refusal = refuse(refused, message, details);
    if (request !== null) await refuseRequest(db, request, refusal);
    return outcome;
  }

  return {
    async recordDecision(received: Received): Promise<Answered> {
      const outcome = await settle(received);
      const { beginTaskId, opKey } = received;
      if (beginTaskId === null || !outcome.accepted || outcome.state !== 'approved')
        return { outcome, begun: null };
      // One step instead of two: the way from a yes to its agent is what people wait for.
      const begin = { taskId: beginTaskId, opKey: `${opKey}:begin`, request: null, actor: 'system' };
      return { outcome, begun: await beginAttempt(db, begin) };
    },

    expireApproval(input: { approvalId: string; opKey: string }) {
      return expireApproval(db, input);
    },
  };
}

const forged = refuse('FORBIDDEN', 'This is not a ticket of this system; print one with `dreamnet ticket`.');

const texts = ['approvalId', 'decision', 'principalId', 'digest', 'reason', 'requestId', 'ticket'];

/** Anyone who reaches Temporal can send a signal of any shape: only texts that the record can hold are read. */
function readMessage(message: unknown): ApprovalMessage {
  const given = typeof message === 'object' && message !== null ? (message as Record<string, unknown>) : {};
  const read = texts.flatMap((name) => {
    const value = given[name];
    return typeof value === 'string' ? [[name, storableText(value)]] : [];
  });
  return Object.fromEntries(read) as ApprovalMessage;
}
