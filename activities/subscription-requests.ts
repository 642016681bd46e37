import { auditRefusal } from '../db/change.ts';
import type { Database } from '../db/client.ts';
import { getDecisionRequest, refuseRequest } from '../db/decision-requests.ts';
import { applyRequest } from '../db/subscription-request.ts';
import { getSubscription } from '../db/subscriptions.ts';
import { storableText } from '../domain/json.ts';
import { subscriptionWorkflowId } from '../domain/names.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { type SubscriptionAction, subscriptionState } from '../domain/subscription-request.ts';
import { missingPermission } from './missing-permission.ts';

export type SubscriptionRequestActivities = ReturnType<typeof createSubscriptionRequestActivities>;

export type SubscriptionRequestInput = {
  key: string;
  action: SubscriptionAction;
  /** As the signal carried it: anyone who reaches Temporal can send one, of any shape. */
  requestId: string;
  opKey: string;
};

export type SubscriptionRequestAnswer = { accepted: true } | ({ accepted: false } & Refusal);

/**
 * Pausing, resuming and rewinding as they reach the run of a subscription: a signal counts when its request is on record,
 * open, for this very thing, and its author still holds the permission. Anything else is refused, and the audit says
 * that it was tried.
 */
export function createSubscriptionRequestActivities({ database }: { database: Database }) {
  const { db } = database;

  async function explain(key: string, action: SubscriptionAction): Promise<Refusal> {
    const row = await getSubscription(db, key);
    if (row === null) return refuse('NOT_FOUND', `There is no subscription ${key}.`);
    const state = subscriptionState(row);
    return refuse('CONFLICT', `Subscription ${key} is ${state}; it cannot be told to ${action}.`);
  }

  /** Null when it is done. */
  async function apply({ key, action, requestId, opKey }: SubscriptionRequestInput): Promise<Refusal | null> {
    async function refuseUnproven(refusal: Refusal): Promise<Refusal> {
      const audit = {
        actor: 'unproven',
        action: `subscription.${action}`,
        subjectKind: 'subscription',
        subjectId: key,
      };
      await auditRefusal(db, `${opKey}:refused`, audit, refusal);
      return refusal;
    }

    const id = storableText(String(requestId));
    const request = await getDecisionRequest(db, id);
    const workflowId = subscriptionWorkflowId(key);
    if (
      request?.source !== 'api' ||
      request.action !== action ||
      request.workflowId !== workflowId ||
      (action === 'rewind' && request.content?.rewindTo === undefined)
    )
      return refuseUnproven(
        refuse('FORBIDDEN', `There is no recorded request to ${action} subscription ${key}.`),
      );
    const { principalId, reason } = request;
    const missing = await missingPermission(db, principalId, 'bus:operate');
    if (missing !== null) {
      if (request.state !== 'open') return refuseUnproven(missing);
      await refuseRequest(db, request, missing);
      return missing;
    }
    const rewindTo = request.content?.rewindTo ?? null;
    const outcome = await applyRequest(db, {
      key,
      action,
      requestId: id,
      principalId,
      reason,
      rewindTo,
      opKey,
    });
    if (outcome.status !== 'unchanged') return null;
    if ((await getDecisionRequest(db, id))?.state === 'open') {
      const impossible = await explain(key, action);
      await refuseRequest(db, request, impossible);
      return impossible;
    }
    return refuseUnproven(
      refuse('CONFLICT', `The request to ${action} subscription ${key} was answered before.`),
    );
  }

  return {
    async applySubscriptionRequest(input: SubscriptionRequestInput): Promise<SubscriptionRequestAnswer> {
      const refusal = await apply(input);
      return refusal === null ? { accepted: true } : { accepted: false, ...refusal };
    },
  };
}
