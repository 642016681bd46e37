import { auditRefusal } from '../db/change.ts';
import type { Database } from '../db/client.ts';
import { storableText } from '../domain/json.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';

export type SubscriptionRequestInput = {
  key: string;
  action: 'pause' | 'resume' | 'rewind';
  requestId: string;
  opKey: string;
};

export type SubscriptionRequestAnswer = { accepted: true } | ({ accepted: false } & Refusal);

export type SubscriptionRequestActivities = ReturnType<typeof createSubscriptionRequestActivities>;

/**
 * Anyone who reaches Temporal can send the signal: it counts when its request is on record, open, and its author still
 * holds the permission. Nothing records such requests yet, so each is refused, and the audit says that it was tried.
 */
export function createSubscriptionRequestActivities({ database }: { database: Database }) {
  return {
    async applySubscriptionRequest(input: SubscriptionRequestInput): Promise<SubscriptionRequestAnswer> {
      const { key, action, opKey } = input;
      const refusal = refuse(
        'FORBIDDEN',
        `There is no recorded request to ${action} the subscription ${key}.`,
      );
      const audit = {
        actor: 'unproven',
        action: `subscription.${action}`,
        subjectKind: 'subscription',
        subjectId: key,
        detail: { requestId: storableText(String(input.requestId)).slice(0, 200).toWellFormed() },
      };
      await auditRefusal(database.db, `${opKey}:refused`, audit, refusal);
      return { accepted: false, ...refusal };
    },
  };
}
