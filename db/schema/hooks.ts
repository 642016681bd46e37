import { bigint, boolean, integer, jsonb, pgTable, text } from 'drizzle-orm/pg-core';
import { severities } from '../../domain/events.ts';
import { hookForms, type HookMapping, hookSchemes } from '../../domain/hook.ts';
import { instant } from './columns.ts';

/** Doors for signed messages of others. Nothing here authenticates: secrets are sealed (db/sealed.ts). */
export const hooks = pgTable('hooks', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  scheme: text('scheme', { enum: hookSchemes }).notNull(),
  form: text('form', { enum: hookForms }).notNull(),
  /** Type of its events, or the beginning of it; an event of another DreamNet keeps its own. */
  eventType: text('event_type').notNull(),
  severity: text('severity', { enum: severities }).notNull(),
  mapping: jsonb('mapping').$type<HookMapping>().notNull(),
  perMinute: integer('per_minute').notNull(),
  sealed: text('sealed').notNull(),
  secretVersion: integer('secret_version').notNull().default(1),
  /** The secret before this one counts until the overlap is over. */
  previousSealed: text('previous_sealed'),
  previousSecretUntil: instant('previous_secret_until'),
  enabled: boolean('enabled').notNull().default(true),
  owner: text('owner').notNull(),
  received: bigint('received', { mode: 'number' }).notNull().default(0),
  refused: bigint('refused', { mode: 'number' }).notNull().default(0),
  lastReceivedAt: instant('last_received_at'),
  lastRefusedAt: instant('last_refused_at'),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});
