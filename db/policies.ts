import { and, asc, desc, eq, gt, inArray, lt, or, sql } from 'drizzle-orm';
import { builtInRoles, permissionsOf } from '../domain/access.ts';
import { type Approvers, type Policy, type PolicyFacts, resolvePolicy } from '../domain/policy.ts';
import type { AuditRow } from './audit.ts';
import type { Db } from './client.ts';
import { auditEntries, groupMembers, groups, policies, roles } from './schema/index.ts';

export type PolicyRow = typeof policies.$inferSelect;

/** The policies in force, in the order in which they count. */
export async function enabledPolicies(db: Db): Promise<Policy[]> {
  const { id, name, version, place, match, rule } = policies;
  return db
    .select({ id, name, version, place, match, rule })
    .from(policies)
    .where(eq(policies.enabled, true))
    .orderBy(asc(place), asc(version));
}

/** Groups a principal is a member of. */
export async function groupsOf(db: Db, principalId: string): Promise<string[]> {
  const rows = await db
    .select({ name: groupMembers.groupName })
    .from(groupMembers)
    .where(eq(groupMembers.principalId, principalId));
  return rows.map(({ name }) => name);
}

/** The policy a piece of work of this requester falls under now. */
export async function policyFor(
  db: Db,
  work: Omit<PolicyFacts, 'groups'> & { requestedBy: string },
): Promise<Policy> {
  const { requestedBy, ...facts } = work;
  const [known, groups] = await Promise.all([enabledPolicies(db), groupsOf(db, requestedBy)]);
  return resolvePolicy(known, { ...facts, groups });
}

export async function getPolicy(db: Db, id: string): Promise<PolicyRow | null> {
  const [row] = await db.select().from(policies).where(eq(policies.id, id));
  return row ?? null;
}

/** The person who answers for the principal that wrote a version. */
export async function personBehind(db: Db, principalId: string): Promise<string> {
  const [row] = await db.execute(
    sql`select coalesce(owner, id) as person from principals where id = ${principalId}`,
  );
  return typeof row?.person === 'string' ? row.person : principalId;
}

/** Stored policies in the order in which they count, behind a place. */
export async function listPolicies(
  db: Db,
  filter: { enabled?: boolean | undefined },
  after: { place: number; version: number } | null,
  limit: number,
): Promise<PolicyRow[]> {
  const { place, version, enabled } = policies;
  return db
    .select()
    .from(policies)
    .where(
      and(
        filter.enabled === undefined ? undefined : eq(enabled, filter.enabled),
        after === null
          ? undefined
          : or(gt(place, after.place), and(eq(place, after.place), gt(version, after.version))),
      ),
    )
    .orderBy(asc(place), asc(version))
    .limit(limit);
}

/** What happened to a policy, newest first, as the audit holds it. */
export async function policyHistory(
  db: Db,
  id: string,
  before: number | null,
  limit: number,
): Promise<AuditRow[]> {
  return db
    .select()
    .from(auditEntries)
    .where(
      and(
        eq(auditEntries.subjectKind, 'policy'),
        eq(auditEntries.subjectId, id),
        eq(auditEntries.outcome, 'ok'),
        before === null ? undefined : lt(auditEntries.chainNo, before),
      ),
    )
    .orderBy(desc(auditEntries.chainNo))
    .limit(limit);
}

export type KnownApprovers = Approvers & {
  /** Of the known roles those whose holders may decide at all. */
  deciding: string[];
};

/** Which of these roles and groups exist. */
export async function knownApprovers(db: Db, asked: Approvers): Promise<KnownApprovers> {
  const builtIn = builtInRoles.filter((role) => asked.roles.includes(role));
  const [custom, known] = await Promise.all([
    asked.roles.length === 0
      ? []
      : db
          .select({ name: roles.name, permissions: roles.permissions })
          .from(roles)
          .where(inArray(roles.name, asked.roles)),
    asked.groups.length === 0
      ? []
      : db.select({ name: groups.name }).from(groups).where(inArray(groups.name, asked.groups)),
  ]);
  const held: [string, readonly string[]][] = [
    ...builtIn.map((role): [string, readonly string[]] => [role, permissionsOf(role)]),
    ...custom.map(({ name, permissions }): [string, readonly string[]] => [name, permissions]),
  ];
  return {
    roles: held.map(([name]) => name),
    deciding: held
      .filter(([, permissions]) => permissions.some((held) => held.split('@', 1)[0] === 'approvals:decide'))
      .map(([name]) => name),
    groups: known.map(({ name }) => name),
  };
}
