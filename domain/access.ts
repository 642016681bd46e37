import { refuse, type Refusal } from './refusal.ts';

export const principalKinds = ['human', 'agent', 'service'] as const;
export type PrincipalKind = (typeof principalKinds)[number];

export const roles = ['admin', 'operator', 'viewer', 'agent'] as const;
export type Role = (typeof roles)[number];

export const permissions = [
  'events:read',
  'events:write',
  'tasks:read',
  'tasks:write',
  'tasks:dispatch',
  'tasks:progress',
  'approvals:read',
  'approvals:decide',
  'halo:read',
  'halo:run',
  'probes:read',
  'probes:write',
  'agents:read',
  'agents:write',
  'agents:beat',
  'audit:read',
  'access:read',
  'access:write',
] as const;
export type Permission = (typeof permissions)[number];

const reads = permissions.filter((permission) => permission.endsWith(':read'));
const readsForViewers = reads.filter((permission) => permission !== 'access:read');

const granted: Record<Role, readonly Permission[]> = {
  admin: permissions.filter((permission) => permission !== 'agents:beat' && permission !== 'tasks:progress'),
  operator: [
    ...readsForViewers,
    'events:write',
    'tasks:write',
    'tasks:dispatch',
    'approvals:decide',
    'halo:run',
    'probes:write',
  ],
  viewer: readsForViewers,
  agent: ['events:write', 'tasks:read', 'tasks:write', 'tasks:progress', 'agents:beat'],
};

export type Principal = { id: string; kind: PrincipalKind; name: string; role: Role };

/** Deny by default: a role may do what its row above lists and nothing else. */
export function isPermitted(role: Role, permission: Permission): boolean {
  return granted[role].includes(permission);
}

/** Refuses with the permission that is missing and the roles that have it. */
export function requirePermission(principal: Principal, permission: Permission): Refusal | null {
  if (isPermitted(principal.role, permission)) return null;
  const allowed = roles.filter((role) => isPermitted(role, permission));
  return refuse(
    'FORBIDDEN',
    `${principal.name} has the role ${principal.role}, which lacks ${permission}; it is held by: ${allowed.join(', ')}.`,
    { permission },
  );
}
