import { bigint, pgTable, text } from 'drizzle-orm/pg-core';
import { instant } from './columns.ts';

/** Requests and errors since HALO was last triggered by them (LEDGER 1.2), over all API processes. */
export const haloCounters = pgTable('halo_counters', {
  name: text('name', { enum: ['requests', 'errors'] }).primaryKey(),
  count: bigint('count', { mode: 'number' }).notNull().default(0),
  since: instant('since').notNull().defaultNow(),
  /** How often the threshold was reached, and how many of these HALO was told of. */
  reached: bigint('reached', { mode: 'number' }).notNull().default(0),
  told: bigint('told', { mode: 'number' }).notNull().default(0),
  reachedAt: instant('reached_at'),
});
