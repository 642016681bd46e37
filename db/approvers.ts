import { sql, type SQL } from 'drizzle-orm';
import { permissionsOf, type PrincipalKind } from '../domain/access.ts';
import type { Approver, Right } from '../domain/approver.ts';
import type { Db } from './client.ts';

type Given = { by: string | null; atMs: number };
type Row = {
  id: string;
  kind: PrincipalKind;
  name: string;
  role: string;
  owner: string | null;
  status: 'active' | 'disabled';
  made: Given;
  role_given: Given;
  role_permissions: string[] | null;
  grants: (Given & { role: string; scope: string; permissions: string[] | null })[];
  groups: (Given & { name: string })[];
  key: Given | null;
  now_ms: number;
};

/** Somebody who would decide, with the database's clock at the moment of reading. */
export type ReadApprover = Approver & { nowMs: number };

/** One principal with all it would decide by; null when it is unknown. */
export async function readApprover(
  db: Db,
  principalId: string,
  keyId: string | null,
): Promise<ReadApprover | null> {
  const [row] = await readRows(db, sql`p.id = ${principalId}`, keyId);
  return row === undefined ? null : toApprover(row);
}

/** One principal by its id or its name. */
export async function findApprover(db: Db, idOrName: string): Promise<ReadApprover | null> {
  const rows = await readRows(db, sql`p.id = ${idOrName} or p.name = ${idOrName}`, null);
  const row = rows.find(({ id }) => id === idOrName) ?? rows[0];
  return row === undefined ? null : toApprover(row);
}

/** Everybody who voted on the approval that a task has now. */
export async function readVotersOf(db: Db, taskId: string): Promise<Map<string, Approver>> {
  const voters = sql`p.id in (
    select v.value ->> 'principalId' from tasks t join approvals a on a.id = t.approval_id,
           jsonb_array_elements(a.votes) as v
    where t.id = ${taskId})`;
  const rows = await readRows(db, voters, null);
  return new Map(rows.map((row) => [row.id, toApprover(row)]));
}

const given = (by: SQL, at: SQL): SQL =>
  sql`'by', (select coalesce(g.owner, g.id) from principals g where g.id = ${by}), 'atMs', (extract(epoch from ${at}) * 1000)::float8`;

/** One statement, however much there is to know: deciding is what people wait for. */
async function readRows(db: Db, where: SQL, keyId: string | null): Promise<Row[]> {
  const rows = await db.execute(sql`
    select p.id, p.kind, p.name, p.role, p.owner, p.status,
           jsonb_build_object(${given(sql`p.created_by`, sql`p.created_at`)}) as made,
           jsonb_build_object(${given(sql`p.role_by`, sql`p.role_since`)}) as role_given,
           (select r.permissions from roles r where r.name = p.role) as role_permissions,
           (select coalesce(jsonb_agg(jsonb_build_object(
                     'role', x.role, 'scope', x.scope, 'permissions', r.permissions,
                     ${given(sql`x.granted_by`, sql`x.created_at`)})), '[]'::jsonb)
            from grants x left join roles r on r.name = x.role
            where x.principal_id = p.id and x.revoked_at is null
              and (x.expires_at is null or x.expires_at > now())) as grants,
           (select coalesce(jsonb_agg(jsonb_build_object(
                     'name', m.group_name, ${given(sql`m.added_by`, sql`m.added_at`)})), '[]'::jsonb)
            from group_members m where m.principal_id = p.id) as groups,
           (select jsonb_build_object(${given(sql`k.issued_by`, sql`k.created_at`)})
            from keys k where k.id = ${keyId} and k.principal_id = p.id) as key,
           (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms
    from principals p where ${where}`);
  return rows as unknown as Row[];
}

function toApprover(row: Row): ReadApprover {
  const { id, kind, name, role, owner, status } = row;
  const right = (from: Given, more: Partial<Right> & Pick<Right, 'what'>): Right => ({
    name: '',
    scope: '*',
    permissions: [],
    ...more,
    givenBy: from.by,
    givenAtMs: Number(from.atMs),
  });
  const rights = [
    right(row.made, { what: 'account' }),
    right(row.role_given, {
      what: 'role',
      name: role,
      permissions: row.role_permissions ?? permissionsOf(role),
    }),
    ...row.grants.map((grant) =>
      right(grant, {
        what: 'grant',
        name: grant.role,
        scope: grant.scope,
        permissions: scoped(grant.permissions ?? permissionsOf(grant.role), grant.scope),
      }),
    ),
    ...row.groups.map((group) => right(group, { what: 'group', name: group.name })),
    ...(row.key === null ? [] : [right(row.key, { what: 'key' })]),
  ];
  const permissions = rights.flatMap((each) => each.permissions);
  return {
    principal: { id, kind, name, role, person: owner ?? id, permissions },
    active: status === 'active',
    rights,
    nowMs: Number(row.now_ms),
  };
}

/** A grant for some targets: each permission for those only; one with a scope of its own keeps to that. */
function scoped(permissions: readonly string[], scope: string): readonly string[] {
  if (scope === '*') return permissions;
  return permissions
    .filter((permission) => !permission.includes('@'))
    .map((permission) => `${permission}@${scope}`);
}
