import { describe, expect, test } from 'vitest';
import {
  isPermitted,
  permissions,
  principalKinds,
  requirePermission,
  roles,
  type Permission,
  type Role,
} from '../../domain/access.ts';

const matrix: Record<Permission, Record<Role, boolean>> = {
  'events:read': { admin: true, operator: true, viewer: true, agent: false },
  'events:write': { admin: true, operator: true, viewer: false, agent: true },
  'tasks:read': { admin: true, operator: true, viewer: true, agent: true },
  'tasks:write': { admin: true, operator: true, viewer: false, agent: true },
  'tasks:dispatch': { admin: true, operator: true, viewer: false, agent: false },
  'tasks:progress': { admin: false, operator: false, viewer: false, agent: true },
  'approvals:read': { admin: true, operator: true, viewer: true, agent: false },
  'approvals:decide': { admin: true, operator: true, viewer: false, agent: false },
  'halo:read': { admin: true, operator: true, viewer: true, agent: false },
  'halo:run': { admin: true, operator: true, viewer: false, agent: false },
  'probes:read': { admin: true, operator: true, viewer: true, agent: false },
  'probes:write': { admin: true, operator: true, viewer: false, agent: false },
  'agents:read': { admin: true, operator: true, viewer: true, agent: false },
  'agents:write': { admin: true, operator: false, viewer: false, agent: false },
  'agents:beat': { admin: false, operator: false, viewer: false, agent: true },
  'audit:read': { admin: true, operator: true, viewer: true, agent: false },
  'access:read': { admin: true, operator: false, viewer: false, agent: false },
  'access:write': { admin: true, operator: false, viewer: false, agent: false },
};

const cases = permissions.flatMap((permission) =>
  roles.map((role) => [role, permission, matrix[permission][role]] as const),
);

describe('isPermitted', () => {
  test('the table of this test names every permission', () => {
    expect(Object.keys(matrix).sort()).toEqual([...permissions].sort());
  });

  test.each(cases)('%s, %s: %s', (role, permission, expected) => {
    expect(isPermitted(role, permission)).toBe(expected);
  });

  test('what nobody listed is denied', () => {
    for (const role of roles) expect(isPermitted(role, 'everything:*' as Permission)).toBe(false);
  });
});

describe('requirePermission', () => {
  test.each(cases)('%s, %s: %s, and a refusal names who holds it', (role, permission, allowed) => {
    for (const kind of principalKinds) {
      const refusal = requirePermission({ id: 'prn_1', kind, name: 'Kim', role }, permission);
      if (allowed) expect(refusal).toBeNull();
      else {
        expect(refusal).toMatchObject({ refused: 'FORBIDDEN', details: { permission } });
        for (const holder of roles.filter((other) => matrix[permission][other]))
          expect(refusal?.message).toContain(holder);
      }
    }
  });
});
