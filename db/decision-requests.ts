import { and, asc, eq, isNull, notInArray, or, sql } from 'drizzle-orm';
import type { JsonObject } from '../domain/json.ts';
import { replayWorkflowId } from '../domain/names.ts';
import type { Refusal } from '../domain/refusal.ts';
import { subscriptionOf, type RewindTo } from '../domain/subscription-request.ts';
import type { EditedContent } from '../domain/task.ts';
import { auditRefusal, change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { decisionRequests } from './schema/index.ts';

export type DecisionRequestRow = typeof decisionRequests.$inferSelect;

export async function getDecisionRequest(db: Db, id: string): Promise<DecisionRequestRow | null> {
  const [row] = await db.select().from(decisionRequests).where(eq(decisionRequests.id, id));
  return row ?? null;
}

export type NewDecisionRequest = {
  id: string;
  action: DecisionRequestRow['action'];
  source: DecisionRequestRow['source'];
  subjectId: string;
  approvalId: string | null;
  workflowId: string;
  principalId: string;
  digest: string | null;
  reason: string | null;
  guidance?: string | null;
  acknowledgedFindings?: string[];
  breakGlass?: boolean;
  content?: EditedContent & { rewindTo?: RewindTo };
  keyId?: string | null;
  loginAt?: Date | null;
  expiresAt: Date | null;
};

/** Writes down what a person asked for before any run hears of it, so that an acknowledged request is never lost. */
export async function storeDecisionRequest(
  db: Db,
  input: NewDecisionRequest,
): Promise<ChangeOutcome<{ id: string; state: string }>> {
  return change(db, {
    opKey: `request:${input.id}`,
    write: db
      .insert(decisionRequests)
      .values({ ...input, state: 'open' })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    audit: {
      actor: input.principalId,
      action: input.source === 'ticket' ? 'ticket.issue' : `request.${input.action}`,
      subjectKind: subjectKindOf(input),
      subjectId: input.approvalId ?? input.subjectId,
      detail: {
        requestId: input.id,
        decision: input.action,
        digest: input.digest,
        breakGlass: input.breakGlass === true,
      },
    },
    result: sql`jsonb_build_object('id', changed.id, 'state', changed.state)`,
  });
}

function subjectKindOf({
  approvalId,
  action,
  workflowId,
}: Pick<DecisionRequestRow, 'approvalId' | 'action' | 'workflowId'>): string {
  if (subscriptionOf(workflowId) !== null) return 'subscription';
  if (action === 'pause' || action === 'resume') return 'halo';
  if (workflowId.startsWith(replayWorkflowId(''))) return 'replay';
  return approvalId === null ? 'task' : 'approval';
}

/** How often this person's requests of one kind were refused here: part of the id of the next one. */
export async function countRefused(
  db: Db,
  input: { workflowId: string; principalId: string; action: DecisionRequestRow['action'] },
): Promise<number> {
  return db.$count(
    decisionRequests,
    and(
      eq(decisionRequests.workflowId, input.workflowId),
      eq(decisionRequests.principalId, input.principalId),
      eq(decisionRequests.action, input.action),
      eq(decisionRequests.state, 'refused'),
    ),
  );
}

/**
 * Requests over HTTP that no run has answered yet, and those that were recorded in a step which the run may have lost
 * (a failed workflow task forgets what was asked of it, the record does not); oldest first: what the relay sends again.
 */
export async function listOpenRequests(
  db: Db,
  olderThanMs: number,
  limit: number,
): Promise<DecisionRequestRow[]> {
  return db
    .select()
    .from(decisionRequests)
    .where(
      and(
        eq(decisionRequests.source, 'api'),
        or(
          eq(decisionRequests.state, 'open'),
          and(
            eq(decisionRequests.state, 'recorded'),
            isNull(decisionRequests.acknowledgedAt),
            notInArray(decisionRequests.action, ['pause', 'resume', 'rewind']),
          ),
        ),
        sql`${decisionRequests.createdAt} < now() - make_interval(secs => ${olderThanMs / 1000}::double precision)`,
      ),
    )
    .orderBy(asc(decisionRequests.createdAt))
    .limit(limit);
}

/** Marks a request as recorded that its run accepted under an earlier sending. */
export async function settleAccepted(db: Db, id: string): Promise<void> {
  await db
    .update(decisionRequests)
    .set({ state: 'recorded', outcome: { accepted: true }, settledAt: sql`now()` })
    .where(and(eq(decisionRequests.id, id), eq(decisionRequests.state, 'open')));
}

/** The run has heard the answer, or will never ask for it again: nothing is left to send. */
export async function acknowledge(db: Db, id: string): Promise<void> {
  await db
    .update(decisionRequests)
    .set({ acknowledgedAt: sql`now()` })
    .where(and(eq(decisionRequests.id, id), isNull(decisionRequests.acknowledgedAt)));
}

/** Ends a request with a refusal; the refusal itself is audited. */
export async function refuseRequest(db: Db, request: DecisionRequestRow, refusal: Refusal): Promise<void> {
  const outcome: JsonObject = { accepted: false, refused: refusal.refused, message: refusal.message };
  const settled = await db
    .update(decisionRequests)
    .set({ state: 'refused', outcome, settledAt: sql`now()` })
    .where(and(eq(decisionRequests.id, request.id), eq(decisionRequests.state, 'open')))
    .returning({ id: decisionRequests.id });
  if (settled.length === 0) return;
  await auditRefusal(
    db,
    `refused:${request.id}`,
    {
      actor: request.principalId,
      action: `request.${request.action}`,
      subjectKind: subjectKindOf(request),
      subjectId: request.approvalId ?? request.subjectId,
      detail: { requestId: request.id },
    },
    refusal,
  );
}
