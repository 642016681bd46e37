import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import { type ChannelConfig, channelKinds } from '../../domain/channel.ts';
import { severities } from '../../domain/events.ts';
import { type NoticeField, notificationStates } from '../../domain/notification.ts';
import { instant } from './columns.ts';

/** Where people are told what happened. Nothing here authenticates: addresses and passwords are sealed (db/sealed.ts). */
export const channels = pgTable('channels', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  kind: text('kind', { enum: channelKinds }).notNull(),
  config: jsonb('config').$type<ChannelConfig>().notNull(),
  /** JSON of the secret parts, sealed; empty where there are none. */
  sealed: text('sealed'),
  /** Event types, or beginnings of them with a trailing `*`. */
  topics: jsonb('topics').$type<string[]>().notNull(),
  minSeverity: text('min_severity', { enum: severities }).notNull(),
  cooldownMs: integer('cooldown_ms').notNull().default(60_000),
  enabled: boolean('enabled').notNull().default(true),
  /** A webhook's signing secret is derived from this number; the one before it signs too until the overlap is over. */
  secretVersion: integer('secret_version').notNull().default(1),
  previousSecretUntil: instant('previous_secret_until'),
  createdBy: text('created_by').notNull(),
  lastSentAt: instant('last_sent_at'),
  lastFailedAt: instant('last_failed_at'),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

export type Receipt = { status: string; at: string; messageId: string | null };

/** One message to one channel about one event, and what its receiver said. Ended ones are deleted after 30 days. */
export const notifications = pgTable(
  'notifications',
  {
    /** Derived from channel and event, so that an event delivered twice makes one. */
    id: text('id').primaryKey(),
    channelId: text('channel_id')
      .notNull()
      .references(() => channels.id),
    eventId: text('event_id').notNull(),
    topic: text('topic').notNull(),
    dedupeKey: text('dedupe_key').notNull(),
    title: text('title').notNull(),
    text: text('text').notNull(),
    fields: jsonb('fields').$type<NoticeField[]>().notNull(),
    link: text('link'),
    severity: text('severity', { enum: severities }).notNull(),
    state: text('state', { enum: notificationStates }).notNull(),
    suppressedBecause: text('suppressed_because'),
    /** The one that went out instead; the next of this key says how many there were. */
    foldedInto: text('folded_into'),
    more: integer('more').notNull().default(0),
    attempts: integer('attempts').notNull().default(0),
    receipt: jsonb('receipt').$type<Receipt>(),
    error: text('error'),
    workflowId: text('workflow_id').notNull(),
    /** Set by the run's first step; empty means that its start may have been lost (the relay looks). */
    runId: text('run_id'),
    createdAt: instant('created_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (table) => [
    index('notifications_by_key').on(table.channelId, table.dedupeKey, table.createdAt),
    index('notifications_by_creation').on(table.createdAt, table.id),
    index('notifications_queued')
      .on(table.createdAt)
      .where(sql`state = 'queued'`),
    index('notifications_ended')
      .on(table.endedAt)
      .where(sql`ended_at is not null`),
    index('notifications_folded')
      .on(table.foldedInto)
      .where(sql`folded_into is not null`),
  ],
);
