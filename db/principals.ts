import { and, asc, eq, gt, isNull, sql, type SQL } from 'drizzle-orm';
import type { Principal, PrincipalKind } from '../domain/access.ts';
import { eventTypes } from '../domain/events.ts';
import { effectivePermissions, type GrantFacts, intersectPermissions } from '../domain/scope.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { keys, principals } from './schema/index.ts';

export type PrincipalRow = typeof principals.$inferSelect;
export type KeyFacts = {
  hash: string;
  expired: boolean;
  revoked: boolean;
  /** The principal with what it may do by this key: its scopes cut its permissions down. */
  principal: Principal;
  active: boolean;
  /** Whether the time of the last use is older than it is kept exact. */
  stale: boolean;
};

/** The service principals of this system itself; they propose and record, they never decide. */
export const systemPrincipals = { halo: 'prn_halo', system: 'prn_system' } as const;

/** What a row of principals alone does not say: the permissions of a custom role, and the grants that hold now. */
export type Rights = { rolePermissions: string[] | null; grants: GrantFacts[] };
export type KnownPrincipal = PrincipalRow & { rights: Rights };

// Subqueries of the same statement: every request reads them, so they must not cost a round trip of their own.
const rights = {
  rolePermissions: sql<
    string[] | null
  >`(select r.permissions from roles r where r.name = ${principals}.role)`,
  grants: sql<GrantFacts[]>`(
    select coalesce(jsonb_agg(jsonb_build_object('role', g.role, 'scope', g.scope, 'permissions', r.permissions)
                              order by g.id), '[]')
    from grants g left join roles r on r.name = g.role
    where g.principal_id = ${principals}.id and g.revoked_at is null
      and (g.expires_at is null or g.expires_at > now()))`,
};

/** What is needed to check a presented key; null for an unknown key id. */
export async function findKey(db: Db, keyId: string): Promise<KeyFacts | null> {
  const [row] = await db
    .select({
      hash: keys.hash,
      revoked: sql<boolean>`${keys.revokedAt} is not null`,
      expired: sql<boolean>`${keys.expiresAt} is not null and ${keys.expiresAt} <= now()`,
      stale: sql<boolean>`${keys.lastUsedAt} is null or ${keys.lastUsedAt} < now() - interval '1 minute'`,
      scopes: keys.scopes,
      principal: principals,
      ...rights,
    })
    .from(keys)
    .innerJoin(principals, eq(keys.principalId, principals.id))
    .where(eq(keys.id, keyId));
  if (row === undefined) return null;
  const { principal, scopes, rolePermissions, grants, ...facts } = row;
  const whole = actorOf({ ...principal, rights: { rolePermissions, grants } });
  return {
    ...facts,
    active: principal.status === 'active',
    principal:
      scopes === null ? whole : { ...whole, permissions: intersectPermissions(whole.permissions, scopes) },
  };
}

/** The row as the rules see it. */
export function actorOf(row: KnownPrincipal): Principal {
  const { id, kind, name, role, owner, tier } = row;
  const { rolePermissions, grants } = row.rights;
  const held = effectivePermissions({ role, permissions: rolePermissions }, grants);
  return { id, kind, name, role, person: owner ?? id, permissions: held, tier };
}

async function readPrincipal(db: Db, where: SQL): Promise<KnownPrincipal | null> {
  const [row] = await db
    .select({ principal: principals, ...rights })
    .from(principals)
    .where(where);
  if (row === undefined) return null;
  const { principal, ...held } = row;
  return { ...principal, rights: held };
}

export async function getPrincipal(db: Db, id: string): Promise<KnownPrincipal | null> {
  return readPrincipal(db, eq(principals.id, id));
}

/** The person whom the identity provider knows under this subject, `<issuer>|<sub>`. */
export async function findPrincipalBySubject(db: Db, subject: string): Promise<KnownPrincipal | null> {
  return readPrincipal(db, eq(principals.oidcSubject, subject));
}

export async function listPrincipals(db: Db, after: string, limit: number): Promise<PrincipalRow[]> {
  return db
    .select()
    .from(principals)
    .where(gt(principals.id, after))
    .orderBy(asc(principals.id))
    .limit(limit);
}

export type NewPrincipal = {
  id: string;
  kind: PrincipalKind;
  name: string;
  role: string;
  /** The person who answers for an agent or a service. */
  owner?: string | undefined;
  tier?: string | undefined;
  oidcSubject?: string | undefined;
};

/** Creates a principal; unchanged when the id or the name is taken. */
export async function createPrincipal(
  db: Db,
  input: NewPrincipal & { actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, kind, name, role, owner = null, actor, tier, oidcSubject } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .insert(principals)
      .values({
        ...{ id, kind, name, role, owner, createdBy: actor, roleBy: actor },
        ...(tier === undefined ? {} : { tier }),
        ...(oidcSubject === undefined ? {} : { oidcSubject }),
      })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.principalCreated,
        source: { type: 'system', id: 'access' },
        payload: { principalId: id, kind, name, role, owner },
      },
    ],
    audit: {
      actor,
      action: 'principal.create',
      subjectKind: 'principal',
      subjectId: id,
      detail: { kind, name, role, owner },
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

export type NewKey = {
  id: string;
  principalId: string;
  label: string;
  hash: string;
  /** Permission strings the key is cut down to; all its principal has without them. */
  scopes?: string[] | null;
  expiresAt: Date | null;
};

/** Stores the hash of a new key. The key itself is shown once by the caller and kept nowhere. */
export async function storeKey(
  db: Db,
  input: NewKey & { actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, principalId, label, hash, expiresAt, scopes = null } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .insert(keys)
      .values({ id, principalId, label, hash, expiresAt, scopes, issuedBy: input.actor })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.keyIssued,
        source: { type: 'system', id: 'access' },
        payload: { keyId: id, principalId },
      },
    ],
    audit: {
      actor: input.actor,
      action: 'key.issue',
      subjectKind: 'key',
      subjectId: id,
      detail: { principalId, label, scopes, expiresAt: expiresAt?.toISOString() ?? null },
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

/** Revokes a key; unchanged when it is unknown or already revoked. */
export async function revokeKey(
  db: Db,
  input: { id: string; actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  return change(db, {
    opKey: input.opKey,
    write: db
      .update(keys)
      .set({ revokedAt: sql`now()` })
      .where(and(eq(keys.id, input.id), isNull(keys.revokedAt)))
      .returning()
      .getSQL(),
    events: [
      { type: eventTypes.keyRevoked, source: { type: 'system', id: 'access' }, payload: { keyId: input.id } },
    ],
    audit: { actor: input.actor, action: 'key.revoke', subjectKind: 'key', subjectId: input.id },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}
