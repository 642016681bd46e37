import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import { type ReplayCounts, type ReplaySelection, replayStates } from '../../domain/replay.ts';
import { subscriptions } from './bus.ts';
import { bigintText, instant, xid8 } from './columns.ts';

/** Recorded events that are handed to a subscription again; each of them is a row of `deliveries`. */
export const replays = pgTable(
  'replays',
  {
    id: text('id').primaryKey(),
    subscription: text('subscription')
      .notNull()
      .references(() => subscriptions.key),
    selection: jsonb('selection').$type<ReplaySelection>().notNull(),
    /** Leaves out events that the subscription's match does not want. */
    onlyMatching: boolean('only_matching').notNull(),
    sideEffects: boolean('side_effects').notNull(),
    perMinute: integer('per_minute').notNull(),
    maximum: integer('maximum').notNull(),
    state: text('state', { enum: replayStates }).notNull(),
    /** Transactions before this one are replayed; by default all that began before the replay was asked for. */
    untilTx: xid8('until_tx')
      .notNull()
      .default(sql`pg_current_xact_id()`),
    /** The last event that was looked at. */
    cursorTx: xid8('cursor_tx')
      .notNull()
      .default(sql`'0'::xid8`),
    cursorSeq: bigintText('cursor_seq')
      .notNull()
      .default(sql`0`),
    /** Events that were selected, and of these those that were queued, and those that did not match. */
    matched: integer('matched').notNull().default(0),
    queued: integer('queued').notNull().default(0),
    skipped: integer('skipped').notNull().default(0),
    /** Queued ones that were taken back when the replay was cancelled or failed. */
    withdrawn: integer('withdrawn').notNull().default(0),
    /** When the first of them is due; the others follow at the rate. */
    pacedFrom: instant('paced_from'),
    /** Since then nothing more is to be queued. */
    queuedAt: instant('queued_at'),
    /** How its deliveries ended, once all have; before that they are counted. */
    outcome: jsonb('outcome').$type<ReplayCounts>(),
    /** Why it ended, or why it did not take everything. */
    because: text('because'),
    reason: text('reason').notNull(),
    requestedBy: text('requested_by').notNull(),
    workflowId: text('workflow_id').notNull(),
    runId: text('run_id'),
    createdAt: instant('created_at').notNull().defaultNow(),
    endedAt: instant('ended_at'),
  },
  (table) => [
    index('replays_by_creation').on(table.createdAt, table.id),
    index('replays_unstarted')
      .on(table.createdAt)
      .where(sql`run_id is null and state = 'running'`),
  ],
);
