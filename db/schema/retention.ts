import { boolean, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import type { RetentionCounts, RetentionRule } from '../../domain/retention.ts';
import { instant } from './columns.ts';

/** One row: all rules together, so that two changes at once never mix. */
export const retentionRules = pgTable('retention_rules', {
  one: boolean('one').primaryKey().default(true),
  rules: jsonb('rules').$type<RetentionRule[]>().notNull(),
  version: integer('version').notNull().default(1),
  changedBy: text('changed_by').notNull(),
  changedAt: instant('changed_at').notNull().defaultNow(),
  appliedAt: instant('applied_at'),
  /** What the last run that removed anything removed. */
  applied: jsonb('applied').$type<RetentionCounts>(),
});
