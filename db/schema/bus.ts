import { sql } from 'drizzle-orm';
import { bigint, boolean, index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { type Attempt, deliveryStates, strategies } from '../../domain/delivery.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { EventMatch } from '../../domain/subscription.ts';
import { bigintText, instant, xid8 } from './columns.ts';

/** Who wants which events, and what is done with them. A removed one is switched off: its key and history stay. */
export const subscriptions = pgTable('subscriptions', {
  key: text('key').primaryKey(),
  description: text('description').notNull().default(''),
  /** Name of a registered handler; `webhook` and `signal` read their target from the configuration. */
  handler: text('handler').notNull(),
  config: jsonb('config').$type<JsonObject>().notNull().default({}),
  match: jsonb('match').$type<EventMatch>().notNull(),
  strategy: text('strategy', { enum: strategies }).notNull().default('broadcast'),
  /** Consumers that share a balanced subscription; 1 for any other. */
  consumers: integer('consumers').notNull().default(1),
  maxAttempts: integer('max_attempts').notNull().default(5),
  backoffMs: integer('backoff_ms').notNull().default(1_000),
  maxBackoffMs: integer('max_backoff_ms').notNull().default(60_000),
  /** Time after the recording of an event in which it must be handled; empty for no limit. */
  deadlineMs: integer('deadline_ms'),
  enabled: boolean('enabled').notNull().default(true),
  pausedAt: instant('paused_at'),
  pausedBy: text('paused_by'),
  pauseReason: text('pause_reason'),
  /** A webhook's signing secret is derived from this number; the one before it signs too until the overlap is over. */
  secretVersion: integer('secret_version').notNull().default(1),
  previousSecretUntil: instant('previous_secret_until'),
  /** Empty for those of this system, which nobody changes. */
  owner: text('owner'),
  version: integer('version').notNull().default(1),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

/**
 * What one consumer reads in order, with a cursor of its own: `all`; or `critical`, `high`, `normal`, `low` of a
 * priority subscription; or `0` to `n-1`, the shares of a balanced one.
 */
export const subscriptionLanes = pgTable(
  'subscription_lanes',
  {
    subscription: text('subscription')
      .notNull()
      .references(() => subscriptions.key),
    lane: text('lane').notNull(),
    cursorTx: xid8('cursor_tx').notNull(),
    cursorSeq: bigintText('cursor_seq').notNull(),
    /** Only the consumer that holds the newest epoch may move the cursor. */
    leaseEpoch: bigint('lease_epoch', { mode: 'number' }).notNull().default(0),
    leasedBy: text('leased_by'),
    leasedUntil: instant('leased_until'),
    delivered: bigint('delivered', { mode: 'number' }).notNull().default(0),
    lastDeliveredAt: instant('last_delivered_at'),
  },
  (table) => [primaryKey({ columns: [table.subscription, table.lane] })],
);

/** Who shares a balanced subscription now: each renews its row, and what it does not renew is over. */
export const subscriptionConsumers = pgTable(
  'subscription_consumers',
  {
    subscription: text('subscription')
      .notNull()
      .references(() => subscriptions.key),
    consumer: integer('consumer').notNull(),
    /** The one execution that acts as this consumer; a new one takes its place. */
    holder: text('holder').notNull(),
    aliveUntil: instant('alive_until').notNull(),
  },
  (table) => [primaryKey({ columns: [table.subscription, table.consumer] })],
);

/** Deliveries that were delayed, queued, retried or replayed. Completed ones are deleted after 7 days. */
export const deliveries = pgTable(
  'deliveries',
  {
    /** Derived from subscription, event, part and replay. */
    id: text('id').primaryKey(),
    subscription: text('subscription')
      .notNull()
      .references(() => subscriptions.key),
    eventId: text('event_id').notNull(),
    /** Finds the event's partition. */
    eventRecordedAt: instant('event_recorded_at').notNull(),
    part: text('part').notNull().default(''),
    replayId: text('replay_id'),
    sideEffects: boolean('side_effects').notNull().default(true),
    state: text('state', { enum: deliveryStates }).notNull(),
    attempts: integer('attempts').notNull().default(0),
    dueAt: instant('due_at').notNull(),
    deadlineAt: instant('deadline_at'),
    /** A consumer that dies leaves its deliveries to others from then on. */
    claimedUntil: instant('claimed_until'),
    /** Grows with each claim: a consumer that lost its claim can no longer end the delivery. */
    claimEpoch: integer('claim_epoch').notNull().default(0),
    history: jsonb('history').$type<Attempt[]>().notNull().default([]),
    lastError: text('last_error'),
    /** What a handler without leave for side effects would have done. */
    previews: jsonb('previews').$type<JsonObject[]>(),
    createdAt: instant('created_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (table) => [
    index('deliveries_due')
      .on(table.subscription, table.dueAt)
      .where(sql`state in ('pending', 'processing')`),
    index('deliveries_by_event').on(table.eventId),
    index('deliveries_by_replay')
      .on(table.replayId, table.id)
      .where(sql`replay_id is not null`),
    index('deliveries_ended')
      .on(table.endedAt)
      .where(sql`ended_at is not null`),
  ],
);

export const deadLetterStates = ['open', 'requeued', 'discarded'] as const;

/** A delivery that was given up, with its event as it was: the log may forget the event before somebody looks. */
export const deadLetters = pgTable(
  'dead_letters',
  {
    id: text('id').primaryKey(),
    deliveryId: text('delivery_id').notNull(),
    subscription: text('subscription').notNull(),
    part: text('part').notNull().default(''),
    eventId: text('event_id').notNull(),
    eventType: text('event_type').notNull(),
    event: jsonb('event').$type<LoggedEvent>().notNull(),
    cause: text('cause').notNull(),
    error: text('error').notNull(),
    history: jsonb('history').$type<Attempt[]>().notNull(),
    attempts: integer('attempts').notNull(),
    state: text('state', { enum: deadLetterStates }).notNull().default('open'),
    handledBy: text('handled_by'),
    reason: text('reason'),
    handledAt: instant('handled_at'),
    /** The redrive that took it up. */
    redriveId: text('redrive_id'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [
    index('dead_letters_by_creation').on(table.createdAt, table.id),
    index('dead_letters_open')
      .on(table.subscription, table.createdAt)
      .where(sql`state = 'open'`),
    index('dead_letters_by_event').on(table.eventId),
    index('dead_letters_by_delivery').on(table.deliveryId),
  ],
);
