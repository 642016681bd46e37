import { bigint, boolean, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { defaultReleasePerMinute, switchLevels } from '../../domain/kill-switch.ts';
import { instant } from './columns.ts';

/** One row: the newest epoch of all scopes. Only `engageSwitch` moves it, under the lock of `kill_switch_epoch()`. */
export const killSwitchHead = pgTable('kill_switch_head', {
  one: boolean('one').primaryKey().default(true),
  epoch: bigint('epoch', { mode: 'number' }).notNull(),
});

export const killSwitches = pgTable('kill_switches', {
  /** `all`, `kind:<kind>` or `target:<target or beginning*>`. */
  scope: text('scope').primaryKey(),
  level: text('level', { enum: switchLevels }).notNull(),
  epoch: bigint('epoch', { mode: 'number' }).notNull(),
  reason: text('reason').notNull(),
  engagedBy: text('engaged_by').notNull(),
  engagedAt: instant('engaged_at').notNull().defaultNow(),
  releasedBy: text('released_by'),
  releasedAt: instant('released_at'),
  releaseReason: text('release_reason'),
  releasePerMinute: integer('release_per_minute').notNull().default(defaultReleasePerMinute),
  /** When the last parked task was let go, and how many since the release: what keeps all relays to one rate. */
  lastReleasedAt: instant('last_released_at'),
  drained: integer('drained').notNull().default(0),
});
