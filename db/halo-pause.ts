import { and, eq, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { decisionRequests } from './schema/index.ts';

/** Records who paused or resumed HALO, by their stored request, which counts once; the loop itself carries the state. */
export async function recordPause(
  db: Db,
  input: { paused: boolean; principalId: string; requestId: string; opKey: string },
): Promise<ChangeOutcome<object>> {
  const { paused, principalId, requestId } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .update(decisionRequests)
      .set({ state: 'recorded', outcome: { accepted: true }, settledAt: sql`now()` })
      .where(and(eq(decisionRequests.id, requestId), eq(decisionRequests.state, 'open')))
      .returning()
      .getSQL(),
    events: [
      {
        type: paused ? eventTypes.haloPaused : eventTypes.haloResumed,
        severity: paused ? 'warning' : 'info',
        source: { type: 'halo', id: 'halo' },
        payload: { by: principalId },
      },
    ],
    audit: {
      actor: principalId,
      action: paused ? 'halo.pause' : 'halo.resume',
      subjectKind: 'halo',
      subjectId: 'halo',
      detail: { requestId },
    },
  });
}
