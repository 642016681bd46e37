import { bigserial, doublePrecision, index, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { entityKinds } from '../../domain/insight.ts';
import { instant } from './columns.ts';

/** What is remembered of an entity; `entity` is `kind:id`. */
export const memoryRecords = pgTable(
  'memory_records',
  {
    entity: text('entity').primaryKey(),
    kind: text('kind', { enum: entityKinds }).notNull(),
    tags: jsonb('tags').$type<string[]>().notNull().default([]),
    /** The entity whose traits this one began with. */
    parent: text('parent'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [index('memory_records_by_kind').on(table.kind, table.entity)],
);

/** Traits are 0 to 1. */
export const memoryTraits = pgTable(
  'memory_traits',
  {
    entity: text('entity')
      .notNull()
      .references(() => memoryRecords.entity, { onDelete: 'cascade' }),
    trait: text('trait').notNull(),
    value: doublePrecision('value').notNull(),
    /** The moment the value is of: what moves or ages it first brings it from here to now. */
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.entity, table.trait] }),
    index('memory_traits_by_value').on(table.trait, table.value),
  ],
);

export const memoryHistory = pgTable(
  'memory_history',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    entity: text('entity')
      .notNull()
      .references(() => memoryRecords.entity, { onDelete: 'cascade' }),
    at: instant('at').notNull().defaultNow(),
    /** The event, or the command, that moved the traits. */
    cause: text('cause').notNull(),
    eventId: text('event_id'),
    moves: jsonb('moves').$type<Record<string, { from: number; to: number }>>().notNull(),
  },
  (table) => [index('memory_history_by_entity').on(table.entity, table.id)],
);

/** Events that were counted: each moves traits once, however often it is delivered. */
export const memoryMarks = pgTable(
  'memory_marks',
  { eventId: text('event_id').primaryKey(), at: instant('at').notNull().defaultNow() },
  (table) => [index('memory_marks_by_time').on(table.at)],
);
