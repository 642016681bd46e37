import { getDecisionRequest, refuseRequest, storeDecisionRequest } from '../db/decision-requests.ts';
import { newId } from '../db/ids.ts';
import { haloWorkflowId } from '../domain/names.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import type { ApiDeps, Asker } from './context.ts';
import { loginOf } from './decide.ts';
import { ProblemError, throwRefusal } from './problems.ts';

/** Writes down who asked before the loop hears of it: the loop asks the record for that request. */
export async function askPause(
  deps: ApiDeps,
  asker: Asker,
  action: 'pause' | 'resume',
): Promise<{ paused: boolean }> {
  const { db } = deps.database;
  const { principal, keyId = null } = asker;
  const requestId = newId('dec');
  const ask = { paused: action === 'pause', principalId: principal.id, requestId };
  await storeDecisionRequest(db, {
    ...{ id: requestId, action, source: 'api', principalId: principal.id, keyId },
    ...{ subjectId: 'halo', workflowId: haloWorkflowId, approvalId: null, digest: null, reason: null },
    loginAt: loginOf(asker),
    expiresAt: null,
  });

  /** True when the loop was faster and has recorded it. */
  async function wasRecorded(refusal: Refusal): Promise<boolean> {
    const row = await getDecisionRequest(db, requestId);
    if (row !== null) await refuseRequest(db, row, refusal);
    return (await getDecisionRequest(db, requestId))?.state === 'recorded';
  }

  try {
    const said = await deps.temporal.setHaloPaused(ask);
    if (!isRefusal(said)) return said;
    await wasRecorded(said);
    return throwRefusal(said);
  } catch (error) {
    if (!(error instanceof ProblemError) || error.code !== 'UNAVAILABLE') throw error;
    // Who is told that nothing happened must not see it happen later.
    const late = refuse('CONFLICT', `HALO did not answer in time, so this request to ${action} it is void.`);
    if (await wasRecorded(late)) return { paused: ask.paused };
    throw error;
  }
}
