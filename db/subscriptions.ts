import { asc, eq } from 'drizzle-orm';
import type { EventMatch } from '../domain/subscription.ts';
import type { Db, Sql } from './client.ts';
import { subscriptionLanes, subscriptions } from './schema/index.ts';

export type SubscriptionRow = typeof subscriptions.$inferSelect;
export type LaneRow = typeof subscriptionLanes.$inferSelect;

/** Those that are not removed. */
export async function listSubscriptions(db: Db): Promise<SubscriptionRow[]> {
  return db
    .select()
    .from(subscriptions)
    .where(eq(subscriptions.enabled, true))
    .orderBy(asc(subscriptions.key))
    .limit(1000);
}

export async function getSubscription(db: Db, key: string): Promise<SubscriptionRow | null> {
  const [row] = await db.select().from(subscriptions).where(eq(subscriptions.key, key));
  return row ?? null;
}

export async function listLanes(db: Db, key: string): Promise<LaneRow[]> {
  return db
    .select()
    .from(subscriptionLanes)
    .where(eq(subscriptionLanes.subscription, key))
    .orderBy(asc(subscriptionLanes.lane));
}

/** Makes sure a built-in subscription exists; a new one starts at the end of the log, an old one keeps its cursor. */
export async function ensureSubscription(
  log: Sql,
  input: { key: string; handler: string; description?: string; match: EventMatch },
): Promise<void> {
  await log`
    with stored as (
      insert into subscriptions (key, handler, description, match)
      values (${input.key}, ${input.handler}, ${input.description ?? ''}, ${JSON.stringify(input.match)}::text::jsonb)
      on conflict (key) do update
      set handler = excluded.handler, description = excluded.description, match = excluded.match,
          version = subscriptions.version + 1, updated_at = now()
      where (subscriptions.handler, subscriptions.description, subscriptions.match)
            is distinct from (excluded.handler, excluded.description, excluded.match)
      returning key
    )
    insert into subscription_lanes (subscription, lane, cursor_tx, cursor_seq)
    select key, 'all', pg_snapshot_xmin(pg_current_snapshot()), 0 from stored
    where not exists (select from subscription_lanes l where l.subscription = stored.key)
    on conflict do nothing`;
}

export type SubscriptionStatus = 'running' | 'paused' | 'switched-off';

/** Whether events are delivered to a subscription now; one that does not exist is switched off. */
export function statusOf(row: Pick<SubscriptionRow, 'enabled' | 'pausedAt'> | null): SubscriptionStatus {
  if (row?.enabled !== true) return 'switched-off';
  return row.pausedAt === null ? 'running' : 'paused';
}
