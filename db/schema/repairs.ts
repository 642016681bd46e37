import { sql } from 'drizzle-orm';
import { index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { verdicts } from '../../domain/verdict.ts';
import type { JsonObject } from '../../domain/json.ts';
import { instant } from './columns.ts';
import { tasks } from './work.ts';

/** A repair that HALO proposed and that was carried out, until a later cycle has judged whether it helped. */
export const repairs = pgTable(
  'repairs',
  {
    taskId: text('task_id')
      .primaryKey()
      .references(() => tasks.id),
    action: text('action').notNull(),
    target: text('target').notNull(),
    /** Targets of one class count together: `probe`, `agent`, ... */
    targetClass: text('target_class').notNull(),
    /** First sign of the trouble, and the end of the repair. */
    troubleSince: instant('trouble_since').notNull(),
    repairedAt: instant('repaired_at').notNull(),
    state: text('state', { enum: ['watching', 'judged', 'not-judgeable'] }).notNull(),
    verdict: text('verdict', { enum: verdicts }),
    because: text('because'),
    /** What was compared. */
    view: jsonb('view').$type<JsonObject>(),
    judgedBy: text('judged_by'),
    judgedAt: instant('judged_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [
    index('repairs_watching')
      .on(table.repairedAt)
      .where(sql`state = 'watching'`),
    index('repairs_by_action').on(table.action, table.targetClass, table.repairedAt),
  ],
);

/** How far an action on a class of targets has earned to go without a question each time. */
export const autonomy = pgTable(
  'autonomy',
  {
    action: text('action').notNull(),
    targetClass: text('target_class').notNull(),
    helped: integer('helped').notNull().default(0),
    failed: integer('failed').notNull().default(0),
    /** Helped in a row since the last one that failed. */
    streak: integer('streak').notNull().default(0),
    state: text('state', { enum: ['manual', 'suggested', 'granted'] })
      .notNull()
      .default('manual'),
    version: integer('version').notNull().default(1),
    grantedBy: text('granted_by'),
    reason: text('reason'),
    grantedAt: instant('granted_at'),
    expiresAt: instant('expires_at'),
    /** Why it fell back to manual. */
    withdrawnBecause: text('withdrawn_because'),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.action, table.targetClass] })],
);
