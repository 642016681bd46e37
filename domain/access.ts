import { refuse, type Refusal } from './refusal.ts';

export const principalKinds = ['human', 'agent', 'service'] as const;
export type PrincipalKind = (typeof principalKinds)[number];

/** Roles that are always there; an admin can add others, each a name for a list of permissions. */
export const builtInRoles = ['admin', 'operator', 'viewer', 'agent', 'break-glass'] as const;
export type BuiltInRole = (typeof builtInRoles)[number];

export const permissions = [
  'events:read',
  'events:write',
  'tasks:read',
  'tasks:write',
  'tasks:dispatch',
  'tasks:progress',
  'approvals:read',
  'approvals:decide',
  'approvals:break-glass',
  'policies:read',
  'policies:write',
  'policies:enable',
  'kill-switch:read',
  'kill-switch:engage',
  'kill-switch:release',
  'halo:read',
  'halo:run',
  'memory:read',
  'memory:write',
  'autonomy:read',
  'autonomy:grant',
  'squads:read',
  'squads:write',
  'probes:read',
  'probes:write',
  'agents:read',
  'agents:write',
  'agents:beat',
  'bus:read',
  'bus:write',
  'bus:operate',
  'metrics:read',
  'channels:read',
  'channels:write',
  'audit:read',
  'security:read',
  'security:write',
  'control:read',
  'control:write',
  'access:read',
  'access:write',
] as const;
export type Permission = (typeof permissions)[number];

/**
 * Permissions that are asked for with a target. A scope on any other one opens nothing, as nobody could hold it
 * against an object.
 */
export const targetedPermissions: readonly Permission[] = [
  'events:write',
  'tasks:read',
  'tasks:write',
  'tasks:dispatch',
  'tasks:progress',
  'approvals:read',
  'approvals:decide',
  'approvals:break-glass',
  'probes:read',
  'probes:write',
  'agents:read',
  'agents:write',
  'agents:beat',
];

const reads = permissions.filter((permission) => permission.endsWith(':read'));
const readsForViewers = reads.filter((permission) => permission !== 'access:read');
const neverForPeople: readonly Permission[] = ['agents:beat', 'tasks:progress'];

const granted: Record<BuiltInRole, readonly Permission[]> = {
  // Breaking the glass needs a role of its own (TRUST 4.18): being an admin is not enough.
  admin: permissions.filter(
    (permission) => !neverForPeople.includes(permission) && permission !== 'approvals:break-glass',
  ),
  operator: [
    ...readsForViewers,
    'events:write',
    'tasks:write',
    'tasks:dispatch',
    'approvals:decide',
    'policies:enable',
    'kill-switch:engage',
    'kill-switch:release',
    'halo:run',
    'memory:write',
    'squads:write',
    'probes:write',
    'bus:operate',
  ],
  viewer: readsForViewers,
  agent: ['events:write', 'tasks:read', 'tasks:write', 'tasks:progress', 'agents:beat'],
  'break-glass': [...readsForViewers, 'approvals:break-glass'],
};

/** Whether a role is one of those that are always there and cannot be changed. */
export function isBuiltIn(role: string): role is BuiltInRole {
  return (builtInRoles as readonly string[]).includes(role);
}

/** What a built-in role may do; a role of another name may do nothing by itself. */
export function permissionsOf(role: string): readonly Permission[] {
  return isBuiltIn(role) ? granted[role] : [];
}

/**
 * Who acts. `person` is the human who answers for this principal: itself for a human, the owner for an agent or a
 * service; the four-eyes rule compares persons. `permissions` are strings `resource:action`, or
 * `resource:action@target` for the targets that match only.
 */
export type Principal = {
  id: string;
  kind: PrincipalKind;
  name: string;
  role: string;
  person: string;
  permissions: readonly string[];
  /** Name of the tier; without one it is the lowest. */
  tier?: string;
};

/** A scope is a target or the beginning of one with a `*` behind it. */
export function matchesScope(scope: string, target: string): boolean {
  return scope.endsWith('*') ? target.startsWith(scope.slice(0, -1)) : scope === target;
}

/** Deny by default: a principal may do what its permissions list and nothing else. */
export function isPermitted(principal: Principal, permission: Permission, target?: string): boolean {
  return principal.permissions.some((held) => {
    const at = held.indexOf('@');
    if (at < 0) return held === permission;
    if (held.slice(0, at) !== permission) return false;
    // Without a target in question a scoped permission opens the door; the object is asked about behind it.
    if (target === undefined) return targetedPermissions.includes(permission);
    return matchesScope(held.slice(at + 1), target);
  });
}

/** Refuses with the permission that is missing and the roles that have it. */
export function requirePermission(
  principal: Principal,
  permission: Permission,
  target?: string,
): Refusal | null {
  if (isPermitted(principal, permission, target)) return null;
  const holders = builtInRoles.filter((role) => permissionsOf(role).includes(permission));
  const where = target === undefined ? '' : ` for ${target}`;
  return refuse(
    'FORBIDDEN',
    `${principal.name} has the role ${principal.role}, which lacks ${permission}${where}; it is held by: ${holders.join(', ')}.`,
    { permission },
  );
}
