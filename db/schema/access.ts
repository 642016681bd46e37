import { index, pgTable, text } from 'drizzle-orm/pg-core';
import { principalKinds, roles } from '../../domain/access.ts';
import { instant } from './columns.ts';

export const principals = pgTable('principals', {
  id: text('id').primaryKey(),
  kind: text('kind', { enum: principalKinds }).notNull(),
  name: text('name').notNull().unique(),
  role: text('role', { enum: roles }).notNull(),
  status: text('status', { enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  createdAt: instant('created_at').notNull().defaultNow(),
});

/** The secret part of a key is never stored, only its HMAC under the pepper. */
export const keys = pgTable(
  'keys',
  {
    id: text('id').primaryKey(),
    principalId: text('principal_id')
      .notNull()
      .references(() => principals.id),
    label: text('label').notNull(),
    hash: text('hash').notNull(),
    expiresAt: instant('expires_at'),
    revokedAt: instant('revoked_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [index('keys_by_principal').on(table.principalId)],
);
