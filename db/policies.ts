import { asc, eq } from 'drizzle-orm';
import { type Policy, type PolicyFacts, resolvePolicy } from '../domain/policy.ts';
import type { Db } from './client.ts';
import { groupMembers, policies } from './schema/index.ts';

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
