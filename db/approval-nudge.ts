import { and, eq, isNull, sql } from 'drizzle-orm';
import type { ApprovalState } from '../domain/approval.ts';
import { describeApprovers, stageOf } from '../domain/approver.ts';
import { eventTypes } from '../domain/events.ts';
import { approvalFacts, getApproval } from './approvals.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { aboutApproval } from './decisions.ts';
import { approvals } from './schema/index.ts';

export type NudgeInput = { approvalId: string; what: 'reminder' | 'escalation'; opKey: string };

/**
 * Tells people that an approval still waits: those who may decide it, or once those who may when they do not. It only
 * speaks of open approvals; a timer that is left over from a settled one changes nothing.
 */
export async function nudgeApproval(db: Db, input: NudgeInput): Promise<{ state: ApprovalState }> {
  const approval = await getApproval(db, input.approvalId);
  if (approval === null) return { state: 'withdrawn' };
  const isEscalation = input.what === 'escalation';
  const facts = approvalFacts(approval);
  const { approvers, votesLeft } = stageOf(facts);
  const outcome = await change(db, {
    opKey: input.opKey,
    write: db
      .update(approvals)
      .set(
        isEscalation
          ? { escalatedAt: sql`now()` }
          : { remindedAt: sql`now()`, reminders: sql`${approvals.reminders} + 1` },
      )
      .where(
        and(
          eq(approvals.id, approval.id),
          eq(approvals.state, 'open'),
          sql`${approvals.expiresAt} > now()`,
          isEscalation ? isNull(approvals.escalatedAt) : undefined,
        ),
      )
      .returning()
      .getSQL(),
    events: [
      {
        type: isEscalation ? eventTypes.approvalEscalated : eventTypes.approvalReminded,
        severity: isEscalation ? 'error' : 'warning',
        source: { type: 'squad', id: approval.subjectId },
        payload: {
          ...aboutApproval(approval),
          votesLeft,
          approvers: describeApprovers(approvers),
          ...(isEscalation
            ? { escalatedTo: describeApprovers(facts.rule.escalateTo) }
            : { reminder: approval.reminders + 1 }),
        },
        correlationId: approval.subjectId,
      },
    ],
    audit: {
      actor: 'system',
      action: isEscalation ? 'approval.escalate' : 'approval.remind',
      subjectKind: 'approval',
      subjectId: approval.id,
      detail: { task: approval.subjectId, votesLeft },
    },
  });
  if (outcome.status !== 'unchanged') return { state: 'open' };
  const now = await getApproval(db, input.approvalId);
  return { state: now?.state ?? 'withdrawn' };
}
