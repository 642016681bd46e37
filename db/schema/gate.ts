import { boolean, integer, jsonb, pgSequence, pgTable, text } from 'drizzle-orm/pg-core';
import { sql } from 'drizzle-orm';
import { firstStoredVersion, type PolicyMatch, type PolicyRule } from '../../domain/policy.ts';
import { instant } from './columns.ts';

export const policyVersions = pgSequence('policy_versions', { startWith: firstStoredVersion });

export const policies = pgTable('policies', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  version: integer('version')
    .notNull()
    .unique()
    .default(sql`nextval('policy_versions')`),
  place: integer('place').notNull(),
  match: jsonb('match').$type<PolicyMatch>().notNull(),
  rule: jsonb('rule').$type<PolicyRule>().notNull(),
  enabled: boolean('enabled').notNull().default(false),
  /** Who wrote this version; somebody else has to enable it. */
  editedBy: text('edited_by').notNull(),
  enabledBy: text('enabled_by'),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});
