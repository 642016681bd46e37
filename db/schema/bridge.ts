import { boolean, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { instant } from './columns.ts';

/** Other DreamNets that events are sent to, each by a subscription of its own: `cluster-<name>` (db/bridge.ts). */
export const bridgeClusters = pgTable('bridge_clusters', {
  name: text('name').primaryKey(),
  /** The door of a hook there; knowing it opens nothing, as what goes in is signed. */
  url: text('url').notNull(),
  allowPrivateNetwork: boolean('allow_private_network').notNull().default(false),
  /** Once so many events wait for it, it takes no more broadcasts. */
  backlogLimit: integer('backlog_limit').notNull(),
  /** The hook here that the other side posts to; without one nothing is known of what comes in. */
  hookId: text('hook_id'),
  enabled: boolean('enabled').notNull().default(true),
  owner: text('owner').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});
