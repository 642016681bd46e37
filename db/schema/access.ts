import { sql } from 'drizzle-orm';
import { index, jsonb, pgTable, primaryKey, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { principalKinds } from '../../domain/access.ts';
import { instant } from './columns.ts';

export const principals = pgTable('principals', {
  id: text('id').primaryKey(),
  kind: text('kind', { enum: principalKinds }).notNull(),
  name: text('name').notNull().unique(),
  role: text('role').notNull(),
  /** The person who answers for an agent or a service; empty for people. */
  owner: text('owner'),
  tier: text('tier').notNull().default('founder'),
  /** The subject of this person at the identity provider, `<issuer>|<sub>`. */
  oidcSubject: text('oidc_subject').unique(),
  status: text('status', { enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  createdBy: text('created_by'),
  /** Who gave the role and when: rights that a requester gives after asking do not count. */
  roleBy: text('role_by'),
  roleSince: instant('role_since').notNull().defaultNow(),
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
    /** Permission strings the key is cut down to; null means all its principal has. */
    scopes: jsonb('scopes').$type<string[]>(),
    issuedBy: text('issued_by'),
    rotatedFrom: text('rotated_from'),
    expiresAt: instant('expires_at'),
    revokedAt: instant('revoked_at'),
    /** Kept to the minute: a write per request would cost more than the request. */
    lastUsedAt: instant('last_used_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [
    index('keys_by_principal').on(table.principalId),
    // A key has one successor at a time: two rotations at once leave two valid keys, not three.
    uniqueIndex('keys_one_successor')
      .on(table.rotatedFrom)
      .where(sql`revoked_at is null`),
  ],
);

/** Roles beside the built-in ones: a name for a list of permission strings. */
export const roles = pgTable('roles', {
  name: text('name').primaryKey(),
  description: text('description').notNull(),
  permissions: jsonb('permissions').$type<string[]>().notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

/** A further role for a principal, for some targets or all, for some time or until revoked. */
export const grants = pgTable(
  'grants',
  {
    id: text('id').primaryKey(),
    principalId: text('principal_id')
      .notNull()
      .references(() => principals.id),
    role: text('role').notNull(),
    scope: text('scope').notNull().default('*'),
    reason: text('reason').notNull(),
    grantedBy: text('granted_by').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    expiresAt: instant('expires_at'),
    revokedAt: instant('revoked_at'),
  },
  (table) => [index('grants_by_principal').on(table.principalId)],
);

/** Groups of principals, for policies that name who approves. */
export const groups = pgTable('groups', {
  name: text('name').primaryKey(),
  description: text('description').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
});

export const groupMembers = pgTable(
  'group_members',
  {
    groupName: text('group_name')
      .notNull()
      .references(() => groups.name),
    principalId: text('principal_id')
      .notNull()
      .references(() => principals.id),
    addedBy: text('added_by').notNull(),
    addedAt: instant('added_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.groupName, table.principalId] }),
    index('groups_of_member').on(table.principalId),
  ],
);
