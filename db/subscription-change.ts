import { and, asc, eq, gt, sql, type SQL } from 'drizzle-orm';
import type { RetryPolicy, Strategy } from '../domain/delivery.ts';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { type EventMatch, lanesOf } from '../domain/subscription.ts';
import { change, type ChangeOutcome, fromNow } from './change.ts';
import type { Db } from './client.ts';
import type { Position } from './events.ts';
import { subscriptions } from './schema/index.ts';
import type { SubscriptionRow } from './subscriptions.ts';

export async function pageSubscriptions(db: Db, after: string, limit: number): Promise<SubscriptionRow[]> {
  return db
    .select()
    .from(subscriptions)
    .where(gt(subscriptions.key, after))
    .orderBy(asc(subscriptions.key))
    .limit(limit);
}

export async function countOwned(db: Db): Promise<number> {
  return db.$count(
    subscriptions,
    and(eq(subscriptions.enabled, true), sql`${subscriptions.owner} is not null`),
  );
}

/** What somebody outside decides about a subscription. */
export type SubscriptionParts = {
  description: string;
  handler: string;
  config: JsonObject;
  match: EventMatch;
  strategy: Strategy;
  consumers: number;
  retry: RetryPolicy;
  deadlineMs: number | null;
};
type By = { key: string; actor: string; opKey: string };
type Changed = { key: string; version: number; secretVersion: number };

const changedResult = sql`
  jsonb_build_object('key', changed.key, 'version', changed.version, 'secretVersion', changed.secret_version)`;

export function subscriptionChanged(key: string, payload: JsonObject): NewEvent {
  return {
    type: eventTypes.subscriptionChanged,
    source: { type: 'system', id: 'bus' },
    payload: { subscription: key, ...payload },
    correlationId: `subscription:${key}`,
  };
}

function columnsOf<T extends Partial<SubscriptionParts>>(parts: T): Omit<T, 'retry'> & Partial<RetryPolicy> {
  const { retry, ...columns } = parts;
  return { ...columns, ...retry };
}

// Whoever knows the address of a webhook can post to it: of a sealed one the audit has only that it was given.
function forAudit({ config, ...parts }: Partial<SubscriptionParts>): JsonObject {
  if (config === undefined) return parts;
  const { sealedUrl, ...shown } = config;
  return { ...parts, config: { ...shown, ...(sealedUrl === undefined ? {} : { url: 'given' }) } };
}

/** Lays the lanes of a new life: all of them begin at one place, and who read them before is shut out. */
function layLanes(lanes: string[], from: Position | 'now'): SQL[] {
  const place =
    from === 'now'
      ? sql`(select pg_snapshot_xmin(pg_current_snapshot()) as tx, 0::bigint as seq)`
      : sql`(select ${from.tx}::text::xid8 as tx, ${from.seq}::text::bigint as seq)`;
  const names = sql`(select jsonb_array_elements_text(${JSON.stringify(lanes)}::text::jsonb))`;
  return [
    sql`
      delete from subscription_lanes using changed
      where subscription_lanes.subscription = changed.key and subscription_lanes.lane not in ${names}`,
    sql`
      insert into subscription_lanes (subscription, lane, cursor_tx, cursor_seq)
      select changed.key, l.name, place.tx, place.seq
      from changed, ${place} as place,
           jsonb_array_elements_text(${JSON.stringify(lanes)}::text::jsonb) as l(name)
      on conflict (subscription, lane) do update
      set cursor_tx = excluded.cursor_tx, cursor_seq = excluded.cursor_seq, leased_by = null, leased_until = null,
          lease_epoch = subscription_lanes.lease_epoch + 1`,
    sql`
      insert into subscription_starts (subscription, tx, seq)
      select changed.key, place.tx, place.seq from changed, ${place} as place
      on conflict (subscription) do update set tx = excluded.tx, seq = excluded.seq`,
  ];
}

/**
 * Stores a subscription with its lanes; one that was removed is switched on again, with a new signing secret, and reads
 * from where it is told to. Unchanged when the key is taken.
 */
export async function createSubscription(
  db: Db,
  input: By & SubscriptionParts & { from: Position | 'now' },
): Promise<ChangeOutcome<Changed>> {
  const { key, actor, opKey, from, ...parts } = input;
  const columns = { ...columnsOf(parts), owner: actor };
  return change(db, {
    opKey,
    write: db
      .insert(subscriptions)
      .values({ key, ...columns })
      .onConflictDoUpdate({
        target: subscriptions.key,
        set: {
          ...columns,
          enabled: true,
          pausedAt: null,
          pausedBy: null,
          pauseReason: null,
          secretVersion: sql`${subscriptions.secretVersion} + 1`,
          previousSecretUntil: null,
          version: sql`${subscriptions.version} + 1`,
          updatedAt: sql`now()`,
        },
        setWhere: sql`not ${subscriptions.enabled} and ${subscriptions.owner} is not null`,
      })
      .returning()
      .getSQL(),
    also: layLanes(lanesOf(parts), from),
    events: [
      subscriptionChanged(key, {
        change: 'created',
        handler: parts.handler,
        strategy: parts.strategy,
        by: actor,
      }),
    ],
    audit: {
      actor,
      action: 'subscription.create',
      subjectKind: 'subscription',
      subjectId: key,
      detail: { ...forAudit(parts), from },
    },
    result: changedResult,
  });
}

const isOwned = sql`${subscriptions.enabled} and ${subscriptions.owner} is not null`;

async function updateSubscription(
  db: Db,
  input: By & { set: Record<string, unknown>; when: SQL | undefined },
  said: { action: string; change: string; detail?: JsonObject },
): Promise<ChangeOutcome<Changed>> {
  const { key, actor, opKey } = input;
  return change(db, {
    opKey,
    write: db
      .update(subscriptions)
      .set({ ...input.set, version: sql`${subscriptions.version} + 1`, updatedAt: sql`now()` })
      .where(and(eq(subscriptions.key, key), isOwned, input.when))
      .returning()
      .getSQL(),
    events: [subscriptionChanged(key, { change: said.change, by: actor })],
    audit: {
      actor,
      action: said.action,
      subjectKind: 'subscription',
      subjectId: key,
      ...(said.detail === undefined ? {} : { detail: said.detail }),
    },
    result: changedResult,
  });
}

/**
 * Changes what is given of a subscription; unchanged when somebody changed it since `seenVersion`. Lanes of another
 * strategy are laid by the consumer, which begins them where the slowest stood.
 */
export async function editSubscription(
  db: Db,
  input: By & { seenVersion: number; edit: Partial<SubscriptionParts> },
): Promise<ChangeOutcome<Changed>> {
  const { seenVersion, edit, ...by } = input;
  return updateSubscription(
    db,
    { ...by, set: columnsOf(edit), when: eq(subscriptions.version, seenVersion) },
    { action: 'subscription.change', change: 'changed', detail: forAudit(edit) },
  );
}

/** Switches a subscription off; its key and its history stay. Unchanged when it already is. */
export async function removeSubscription(db: Db, input: By): Promise<ChangeOutcome<Changed>> {
  return updateSubscription(
    db,
    { ...input, set: { enabled: false }, when: undefined },
    { action: 'subscription.remove', change: 'removed' },
  );
}

/** Makes the next signing secret; the one before it signs too until the overlap is over. */
export async function rotateSubscriptionSecret(
  db: Db,
  input: By & { fromVersion: number; overlapMs: number },
): Promise<ChangeOutcome<Changed>> {
  const { fromVersion, overlapMs, ...by } = input;
  return updateSubscription(
    db,
    {
      ...by,
      set: { secretVersion: fromVersion + 1, previousSecretUntil: fromNow(overlapMs) },
      when: eq(subscriptions.secretVersion, fromVersion),
    },
    {
      action: 'subscription.rotate-secret',
      change: 'secret-rotated',
      detail: { version: fromVersion + 1, overlapMs },
    },
  );
}
