import { sql } from 'drizzle-orm';
import { handOver, type Handover } from '../domain/approval.ts';
import { eventTypes } from '../domain/events.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { approvalFacts, getApproval } from './approvals.ts';
import { findApprover, readApprover } from './approvers.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { aboutApproval, crowded, isAsRead } from './decisions.ts';
import { approvals } from './schema/index.ts';

export type HandoverInput = {
  approvalId: string;
  principalId: string;
  keyId: string | null;
  /** Id or name of who receives the vote. */
  to: string;
  reason: string | null;
  opKey: string;
};

const rounds = 5;

/** Gives one person's vote to another; votes and further hand-overs that are faster are seen before it is written. */
export async function recordHandover(db: Db, input: HandoverInput): Promise<Handover | Refusal> {
  for (let round = 0; round < rounds; round += 1) {
    const [approval, giver, receiver] = await Promise.all([
      getApproval(db, input.approvalId),
      readApprover(db, input.principalId, input.keyId),
      findApprover(db, input.to),
    ]);
    if (approval === null) return refuse('NOT_FOUND', `There is no approval ${input.approvalId}.`);
    if (giver === null) return refuse('FORBIDDEN', `${input.principalId} is unknown here.`);
    if (receiver === null)
      return refuse('INVALID', `There is nobody of the name or id ${input.to}; give the name of a person.`);
    const { reason } = input;
    const at = new Date(giver.nowMs).toISOString();
    const given = handOver(approvalFacts(approval), { giver, receiver, reason, at }, giver.nowMs);
    if (isRefusal(given)) return given;
    const outcome = await change<Handover>(db, {
      opKey: input.opKey,
      write: db
        .update(approvals)
        .set({ handovers: sql`${approvals.handovers} || ${JSON.stringify([given])}::text::jsonb` })
        .where(isAsRead(approval, giver, null))
        .returning()
        .getSQL(),
      events: [
        {
          type: eventTypes.approvalHandedOver,
          source: { type: 'squad', id: approval.subjectId },
          payload: {
            ...aboutApproval(approval),
            ...{ from: given.from, fromName: given.fromName, to: given.to, toName: given.toName, reason },
          },
          correlationId: approval.subjectId,
        },
      ],
      audit: {
        actor: given.from,
        action: 'approval.hand-over',
        subjectKind: 'approval',
        subjectId: approval.id,
        detail: { task: approval.subjectId, to: given.to, reason, digest: approval.digest },
      },
      result: sql`${JSON.stringify(given)}::text::jsonb`,
    });
    if (outcome.status !== 'unchanged') return outcome.result;
  }
  return crowded();
}
