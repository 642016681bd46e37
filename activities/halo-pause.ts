import { auditRefusal } from '../db/change.ts';
import type { Db } from '../db/client.ts';
import { getDecisionRequest, refuseRequest } from '../db/decision-requests.ts';
import { recordPause } from '../db/halo-pause.ts';
import { storableText } from '../domain/json.ts';
import { haloWorkflowId } from '../domain/names.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { missingPermission } from './missing-permission.ts';

export type Pause = { paused: boolean; requestId: string | null; opKey: string };

/**
 * Anyone who reaches Temporal can send the update: it counts when its request is on record, open, and its author still
 * holds the permission. Anything else is refused, and the audit says that it was tried.
 */
export async function provePause(db: Db, { paused, requestId, opKey }: Pause): Promise<Refusal | null> {
  const action = paused ? 'pause' : 'resume';

  async function refuseUnproven(refusal: Refusal): Promise<Refusal> {
    const audit = { actor: 'unproven', action: `halo.${action}`, subjectKind: 'halo', subjectId: 'halo' };
    await auditRefusal(db, `${opKey}:refused`, audit, refusal);
    return refusal;
  }

  const id = typeof requestId === 'string' ? storableText(requestId) : '';
  const request = await getDecisionRequest(db, id);
  if (request === null || request.action !== action || request.workflowId !== haloWorkflowId)
    return refuseUnproven(refuse('FORBIDDEN', `There is no recorded request to ${action} HALO.`));
  const { principalId } = request;
  const missing = await missingPermission(db, principalId, 'halo:run');
  if (missing !== null) {
    await refuseRequest(db, request, missing);
    return missing;
  }
  const outcome = await recordPause(db, { paused, principalId, requestId: request.id, opKey });
  if (outcome.status !== 'unchanged') return null;
  return refuseUnproven(refuse('CONFLICT', `The request to ${action} HALO was answered before.`));
}
