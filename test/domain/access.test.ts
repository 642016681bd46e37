import { describe, expect, test } from 'vitest';
import {
  type BuiltInRole,
  builtInRoles,
  isPermitted,
  type Permission,
  permissions,
  permissionsOf,
  type Principal,
  principalKinds,
  requirePermission,
} from '../../domain/access.ts';

const holders: Record<Permission, BuiltInRole[]> = {
  'events:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'events:write': ['admin', 'operator', 'agent'],
  'tasks:read': ['admin', 'operator', 'viewer', 'agent', 'break-glass'],
  'tasks:write': ['admin', 'operator', 'agent'],
  'tasks:dispatch': ['admin', 'operator'],
  'tasks:progress': ['agent'],
  'approvals:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'approvals:decide': ['admin', 'operator'],
  'approvals:break-glass': ['break-glass'],
  'policies:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'policies:write': ['admin'],
  'policies:enable': ['admin', 'operator'],
  'kill-switch:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'kill-switch:engage': ['admin', 'operator'],
  'kill-switch:release': ['admin', 'operator'],
  'halo:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'halo:run': ['admin', 'operator'],
  'memory:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'memory:write': ['admin', 'operator'],
  'autonomy:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'autonomy:grant': ['admin'],
  'squads:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'squads:write': ['admin', 'operator'],
  'probes:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'probes:write': ['admin', 'operator'],
  'agents:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'agents:write': ['admin'],
  'agents:beat': ['agent'],
  'bus:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'bus:write': ['admin'],
  'bus:operate': ['admin', 'operator'],
  'metrics:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'channels:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'channels:write': ['admin'],
  'audit:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'security:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'security:write': ['admin'],
  'control:read': ['admin', 'operator', 'viewer', 'break-glass'],
  'control:write': ['admin'],
  'access:read': ['admin'],
  'access:write': ['admin'],
};

function aPrincipal(role: string, held: readonly string[] = permissionsOf(role)): Principal {
  return { id: 'prn_1', kind: 'human', name: 'Kim', role, person: 'prn_1', permissions: held };
}

const cases = permissions.flatMap((permission) =>
  builtInRoles.map((role) => [role, permission, holders[permission].includes(role)] as const),
);

describe('isPermitted', () => {
  test('the table of this test names every permission', () => {
    expect(Object.keys(holders).sort()).toEqual([...permissions].sort());
  });

  test.each(cases)('%s, %s: %s', (role, permission, expected) => {
    expect(isPermitted(aPrincipal(role), permission)).toBe(expected);
  });

  test('what nobody listed is denied', () => {
    for (const role of [...builtInRoles, 'unheard-of'])
      expect(isPermitted(aPrincipal(role), 'everything:*' as Permission)).toBe(false);
  });

  test('a scoped permission holds for the targets that match, and opens the door where none is in question', () => {
    const scoped = aPrincipal('custom', ['tasks:write@probe:*', 'tasks:dispatch@shop']);
    expect(isPermitted(scoped, 'tasks:write', 'probe:1')).toBe(true);
    expect(isPermitted(scoped, 'tasks:write', 'shop')).toBe(false);
    expect(isPermitted(scoped, 'tasks:write')).toBe(true);
    expect(isPermitted(scoped, 'tasks:dispatch', 'shop')).toBe(true);
    expect(isPermitted(scoped, 'tasks:dispatch', 'shopping')).toBe(false);
    expect(isPermitted(scoped, 'tasks:read', 'probe:1')).toBe(false);
  });
});

describe('requirePermission', () => {
  test.each(cases)('%s, %s: %s, and a refusal names who holds it', (role, permission, allowed) => {
    for (const kind of principalKinds) {
      const refusal = requirePermission({ ...aPrincipal(role), kind }, permission);
      if (allowed) expect(refusal).toBeNull();
      else {
        expect(refusal).toMatchObject({ refused: 'FORBIDDEN', details: { permission } });
        for (const holder of holders[permission]) expect(refusal?.message).toContain(holder);
      }
    }
  });
});
