import { sql } from 'drizzle-orm';
import { boolean, index, integer, jsonb, pgTable, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core';
import type { EventWindow } from '../../domain/event-window.ts';
import { maxHops } from '../../domain/events.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { EventMatch } from '../../domain/subscription.ts';
import { type WormholeAction, wormholeOutcomes } from '../../domain/wormhole.ts';
import { instant } from './columns.ts';

/** Rules on the bus: what is done about which events. A removed one stays, so that its results keep their meaning. */
export const wormholes = pgTable(
  'wormholes',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull(),
    description: text('description').notNull().default(''),
    match: jsonb('match').$type<EventMatch>().notNull(),
    action: jsonb('action').$type<WormholeAction>().notNull(),
    /** The address of a forward, sealed; empty for any other action. */
    sealed: text('sealed'),
    /** The signing secret of a forward is derived from this number. */
    secretVersion: integer('secret_version').notNull().default(1),
    maxHops: integer('max_hops').notNull().default(maxHops),
    enabled: boolean('enabled').notNull().default(false),
    version: integer('version').notNull().default(1),
    /** Who wrote this version: what it proposes is proposed by them. Empty for a preset that nobody has enabled yet. */
    owner: text('owner'),
    enabledBy: text('enabled_by'),
    enabledAt: instant('enabled_at'),
    /** The version that was run over the recorded log last, and when. */
    backTestedVersion: integer('back_tested_version'),
    backTestedAt: instant('back_tested_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    removedAt: instant('removed_at'),
  },
  (table) => [
    uniqueIndex('wormholes_name')
      .on(table.name)
      .where(sql`removed_at is null`),
  ],
);

/** What became of an event at a wormhole: written with the effect, so that it happens once. Deleted after 7 days. */
export const wormholeResults = pgTable(
  'wormhole_results',
  {
    wormhole: text('wormhole')
      .notNull()
      .references(() => wormholes.id),
    eventId: text('event_id').notNull(),
    /** The replay it was handed over by; empty for the event itself. */
    replay: text('replay').notNull().default(''),
    version: integer('version').notNull(),
    outcome: text('outcome', { enum: wormholeOutcomes }).notNull(),
    detail: jsonb('detail').$type<JsonObject>().notNull(),
    at: instant('at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.wormhole, table.eventId, table.replay] }),
    index('wormhole_results_by_time').on(table.wormhole, table.at, table.eventId),
    index('wormhole_results_ended').on(table.at),
  ],
);

/** Open counts of wormholes that aggregate, one for each value of their key. */
export const wormholeWindows = pgTable(
  'wormhole_windows',
  {
    wormhole: text('wormhole')
      .notNull()
      .references(() => wormholes.id),
    key: text('key').notNull(),
    replay: text('replay').notNull().default(''),
    /** Grows with each write: two consumers never count from the same state. */
    revision: integer('revision').notNull(),
    state: jsonb('state').$type<EventWindow>().notNull(),
    endsAt: instant('ends_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.wormhole, table.key, table.replay] }),
    index('wormhole_windows_ended').on(table.endsAt),
  ],
);
