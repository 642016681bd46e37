import { and, eq, isNotNull, isNull, sql } from 'drizzle-orm';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { deliveryId, queueDeliveries } from './deliveries.ts';
import { derivedId } from './ids.ts';
import { deliveries, subscriptions } from './schema/index.ts';
import { subscriptionChanged } from './subscription-change.ts';

/** An event that says of itself that it is a test, and its delivery, whatever the subscription matches. */
export async function sendTest(
  db: Db,
  input: { key: string; actor: string; opKey: string },
): Promise<ChangeOutcome<{ deliveryId: string; eventId: string }>> {
  const { key, actor, opKey } = input;
  const eventId = derivedId('evt', `${opKey}#test`);
  const id = deliveryId({ subscription: key, eventId });
  return change(db, {
    opKey,
    write: db
      .update(subscriptions)
      .set({ updatedAt: sql`now()` })
      .where(
        and(
          eq(subscriptions.key, key),
          eq(subscriptions.handler, 'webhook'),
          eq(subscriptions.enabled, true),
          isNotNull(subscriptions.owner),
          isNull(subscriptions.pausedAt),
        ),
      )
      .returning()
      .getSQL(),
    also: [
      // The event of this statement is recorded at the same moment.
      queueDeliveries(
        sql`select ${id}::text, changed.key, ${eventId}::text, now(), ''::text, null::text, true, now() from changed`,
      ),
    ],
    events: [{ ...subscriptionChanged(key, { change: 'tested', by: actor }), id: eventId }],
    audit: {
      actor,
      action: 'subscription.test',
      subjectKind: 'subscription',
      subjectId: key,
      detail: { eventId },
    },
    result: sql`jsonb_build_object('deliveryId', ${id}::text, 'eventId', ${eventId}::text)`,
  });
}

export async function getDelivery(db: Db, id: string): Promise<typeof deliveries.$inferSelect | null> {
  const [row] = await db.select().from(deliveries).where(eq(deliveries.id, id));
  return row ?? null;
}
