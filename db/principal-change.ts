import { and, eq, sql, type SQL } from 'drizzle-orm';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { change, databaseError } from './change.ts';
import type { Db } from './client.ts';
import type { PrincipalRow } from './principals.ts';
import { principals } from './schema/index.ts';

export type PrincipalPatch = Partial<Pick<PrincipalRow, 'role' | 'tier' | 'status' | 'oidcSubject'>>;

const lastAdmin = refuse(
  'CONFLICT',
  'This is the last active person with the role admin; make somebody else an admin first.',
);
const moved = refuse('STALE', 'The principal changed in the meantime; read it again, then change it.');

/**
 * Changes what a principal is, from exactly the row that was looked at. The count of the other admins locks their rows
 * in one order, so that two who remove each other at once cannot both succeed.
 */
export async function changePrincipal(
  db: Db,
  before: PrincipalRow,
  patch: PrincipalPatch,
  op: { actor: string; opKey: string },
): Promise<Refusal | null> {
  const changes = changed(before, patch);
  if (Object.keys(changes).length === 0) return null;
  const isAdmin = before.kind === 'human' && before.role === 'admin' && before.status === 'active';
  const stays = (patch.role ?? 'admin') === 'admin' && patch.status !== 'disabled';
  const { id } = before;
  try {
    const outcome = await change(db, {
      opKey: op.opKey,
      write: db
        .update(principals)
        .set({
          ...changes,
          ...('role' in changes ? { roleBy: op.actor, roleSince: sql`now()` } : {}),
        })
        .where(and(asItWas(before), isAdmin && !stays ? othersThan(id) : undefined))
        .returning()
        .getSQL(),
      events: eventsOf(id, changes),
      audit: {
        actor: op.actor,
        action: 'principal.change',
        subjectKind: 'principal',
        subjectId: id,
        detail: { ...changes, before: Object.fromEntries(keysOf(changes).map((key) => [key, before[key]])) },
      },
    });
    if (outcome.status !== 'unchanged') return null;
    return isAdmin && !stays && !(await hasOtherAdmin(db, id)) ? lastAdmin : moved;
  } catch (error) {
    if (databaseError(error)?.constraint_name === 'principals_oidc_subject_unique')
      return refuse('CONFLICT', 'This login is linked to somebody else; unlink it there first.');
    throw error;
  }
}

function keysOf(changes: PrincipalPatch): (keyof PrincipalPatch)[] {
  return Object.keys(changes) as (keyof PrincipalPatch)[];
}

function changed(before: PrincipalRow, patch: PrincipalPatch): PrincipalPatch & JsonObject {
  const wanted = keysOf(patch).filter((key) => patch[key] !== undefined && patch[key] !== before[key]);
  return Object.fromEntries(wanted.map((key) => [key, patch[key]])) as PrincipalPatch & JsonObject;
}

function asItWas({ id, role, tier, status, oidcSubject }: PrincipalRow): SQL | undefined {
  return and(
    eq(principals.id, id),
    eq(principals.role, role),
    eq(principals.tier, tier),
    eq(principals.status, status),
    sql`${principals.oidcSubject} is not distinct from ${oidcSubject}`,
  );
}

function othersThan(id: string): SQL {
  return sql`exists (
    select from (
      select a.id from principals a
      where a.kind = 'human' and a.role = 'admin' and a.status = 'active'
      order by a.id for update
    ) admins where admins.id <> ${id})`;
}

async function hasOtherAdmin(db: Db, id: string): Promise<boolean> {
  const [row] = await db.execute(sql`
    select exists (
      select from principals
      where kind = 'human' and role = 'admin' and status = 'active' and id <> ${id}) as found`);
  return row?.found === true;
}

function eventsOf(principalId: string, changes: PrincipalPatch & JsonObject): NewEvent[] {
  const { role, ...others } = changes;
  const source = { type: 'system', id: 'access' } as const;
  const events: NewEvent[] = [];
  if (role !== undefined)
    events.push({ type: eventTypes.roleChanged, source, payload: { principalId, role } });
  if (Object.keys(others).length > 0)
    events.push({ type: eventTypes.principalChanged, source, payload: { principalId, ...others } });
  return events;
}
