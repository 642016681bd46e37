import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  builtInRoles,
  isPermitted,
  type Permission,
  permissions,
  permissionsOf,
  type Principal,
  targetedPermissions,
} from '../../domain/access.ts';
import {
  agentNeeds,
  checkPermissionStrings,
  effectivePermissions,
  intersectPermissions,
  lackingPermissions,
  narrowPermissions,
  requireHeld,
  scopesOf,
} from '../../domain/scope.ts';
import { propertyRuns } from './runs.ts';

function holder(held: readonly string[], id = 'prn_1'): Principal {
  return { id, kind: 'human', name: 'Kim', role: 'custom', person: id, permissions: held };
}

const aTarget = fc.constantFrom('probe:1', 'probe:12', 'probe:2', 'shop', 'shopping', 'p', '', 'a@b');
const aScope = fc.constantFrom('*', 'probe:*', 'probe:1', 'probe:1*', 'shop', 'shop*', 'p*', 'a@b', 'a@*');
const somePermissions: Permission[] = ['tasks:read', 'tasks:write', 'probes:read', 'halo:run'];
const held = fc.tuple(fc.constantFrom(...somePermissions), aScope);
const aList = fc
  .array(held, { maxLength: 6 })
  .map((all) => all.map(([permission, scope]) => (scope === '*' ? permission : `${permission}@${scope}`)));

describe('the intersection of permissions', () => {
  test.each<[string[], string[], string[]]>([
    [['tasks:read'], ['tasks:read'], ['tasks:read']],
    [['tasks:read'], ['tasks:write'], []],
    [['tasks:read'], ['tasks:read@probe:*'], ['tasks:read@probe:*']],
    [['tasks:read@probe:*'], ['tasks:read@probe:1'], ['tasks:read@probe:1']],
    [['tasks:read@probe:*'], ['tasks:read@shop'], []],
    [['tasks:read@probe:1'], ['tasks:read@probe:12'], []],
    [['tasks:read@a@b'], ['tasks:read@a@*'], ['tasks:read@a@b']],
    [['tasks:read@x', 'tasks:read@y'], ['tasks:read'], ['tasks:read@x', 'tasks:read@y']],
    [[], ['tasks:read'], []],
    [['tasks:read'], [], []],
  ])('%j and %j: %j', (left, right, expected) => {
    expect(intersectPermissions(left, right)).toEqual(expected);
    expect(intersectPermissions(right, left).sort()).toEqual([...expected].sort());
  });

  test('permits exactly what both permit, for every permission and target', () => {
    fc.assert(
      fc.property(
        aList,
        aList,
        fc.constantFrom(...somePermissions),
        aTarget,
        (left, right, permission, target) => {
          const both = holder(intersectPermissions(left, right));
          expect(isPermitted(both, permission, target)).toBe(
            isPermitted(holder(left), permission, target) && isPermitted(holder(right), permission, target),
          );
          if (isPermitted(both, permission))
            expect([isPermitted(holder(left), permission), isPermitted(holder(right), permission)]).toEqual([
              true,
              true,
            ]);
        },
      ),
      propertyRuns,
    );
  });

  test('with all there is changes nothing', () => {
    fc.assert(
      fc.property(aList, (list) => {
        expect(intersectPermissions(list, permissions)).toEqual([...new Set(list)]);
      }),
      propertyRuns,
    );
  });
});

describe('a scope', () => {
  test.each<[string[], string, string[]]>([
    [['tasks:write'], 'probe:*', ['tasks:write@probe:*']],
    [['tasks:write@probe:1'], 'probe:*', ['tasks:write@probe:1']],
    [['tasks:write@probe:*'], 'probe:1', ['tasks:write@probe:1']],
    [['tasks:write@shop'], 'probe:*', []],
    [['tasks:write@shop', 'tasks:write'], 'probe:*', ['tasks:write@probe:*']],
    [['tasks:write'], '*', ['tasks:write']],
  ])('narrows %j by %s to %j', (list, scope, expected) => {
    expect(narrowPermissions(list, scope)).toEqual(expected);
  });

  test('never widens, and permits nothing outside itself', () => {
    fc.assert(
      fc.property(
        aList,
        aScope,
        aTarget,
        fc.constantFrom(...somePermissions),
        (list, scope, target, permission) => {
          const narrow = holder(narrowPermissions(list, scope));
          if (!isPermitted(narrow, permission, target)) return;
          expect(isPermitted(holder(list), permission, target)).toBe(true);
          expect(isPermitted(holder([`tasks:read@${scope}`]), 'tasks:read', target)).toBe(true);
        },
      ),
      propertyRuns,
    );
  });

  test('on a permission without targets opens nothing', () => {
    for (const permission of permissions)
      expect({ permission, opens: isPermitted(holder([`${permission}@shop`]), permission) }).toEqual({
        permission,
        opens: targetedPermissions.includes(permission),
      });
  });

  test('is read as a list, as null for everywhere', () => {
    expect(scopesOf(holder(['tasks:read@a', 'tasks:read@b*', 'tasks:write']), 'tasks:read')).toEqual([
      'a',
      'b*',
    ]);
    expect(scopesOf(holder(['tasks:read@a', 'tasks:read']), 'tasks:read')).toBeNull();
    expect(scopesOf(holder(['tasks:write']), 'tasks:read')).toEqual([]);
  });
});

describe('what a principal may do', () => {
  const role = { role: 'deployer', permissions: ['tasks:write', 'probes:read'] };

  test('is its role and its grants, each for its scope', () => {
    expect(effectivePermissions({ role: 'nobody', permissions: null }, [])).toEqual([]);
    expect(effectivePermissions(role, [])).toEqual(role.permissions);
    expect(
      effectivePermissions({ role: 'deployer', permissions: ['probes:read'] }, [
        { role: 'deployer', permissions: ['tasks:write'], scope: 'shop' },
        { role: 'unknown', permissions: null, scope: '*' },
      ]),
    ).toEqual(['probes:read', 'tasks:write@shop']);
    expect(
      effectivePermissions({ role: 'x', permissions: null }, [
        { role: 'agent', permissions: null, scope: '*' },
      ]),
    ).toEqual(permissionsOf('agent'));
  });

  test('of a built-in role comes from the code, whatever a row says', () => {
    expect(effectivePermissions({ role: 'viewer', permissions: ['access:write'] }, [])).toEqual(
      permissionsOf('viewer'),
    );
  });
});

describe('handing on', () => {
  test.each<[string[], string[], string[]]>([
    [['tasks:read'], ['tasks:read@shop'], []],
    [['tasks:read@shop*'], ['tasks:read@shop'], []],
    [['tasks:read@shop'], ['tasks:read@shop*'], ['tasks:read@shop*']],
    [['tasks:read@shop'], ['tasks:read'], ['tasks:read']],
    [['tasks:read'], ['tasks:read', 'tasks:write'], ['tasks:write']],
  ])('who holds %j lacks of %j: %j', (has, wanted, lacking) => {
    expect(lackingPermissions(has, wanted)).toEqual(lacking);
    const refusal = requireHeld(holder(has), wanted, null);
    if (lacking.length === 0) expect(refusal).toBeNull();
    else expect(refusal).toMatchObject({ refused: 'FORBIDDEN', details: { lacking } });
  });

  test('what is handed on permits nothing that the giver does not', () => {
    fc.assert(
      fc.property(
        aList,
        aList,
        aTarget,
        fc.constantFrom(...somePermissions),
        (has, wanted, target, permission) => {
          if (requireHeld(holder(has), wanted, null) !== null) return;
          if (isPermitted(holder(wanted), permission, target))
            expect(isPermitted(holder(has), permission, target)).toBe(true);
        },
      ),
      propertyRuns,
    );
  });

  test('a whole admin makes agents and break-glass people, but not of themselves', () => {
    const admin = holder(permissionsOf('admin'));
    expect(requireHeld(admin, permissionsOf('break-glass'), 'prn_2')).toBeNull();
    expect(requireHeld(admin, permissionsOf('agent'), null)).toBeNull();
    expect(requireHeld(admin, permissionsOf('break-glass'), admin.id)).toMatchObject({
      details: { lacking: ['approvals:break-glass'] },
    });
    const lesser = holder(permissionsOf('admin').filter((each) => each !== 'halo:run'));
    expect(requireHeld(lesser, permissionsOf('break-glass'), 'prn_2')).toMatchObject({
      refused: 'FORBIDDEN',
    });
    expect(requireHeld(lesser, agentNeeds, null)).toBeNull();
  });
});

describe('permission strings', () => {
  test.each([
    [['tasks:reed'], /no permission/],
    [['*'], /no permission/],
    [['tasks:*'], /no permission/],
    [['tasks:read', ''], /no permission/],
    [['tasks:read@'], /behind @/],
    [['tasks:read@a*b'], /behind @/],
    [['tasks:read@a**'], /behind @/],
    [['tasks:read@a\nb'], /behind @/],
    [['halo:run@shop'], /no targets/],
    [['access:write@shop'], /no targets/],
    [['agents:beat'], /agent says/],
    [['tasks:progress@x'], /agent says/],
  ])('%j are refused with the reason', (listed, message) => {
    const refusal = checkPermissionStrings(listed, 'human');
    expect(refusal).toMatchObject({ refused: 'INVALID' });
    expect(refusal?.message).toMatch(message);
  });

  test('of every built-in role but that of agents can be listed in another role', () => {
    for (const role of builtInRoles)
      if (role !== 'agent') expect(checkPermissionStrings(permissionsOf(role), 'human')).toBeNull();
    expect(checkPermissionStrings(permissionsOf('agent'), 'agent')).toBeNull();
    expect(checkPermissionStrings(['tasks:write@probe:*', 'approvals:decide@shop'], 'human')).toBeNull();
  });
});
