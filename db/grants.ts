import { and, asc, eq, gt, isNull, or, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { grants } from './schema/index.ts';

export type GrantRow = typeof grants.$inferSelect;

export async function listGrants(db: Db, principalId: string): Promise<GrantRow[]> {
  return db
    .select()
    .from(grants)
    .where(eq(grants.principalId, principalId))
    .orderBy(asc(grants.createdAt), asc(grants.id))
    .limit(1000);
}

/** Grants of a principal that hold at this moment, by the database's clock. */
export async function activeGrants(db: Db, principalId: string): Promise<GrantRow[]> {
  return db
    .select()
    .from(grants)
    .where(
      and(
        eq(grants.principalId, principalId),
        isNull(grants.revokedAt),
        or(isNull(grants.expiresAt), gt(grants.expiresAt, sql`now()`)),
      ),
    )
    .orderBy(asc(grants.createdAt), asc(grants.id))
    .limit(1000);
}

export async function getGrant(db: Db, id: string): Promise<GrantRow | null> {
  const [row] = await db.select().from(grants).where(eq(grants.id, id));
  return row ?? null;
}

export type NewGrant = {
  id: string;
  principalId: string;
  role: string;
  scope: string;
  reason: string;
  expiresInSeconds: number | null;
  actor: string;
};

/** Gives a principal a further role for some targets. */
export async function createGrant(
  db: Db,
  input: NewGrant & { opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, principalId, role, scope, reason, actor, expiresInSeconds } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .insert(grants)
      .values({
        ...{ id, principalId, role, scope, reason, grantedBy: actor },
        expiresAt:
          expiresInSeconds === null
            ? null
            : sql`now() + make_interval(secs => ${expiresInSeconds}::double precision)`,
      })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.roleChanged,
        source: { type: 'system', id: 'access' },
        payload: { change: 'granted', grantId: id, principalId, role, scope, reason },
      },
    ],
    audit: {
      actor,
      action: 'grant.create',
      subjectKind: 'grant',
      subjectId: id,
      detail: { principalId, role, scope, reason, expiresInSeconds },
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

/** Takes a grant back; unchanged when it was. */
export async function revokeGrant(
  db: Db,
  grant: GrantRow,
  op: { actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, principalId, role, scope } = grant;
  return change(db, {
    opKey: op.opKey,
    write: db
      .update(grants)
      .set({ revokedAt: sql`now()` })
      .where(and(eq(grants.id, id), isNull(grants.revokedAt)))
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.roleChanged,
        source: { type: 'system', id: 'access' },
        payload: { change: 'revoked', grantId: id, principalId, role, scope },
      },
    ],
    audit: {
      actor: op.actor,
      action: 'grant.revoke',
      subjectKind: 'grant',
      subjectId: id,
      detail: { principalId, role, scope },
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}
