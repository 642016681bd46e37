import { sql } from 'drizzle-orm';
import { bigint, boolean, index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { priorities, severities, sourceTypes } from '../../domain/events.ts';
import type { JsonObject } from '../../domain/json.ts';
import { instant, xid8 } from './columns.ts';

/** Append-only, partitioned by recorded_at (the migration says so; drizzle has no words for it). */
export const events = pgTable(
  'events',
  {
    seq: bigint('seq', { mode: 'bigint' }).generatedAlwaysAsIdentity(),
    tx: xid8('tx')
      .notNull()
      .default(sql`pg_current_xact_id()`),
    recordedAt: instant('recorded_at').notNull().defaultNow(),
    id: text('id').notNull(),
    type: text('type').notNull(),
    category: text('category').notNull(),
    sourceType: text('source_type', { enum: sourceTypes }).notNull(),
    sourceId: text('source_id').notNull(),
    destination: text('destination'),
    severity: text('severity', { enum: severities }).notNull(),
    priority: text('priority', { enum: priorities }).notNull(),
    payload: jsonb('payload').$type<JsonObject>().notNull(),
    metadata: jsonb('metadata').$type<JsonObject>().notNull(),
    correlationId: text('correlation_id'),
    causationId: text('causation_id'),
    /** The version of its type's schema that it was checked against; 0 for none. */
    schemaVersion: integer('schema_version').notNull().default(0),
    occurredAt: instant('occurred_at').notNull(),
    deliverAt: instant('deliver_at'),
    replayOf: text('replay_of'),
    /** Wormholes and clusters it came through, oldest first. */
    path: jsonb('path').$type<string[]>().notNull().default([]),
  },
  (table) => [
    primaryKey({ columns: [table.recordedAt, table.seq] }),
    index('events_position').on(table.tx, table.seq),
    // The lanes of priority subscriptions; almost every event is normal and costs its writer nothing here.
    index('events_rare_priority')
      .on(table.priority, table.tx, table.seq)
      .where(sql`priority <> 'normal'`),
    index('events_by_id').on(table.id),
    index('events_by_type').on(table.type, table.recordedAt),
    index('events_by_source').on(table.sourceType, table.sourceId, table.recordedAt),
    index('events_by_correlation').on(table.correlationId),
    // What is for everybody has none, and costs nothing here.
    index('events_by_destination')
      .on(table.destination, table.tx, table.seq)
      .where(sql`destination is not null`),
    // Partial: an event without a cause costs it nothing.
    index('events_by_causation')
      .on(table.causationId)
      .where(sql`causation_id is not null`),
  ],
);

/** Uniqueness of event ids over all partitions. */
export const eventKeys = pgTable(
  'event_keys',
  {
    id: text('id').primaryKey(),
    recordedAt: instant('recorded_at').notNull().defaultNow(),
  },
  // For the retention only. Rows come in the order of their time, so a range index costs an insert next to nothing.
  (table) => [index('event_keys_by_time').using('brin', table.recordedAt)],
);

/** Hash-chained by a trigger; the application role can insert and read, nothing else. */
export const auditEntries = pgTable(
  'audit_entries',
  {
    chainNo: bigint('chain_no', { mode: 'number' }).primaryKey(),
    at: instant('at').notNull(),
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    subjectKind: text('subject_kind').notNull(),
    subjectId: text('subject_id').notNull(),
    outcome: text('outcome', { enum: ['ok', 'refused'] }).notNull(),
    opKey: text('op_key').notNull().unique(),
    /** Canonical JSON of the entry as the application stated it: the text that is hashed. */
    body: text('body').notNull(),
    /** What the change answered; a repeated op_key is answered with it again. */
    result: text('result').notNull(),
    prevHash: text('prev_hash').notNull(),
    hash: text('hash').notNull(),
  },
  (table) => [
    index('audit_by_subject').on(table.subjectKind, table.subjectId, table.chainNo),
    index('audit_by_actor').on(table.actor, table.chainNo),
  ],
);

export const auditHead = pgTable('audit_head', {
  one: boolean('one').primaryKey().default(true),
  chainNo: bigint('chain_no', { mode: 'number' }).notNull(),
  hash: text('hash').notNull(),
});

/** Heads of the chain as a worker signed them; each is also kept in a file outside the database. Append-only. */
export const auditAnchors = pgTable('audit_anchors', {
  chainNo: bigint('chain_no', { mode: 'number' }).primaryKey(),
  hash: text('hash').notNull(),
  /** The hash of the first entry: it names the chain, also after the database was moved. */
  installation: text('installation').notNull(),
  at: instant('at').notNull(),
  keyId: text('key_id').notNull(),
  signature: text('signature').notNull(),
});
