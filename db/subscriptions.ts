import { asc, eq } from 'drizzle-orm';
import type { JsonObject } from '../domain/json.ts';
import type { EventMatch } from '../domain/subscription.ts';
import type { Db, Sql } from './client.ts';
import type { Position } from './events.ts';
import { subscriptionLanes, subscriptions } from './schema/index.ts';

export type SubscriptionRow = typeof subscriptions.$inferSelect;
export type LaneRow = typeof subscriptionLanes.$inferSelect;

export async function listSubscriptions(db: Db): Promise<SubscriptionRow[]> {
  return db.select().from(subscriptions).orderBy(asc(subscriptions.key)).limit(1000);
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
      set handler = excluded.handler, description = excluded.description, match = excluded.match
      where (subscriptions.handler, subscriptions.description, subscriptions.match)
            is distinct from (excluded.handler, excluded.description, excluded.match)
      returning key
    )
    insert into subscription_lanes (subscription, lane, cursor_tx, cursor_seq)
    select key, 'all', pg_snapshot_xmin(pg_current_snapshot()), 0 from stored
    on conflict do nothing`;
}

export type Lease = {
  epoch: number;
  cursor: Position;
  match: EventMatch;
  handler: string;
  config: JsonObject;
};

/** Takes the subscription over: whoever held it before can no longer move the cursor. */
export async function takeLease(log: Sql, key: string): Promise<Lease | null> {
  const [row] = await log<(Omit<Lease, 'epoch' | 'cursor'> & { epoch: string; tx: string; seq: string })[]>`
    update subscription_lanes l set lease_epoch = lease_epoch + 1
    from subscriptions s
    where s.key = ${key} and s.enabled and l.subscription = s.key and l.lane = 'all'
    returning lease_epoch::text as epoch, cursor_tx::text as tx, cursor_seq::text as seq, s.match, s.handler, s.config`;
  if (row === undefined) return null;
  const { tx, seq, match, handler, config } = row;
  return { epoch: Number(row.epoch), cursor: { tx, seq }, match, handler, config };
}

/** Moves the cursor after a delivered batch; false for a consumer whose lease was taken over. */
export async function moveCursor(
  log: Sql,
  input: { key: string; epoch: number; to: Position; delivered: number },
): Promise<boolean> {
  const rows = await log`
    update subscription_lanes l
    set cursor_tx = ${input.to.tx}::text::xid8, cursor_seq = ${input.to.seq}::text::bigint,
        delivered = delivered + ${input.delivered}::int,
        last_delivered_at = case when ${input.delivered}::int > 0 then now() else last_delivered_at end
    from subscriptions s
    where s.key = ${input.key} and s.enabled and l.subscription = s.key and l.lane = 'all'
      and l.lease_epoch = ${input.epoch}::int
    returning l.lane`;
  return rows.length === 1;
}
