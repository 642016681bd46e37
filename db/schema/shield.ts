import { sql } from 'drizzle-orm';
import { index, integer, jsonb, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { severities } from '../../domain/events.ts';
import type { JsonObject } from '../../domain/json.ts';
import { subjectKinds, threatKinds, threatStates } from '../../domain/shield.ts';
import { instant } from './columns.ts';

export const threats = pgTable(
  'threats',
  {
    id: text('id').primaryKey(),
    kind: text('kind', { enum: threatKinds }).notNull(),
    subjectKind: text('subject_kind', { enum: subjectKinds }).notNull(),
    subjectId: text('subject_id').notNull(),
    /** The address from which it came, empty where none is known. */
    address: text('address').notNull().default(''),
    severity: text('severity', { enum: severities }).notNull(),
    count: integer('count').notNull(),
    state: text('state', { enum: threatStates }).notNull(),
    evidence: jsonb('evidence').$type<JsonObject>().notNull(),
    firstAt: instant('first_at').notNull().defaultNow(),
    lastAt: instant('last_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull(),
    closedAt: instant('closed_at'),
    closedBy: text('closed_by'),
    closedBecause: text('closed_because'),
  },
  (table) => [
    uniqueIndex('threats_one_active')
      .on(table.kind, table.subjectKind, table.subjectId, table.address)
      .where(sql`state = 'active'`),
    index('threats_by_time').on(table.lastAt, table.id),
    index('threats_by_subject').on(table.subjectKind, table.subjectId),
  ],
);

export const blocks = pgTable(
  'blocks',
  {
    id: text('id').primaryKey(),
    subjectKind: text('subject_kind', { enum: ['address', 'key', 'principal'] }).notNull(),
    subjectId: text('subject_id').notNull(),
    /** A block of a key is for one address only; empty means wherever it comes from. */
    address: text('address'),
    reason: text('reason').notNull(),
    threatId: text('threat_id').references(() => threats.id),
    placedBy: text('placed_by').notNull(),
    until: instant('until').notNull(),
    liftedAt: instant('lifted_at'),
    liftedBy: text('lifted_by'),
    liftedBecause: text('lifted_because'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [index('blocks_by_end').on(table.until), index('blocks_by_time').on(table.createdAt, table.id)],
);
