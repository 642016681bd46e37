import { setTimeout as sleep } from 'node:timers/promises';
import { getDecisionRequest, storeDecisionRequest } from '../db/decision-requests.ts';
import { newId } from '../db/ids.ts';
import { subscriptionWorkflowId } from '../domain/names.ts';
import { refuse, refusalCodes } from '../domain/refusal.ts';
import type { RewindTo, SubscriptionAction } from '../domain/subscription-request.ts';
import type { ApiDeps, Asker } from './context.ts';
import { loginOf } from './decide.ts';
import { describeError, throwRefusal } from './problems.ts';
import type { Asked } from './requests.ts';

const waitMs = 2_000;
const lookEveryMs = 40;

export type SubscriptionWish = {
  key: string;
  action: SubscriptionAction;
  reason: string | null;
  rewindTo: RewindTo | null;
};

/**
 * Writes down what a person wants of a subscription, tells its run, and waits a moment for the run to have done it; it
 * throws the run's refusal. What is not done by then stays on record, and the relay tells the run again.
 */
export async function askSubscription(deps: ApiDeps, asker: Asker, wish: SubscriptionWish): Promise<Asked> {
  const { db } = deps.database;
  const { key, action, reason, rewindTo } = wish;
  const requestId = newId('dec');
  await storeDecisionRequest(db, {
    ...{
      id: requestId,
      action,
      source: 'api',
      subjectId: key,
      workflowId: subscriptionWorkflowId(key),
      reason,
    },
    ...{ principalId: asker.principal.id, keyId: asker.keyId ?? null, approvalId: null, digest: null },
    ...(rewindTo === null ? {} : { content: { rewindTo } }),
    loginAt: loginOf(asker),
    expiresAt: null,
  });
  const until = deps.now() + waitMs;
  try {
    await deps.temporal.signalSubscription({ key, action, requestId });
  } catch (error) {
    deps.log.warn({ err: describeError(error), requestId }, 'a subscription was not told; the relay will');
    return { requestId, delivered: false };
  }
  for (;;) {
    const row = await getDecisionRequest(db, requestId);
    if (row?.state === 'recorded') return { requestId, delivered: true };
    if (row?.state === 'refused') {
      const { refused, message } = row.outcome ?? {};
      const code = refusalCodes.find((known) => known === refused) ?? 'CONFLICT';
      throwRefusal(refuse(code, typeof message === 'string' ? message : 'The subscription refused this.'));
    }
    if (deps.now() >= until) return { requestId, delivered: false };
    await sleep(lookEveryMs);
  }
}
