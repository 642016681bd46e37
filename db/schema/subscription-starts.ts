import { pgTable, text } from 'drizzle-orm/pg-core';
import { subscriptions } from './bus.ts';
import { bigintText, xid8 } from './columns.ts';

/** The earliest place of the log that a subscription was told to read from: what lies before was never routed to it. */
export const subscriptionStarts = pgTable('subscription_starts', {
  subscription: text('subscription')
    .primaryKey()
    .references(() => subscriptions.key),
  tx: xid8('tx').notNull(),
  seq: bigintText('seq').notNull(),
});
