import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import type { JsonObject } from '../../domain/json.ts';
import { redriveItemStates, redriveStates } from '../../domain/redrive.ts';
import { instant } from './columns.ts';

/** One handing-over of dead letters, asked for by a person. Ended ones are deleted after 90 days. */
export const redrives = pgTable(
  'redrives',
  {
    id: text('id').primaryKey(),
    requestedBy: text('requested_by').notNull(),
    reason: text('reason'),
    /** What they were chosen by; empty where each was named. */
    filter: jsonb('filter').$type<JsonObject>(),
    state: text('state', { enum: redriveStates }).notNull(),
    canary: boolean('canary').notNull(),
    perMinute: integer('per_minute').notNull(),
    total: integer('total').notNull(),
    endedBecause: text('ended_because'),
    cancelledBy: text('cancelled_by'),
    workflowId: text('workflow_id').notNull(),
    /** Set by the run's first step; empty means that its start may have been lost (the relay looks). */
    runId: text('run_id'),
    createdAt: instant('created_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (table) => [
    index('redrives_by_creation').on(table.createdAt, table.id),
    index('redrives_live')
      .on(table.createdAt)
      .where(sql`state in ('canary', 'releasing')`),
  ],
);

/** The dead letters of a redrive, chosen once at its start, and what became of each. */
export const redriveItems = pgTable(
  'redrive_items',
  {
    redriveId: text('redrive_id')
      .notNull()
      .references(() => redrives.id),
    deadLetterId: text('dead_letter_id').notNull(),
    deliveryId: text('delivery_id').notNull(),
    /** The oldest dead letter has the first turn. */
    place: integer('place').notNull(),
    state: text('state', { enum: redriveItemStates }).notNull(),
    isCanary: boolean('is_canary').notNull().default(false),
    /** The cause of its new failure, or why it was left out. */
    because: text('because'),
    releasedAt: instant('released_at'),
    endedAt: instant('ended_at'),
  },
  (table) => [
    primaryKey({ columns: [table.redriveId, table.deadLetterId] }),
    index('redrive_items_by_state').on(table.redriveId, table.state, table.place),
  ],
);

/** Alerts over growing dead letters, one row for each subscription that ever had one. */
export const deadLetterAlerts = pgTable('dead_letter_alerts', {
  subscription: text('subscription').primaryKey(),
  /** How often it was raised: part of the key of the next time. */
  raised: integer('raised').notNull(),
  because: text('because').notNull(),
  raisedAt: instant('raised_at').notNull(),
  clearedAt: instant('cleared_at'),
});
