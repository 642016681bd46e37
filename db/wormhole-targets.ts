import { eq } from 'drizzle-orm';
import type { Db } from './client.ts';
import { subscriptions } from './schema/index.ts';

/** What a forward has to know of the subscription it hands events to. */
export async function getSubscription(
  db: Db,
  key: string,
): Promise<{ enabled: boolean; owner: string | null } | null> {
  const [row] = await db
    .select({ enabled: subscriptions.enabled, owner: subscriptions.owner })
    .from(subscriptions)
    .where(eq(subscriptions.key, key));
  return row ?? null;
}
