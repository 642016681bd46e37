import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { schemaModes } from '../../domain/event-schema-mode.ts';
import type { JsonObject } from '../../domain/json.ts';
import { instant } from './columns.ts';

/** What payloads of a type look like. Versions stay, as events name theirs; the newest enabled one counts. */
export const eventSchemas = pgTable(
  'event_schemas',
  {
    type: text('type').notNull(),
    version: integer('version').notNull(),
    description: text('description').notNull().default(''),
    schema: jsonb('schema').$type<JsonObject>().notNull(),
    mode: text('mode', { enum: schemaModes }).notNull(),
    enabled: boolean('enabled').notNull(),
    owner: text('owner').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.type, table.version] }),
    index('event_schemas_enabled')
      .on(table.type)
      .where(sql`enabled`),
  ],
);
