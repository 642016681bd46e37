import { sql } from 'drizzle-orm';
import { doublePrecision, index, jsonb, pgTable, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { type EntityLink, insightPatterns, insightSeverities } from '../../domain/insight.ts';
import type { JsonObject } from '../../domain/json.ts';
import { instant } from './columns.ts';

export const insights = pgTable(
  'insights',
  {
    id: text('id').primaryKey(),
    /** What it is about: one insight for as long as it holds. */
    key: text('key').notNull(),
    pattern: text('pattern', { enum: insightPatterns }).notNull(),
    severity: text('severity', { enum: insightSeverities }).notNull(),
    title: text('title').notNull(),
    entities: jsonb('entities').$type<string[]>().notNull(),
    suggestedActions: jsonb('suggested_actions').$type<string[]>().notNull(),
    figures: jsonb('figures').$type<JsonObject>().notNull(),
    /** The cycle that found it, and the last one that still did. */
    foundBy: text('found_by').notNull(),
    lastSeenBy: text('last_seen_by').notNull(),
    foundAt: instant('found_at').notNull().defaultNow(),
    lastSeenAt: instant('last_seen_at').notNull().defaultNow(),
    /** Empty while it holds. */
    endedAt: instant('ended_at'),
  },
  (table) => [
    uniqueIndex('insights_one_open')
      .on(table.key)
      .where(sql`ended_at is null`),
    index('insights_by_time').on(table.foundAt, table.id),
  ],
);

export const entityLinks = pgTable(
  'entity_links',
  {
    from: text('from').notNull(),
    to: text('to').notNull(),
    kind: text('kind').$type<EntityLink['kind']>().notNull(),
    weight: doublePrecision('weight').notNull(),
    figures: jsonb('figures').$type<JsonObject>().notNull(),
    foundBy: text('found_by').notNull(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.from, table.to, table.kind] }),
    index('entity_links_by_to').on(table.to),
  ],
);
