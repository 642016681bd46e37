import { and, asc, eq, gt, isNull, sql } from 'drizzle-orm';
import { permissionsOf, type Principal, type PrincipalKind } from '../domain/access.ts';
import { eventTypes } from '../domain/events.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { keys, principals } from './schema/index.ts';

export type PrincipalRow = typeof principals.$inferSelect;
export type KeyFacts = {
  hash: string;
  expired: boolean;
  revoked: boolean;
  principal: Principal;
  active: boolean;
};

/** The service principals of this system itself; they propose and record, they never decide. */
export const systemPrincipals = { halo: 'prn_halo', system: 'prn_system' } as const;

/** What is needed to check a presented key; null for an unknown key id. */
export async function findKey(db: Db, keyId: string): Promise<KeyFacts | null> {
  const [row] = await db
    .select({
      hash: keys.hash,
      revoked: sql<boolean>`${keys.revokedAt} is not null`,
      expired: sql<boolean>`${keys.expiresAt} is not null and ${keys.expiresAt} <= now()`,
      principal: principals,
    })
    .from(keys)
    .innerJoin(principals, eq(keys.principalId, principals.id))
    .where(eq(keys.id, keyId));
  if (row === undefined) return null;
  const { hash, expired, revoked, principal } = row;
  return { hash, expired, revoked, principal: actorOf(principal), active: principal.status === 'active' };
}

/** The row as the rules see it. */
export function actorOf(row: PrincipalRow): Principal {
  const { id, kind, name, role, owner, tier } = row;
  return { id, kind, name, role, person: owner ?? id, permissions: permissionsOf(role), tier };
}

export async function getPrincipal(db: Db, id: string): Promise<PrincipalRow | null> {
  const [row] = await db.select().from(principals).where(eq(principals.id, id));
  return row ?? null;
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
  owner?: string;
  /** Without one it is a founder. */
  tier?: string;
};

/** Creates a principal; unchanged when the id or the name is taken. */
export async function createPrincipal(
  db: Db,
  input: NewPrincipal & { actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, kind, name, role, owner = null, tier = 'founder', actor } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .insert(principals)
      .values({ id, kind, name, role, owner, tier, createdBy: actor })
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
  expiresAt: Date | null;
};

/** Stores the hash of a new key. The key itself is shown once by the caller and kept nowhere. */
export async function storeKey(
  db: Db,
  input: NewKey & { actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, principalId, label, hash, expiresAt } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .insert(keys)
      .values({ id, principalId, label, hash, expiresAt, issuedBy: input.actor })
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
      detail: { principalId, label, expiresAt: expiresAt?.toISOString() ?? null },
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
