import { asc, eq, sql } from 'drizzle-orm';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { roles } from './schema/index.ts';

export type RoleRow = typeof roles.$inferSelect;
type Op = { actor: string; opKey: string };

export async function listRoles(db: Db): Promise<RoleRow[]> {
  return db.select().from(roles).orderBy(asc(roles.name)).limit(1000);
}

export async function getRole(db: Db, name: string): Promise<RoleRow | null> {
  const [row] = await db.select().from(roles).where(eq(roles.name, name));
  return row ?? null;
}

export type NewRole = { name: string; description: string; permissions: string[] };

/** Creates a role; unchanged when its name is taken. */
export async function createRole(db: Db, input: NewRole & Op): Promise<ChangeOutcome<{ name: string }>> {
  const { name, description, permissions } = input;
  return change(db, {
    opKey: input.opKey,
    write: db
      .insert(roles)
      .values({ name, description, permissions })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    ...recordOf(input, 'created', { description, permissions }),
    result: sql`jsonb_build_object('name', changed.name)`,
  });
}

/**
 * Changes a role, from exactly the permissions that were looked at. Whoever has it, by its role or a grant, has rights
 * that came from this actor just now: the rule that rights given after a request do not count reads it there.
 */
export async function changeRole(
  db: Db,
  before: RoleRow,
  input: Partial<Omit<NewRole, 'name'>> & Op,
): Promise<ChangeOutcome<{ name: string }>> {
  const { description = before.description, permissions = before.permissions } = input;
  const was = JSON.stringify(before.permissions);
  return change(db, {
    opKey: input.opKey,
    write: sql`
      update roles set description = ${description}, permissions = ${JSON.stringify(permissions)}::text::jsonb,
                       updated_at = now()
      where name = ${before.name} and permissions = ${was}::text::jsonb
      returning *`,
    also: [
      sql`
        update principals set role_by = ${input.actor}, role_since = now()
        from changed
        where principals.role = changed.name or exists (
          select from grants g
          where g.principal_id = principals.id and g.role = changed.name and g.revoked_at is null)`,
    ],
    ...recordOf({ ...input, name: before.name }, 'changed', {
      description,
      permissions,
      before: before.permissions,
    }),
    result: sql`jsonb_build_object('name', changed.name)`,
  });
}

/** Removes a role that nobody has; unchanged while a principal or a grant names it. */
export async function deleteRole(db: Db, input: { name: string } & Op): Promise<ChangeOutcome<JsonObject>> {
  return change(db, {
    opKey: input.opKey,
    write: sql`
      delete from roles r
      where r.name = ${input.name}
        and not exists (select from principals p where p.role = r.name)
        and not exists (
          select from grants g
          where g.role = r.name and g.revoked_at is null and (g.expires_at is null or g.expires_at > now()))
      returning *`,
    ...recordOf(input, 'deleted', {}),
  });
}

function recordOf(
  { name, actor }: { name: string } & Op,
  what: 'created' | 'changed' | 'deleted',
  detail: JsonObject,
): {
  events: NewEvent[];
  audit: { actor: string; action: string; subjectKind: string; subjectId: string; detail: JsonObject };
} {
  return {
    events: [
      {
        type: eventTypes.roleChanged,
        source: { type: 'system', id: 'access' },
        payload: { role: name, change: what, ...detail },
      },
    ],
    audit: { actor, action: `role.${what}`, subjectKind: 'role', subjectId: name, detail },
  };
}
