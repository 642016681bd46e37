import { boolean, index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { instant } from './columns.ts';

/** The store of rate-limiter-flexible, in the columns it asks for: one row for each key and running window. */
export const limitCounters = pgTable(
  'limit_counters',
  {
    key: text('key').primaryKey(),
    points: integer('points').notNull().default(0),
    expire: instant('expire'),
  },
  (table) => [index('limit_counters_by_end').on(table.expire)],
);

export const tiers = pgTable('tiers', {
  name: text('name').primaryKey(),
  /** Empty: not limited. */
  perMinute: integer('per_minute'),
  eventsPerMinute: integer('events_per_minute'),
  bytesPerMinute: integer('bytes_per_minute'),
  features: jsonb('features').$type<string[]>().notNull().default([]),
  updatedBy: text('updated_by'),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

/** Parts of the API about which somebody said something; the others are open. */
export const clusters = pgTable('clusters', {
  name: text('name').primaryKey(),
  enabled: boolean('enabled').notNull().default(true),
  requiredFeature: text('required_feature'),
  perMinute: integer('per_minute'),
  reason: text('reason'),
  updatedBy: text('updated_by'),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

export type StoredAnswer = { status: number; headers: Record<string, string>; body: string | null };

/** Requests that came with an Idempotency-Key, and what they were answered. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    principalId: text('principal_id').notNull(),
    route: text('route').notNull(),
    key: text('key').notNull(),
    requestHash: text('request_hash').notNull(),
    state: text('state', { enum: ['running', 'done'] }).notNull(),
    /** Only who holds the newest claim may store the answer. */
    claim: text('claim').notNull(),
    answer: jsonb('answer').$type<StoredAnswer>(),
    lockedUntil: instant('locked_until').notNull(),
    expiresAt: instant('expires_at').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.principalId, table.route, table.key] }),
    index('idempotency_keys_by_end').on(table.expiresAt),
  ],
);
