import { asc } from 'drizzle-orm';
import type { EventMatch } from '../domain/subscription.ts';
import type { Db, Sql } from './client.ts';
import type { Position } from './events.ts';
import { subscriptions } from './schema/index.ts';

export type SubscriptionRow = typeof subscriptions.$inferSelect;

export async function listSubscriptions(db: Db): Promise<SubscriptionRow[]> {
  return db.select().from(subscriptions).orderBy(asc(subscriptions.key)).limit(1000);
}

/** Makes sure a built-in subscription exists; a new one starts at the end of the log, an old one keeps its cursor. */
export async function ensureSubscription(
  log: Sql,
  input: { key: string; handler: string; match: EventMatch },
): Promise<void> {
  await log`
    insert into subscriptions (key, handler, match, cursor_tx, cursor_seq)
    select ${input.key}, ${input.handler}, ${JSON.stringify(input.match)}::text::jsonb,
           pg_snapshot_xmin(pg_current_snapshot()), 0
    on conflict (key) do update set handler = excluded.handler, match = excluded.match
    where (subscriptions.handler, subscriptions.match) is distinct from (excluded.handler, excluded.match)`;
}

export type Lease = { epoch: number; cursor: Position; match: EventMatch; handler: string };

/** Takes the subscription over: whoever held it before can no longer move the cursor. */
export async function takeLease(log: Sql, key: string): Promise<Lease | null> {
  const [row] = await log<{ epoch: string; tx: string; seq: string; match: EventMatch; handler: string }[]>`
    update subscriptions set lease_epoch = lease_epoch + 1
    where key = ${key} and enabled
    returning lease_epoch::text as epoch, cursor_tx::text as tx, cursor_seq::text as seq, match, handler`;
  if (row === undefined) return null;
  const { tx, seq, match, handler } = row;
  return { epoch: Number(row.epoch), cursor: { tx, seq }, match, handler };
}

/** Moves the cursor after a delivered batch; false for a consumer whose lease was taken over. */
export async function moveCursor(
  log: Sql,
  input: { key: string; epoch: number; to: Position; delivered: number },
): Promise<boolean> {
  const rows = await log`
    update subscriptions
    set cursor_tx = ${input.to.tx}::text::xid8, cursor_seq = ${input.to.seq}::text::bigint,
        delivered = delivered + ${input.delivered}::int,
        last_delivered_at = case when ${input.delivered}::int > 0 then now() else last_delivered_at end
    where key = ${input.key} and lease_epoch = ${input.epoch}::int and enabled
    returning key`;
  return rows.length === 1;
}
