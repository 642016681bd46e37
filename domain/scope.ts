import {
  isBuiltIn,
  type Permission,
  permissions,
  permissionsOf,
  type Principal,
  type PrincipalKind,
  targetedPermissions,
} from './access.ts';
import { refuse, type Refusal } from './refusal.ts';

/*
 * Permission strings as sets of (permission, target). A scope is one target or the beginning of some, so two scopes
 * either lie inside each other or have nothing in common; that makes every rule here a comparison of pairs.
 */
type Held = { permission: string; scope: string };

function split(text: string): Held {
  const at = text.indexOf('@');
  return at < 0
    ? { permission: text, scope: '*' }
    : { permission: text.slice(0, at), scope: text.slice(at + 1) };
}

function join({ permission, scope }: Held): string {
  return scope === '*' ? permission : `${permission}@${scope}`;
}

function includesScope(outer: string, inner: string): boolean {
  if (!outer.endsWith('*')) return outer === inner;
  return (inner.endsWith('*') ? inner.slice(0, -1) : inner).startsWith(outer.slice(0, -1));
}

/** What both lists permit, and nothing that only one of them does. */
export function intersectPermissions(left: readonly string[], right: readonly string[]): string[] {
  const both = left.map(split).flatMap((one) =>
    right.map(split).flatMap((other) => {
      if (one.permission !== other.permission) return [];
      if (includesScope(one.scope, other.scope)) return [join(other)];
      return includesScope(other.scope, one.scope) ? [join(one)] : [];
    }),
  );
  return [...new Set(both)];
}

/** The same permissions for the targets of a scope only; what is narrower already stays narrower. */
export function narrowPermissions(held: readonly string[], scope: string): string[] {
  return intersectPermissions(
    held,
    held.map((text) => join({ permission: split(text).permission, scope })),
  );
}

/** Those of the wanted permission strings that a list does not wholly cover. */
export function lackingPermissions(held: readonly string[], wanted: readonly string[]): string[] {
  const has = held.map(split);
  return wanted.filter((text) => {
    const { permission, scope } = split(text);
    return !has.some((one) => one.permission === permission && includesScope(one.scope, scope));
  });
}

/** The scopes for which a principal holds a permission; null means for every target, an empty list for none. */
export function scopesOf(principal: Pick<Principal, 'permissions'>, permission: Permission): string[] | null {
  const scopes = principal.permissions
    .map(split)
    .filter((held) => held.permission === permission)
    .map(({ scope }) => scope);
  return scopes.includes('*') ? null : scopes;
}

/** A role as the record has it: custom roles bring their permissions, built-in ones and unknown names do not. */
export type RoleFacts = { role: string; permissions: readonly string[] | null };
export type GrantFacts = RoleFacts & { scope: string };

/** What a role permits: a built-in one by this code, a custom one by its row, an unknown one nothing. */
export function permissionsOfRole({ role, permissions: listed }: RoleFacts): readonly string[] {
  return isBuiltIn(role) ? permissionsOf(role) : (listed ?? []);
}

/** All a principal may do: its role, and each grant for the targets it was given for. */
export function effectivePermissions(role: RoleFacts, grants: readonly GrantFacts[]): readonly string[] {
  const own = permissionsOfRole(role);
  if (grants.length === 0) return own;
  const granted = grants.flatMap((grant) => narrowPermissions(permissionsOfRole(grant), grant.scope));
  return [...new Set([...own, ...granted])];
}

/**
 * Refuses to hand on more than one holds. Who holds all that an admin does may also hand on what no admin has, the
 * permissions of agents and breaking the glass, but never to themselves.
 */
export function requireHeld(
  giver: Principal,
  wanted: readonly string[],
  receiver: string | null,
): Refusal | null {
  const lacking = lackingPermissions(giver.permissions, wanted);
  if (lacking.length === 0) return null;
  const isWholeAdmin = lackingPermissions(giver.permissions, permissionsOf('admin')).length === 0;
  if (isWholeAdmin && receiver !== giver.id) return null;
  return refuse(
    'FORBIDDEN',
    `${giver.name} does not hold ${lacking.join(', ')} and cannot hand it on; nobody gives more than they have. Ask somebody who holds it.`,
    { lacking },
  );
}

// Spelled out instead of \p{Cc} with a flag: readers of the OpenAPI document know no flags.
const scopeCharacter = '[^*\\x00-\\x1f\\x7f-\\x9f]';
/** A scope as people write it: one target, or the beginning of one with a single `*` at its end. */
export const scopePattern = new RegExp(`^(?:\\*|${scopeCharacter}{1,199}\\*?)$`);

const forAgents: readonly string[] = permissionsOf('agent').filter(
  (held) => !permissionsOf('admin').includes(held),
);

/** What who registers an agent has to hold: all that the agent may do but speak for itself. */
export const agentNeeds: readonly string[] = permissionsOf('agent').filter(
  (held) => !forAgents.includes(held),
);

/** Refuses permission strings that cannot be given: unknown ones, and scopes that could never be asked for. */
export function checkPermissionStrings(listed: readonly string[], receiver: PrincipalKind): Refusal | null {
  for (const text of listed) {
    const { permission, scope } = split(text);
    const known = permissions.find((each) => each === permission);
    if (known === undefined)
      return refuse('INVALID', `"${text}" is no permission; known are: ${permissions.join(', ')}.`);
    if (receiver !== 'agent' && forAgents.includes(known))
      return refuse('INVALID', `${known} is what an agent says about itself; only the role agent has it.`);
    if (!scopePattern.test(scope))
      return refuse('INVALID', `"${text}": behind @ comes a target, or the beginning of one and a *.`);
    if (scope !== '*' && !targetedPermissions.includes(known))
      return refuse(
        'INVALID',
        `${known} has no targets, so "${text}" would permit nothing; a scope goes with: ${targetedPermissions.join(', ')}.`,
      );
  }
  return null;
}
