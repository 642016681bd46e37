import {
  builtInRoles,
  isPermitted,
  type Permission,
  permissionsOf,
  type Principal,
  targetedPermissions,
} from '../domain/access.ts';
import { narrowPermissions } from '../domain/scope.ts';
import { type ApiDocument, operationsOf } from './document.ts';
import { type ObjectRule, objectRules } from './object-rules.ts';

/** `left-out`: the answer is a list without the object. */
export const accessAnswers = ['allowed', 'forbidden', 'not-found', 'left-out'] as const;
export type AccessAnswer = (typeof accessAnswers)[number];

/** The built-in roles, and an example of a custom one: all that has a target, for some targets only. */
export const matrixRoles = [...builtInRoles, 'scoped'] as const;
export type MatrixRole = (typeof matrixRoles)[number];

export type MatrixRow = {
  operation: string;
  permission: string;
  object: ObjectRule;
  roles: Record<MatrixRole, { own: AccessAnswer; foreign: AccessAnswer }>;
};

/** The permissions of the example role, for one scope. */
export function scopedExample(scope: string): string[] {
  const forPeople = targetedPermissions.filter((held) => held !== 'tasks:progress' && held !== 'agents:beat');
  return narrowPermissions(forPeople, scope);
}

const isRule = (name: string): name is keyof typeof objectRules => Object.hasOwn(objectRules, name);

/** Who may do what with whose object, for every operation of the document; one without a rule is a defect. */
export function authorizationMatrix(document: ApiDocument): MatrixRow[] {
  return operationsOf(document).map(({ method, path, operation }) => {
    const name = `${method.toUpperCase()} ${path}`;
    if (!isRule(name)) throw new Error(`api/object-rules.ts has no row for ${name}`);
    const permission = operation['x-permission'] ?? 'public';
    const object = objectRules[name];
    const entries = matrixRoles.map((role) => [role, answersOf(role, permission, object, method)] as const);
    return {
      operation: name,
      permission,
      object,
      roles: Object.fromEntries(entries) as MatrixRow['roles'],
    };
  });
}

function answersOf(
  role: MatrixRole,
  permission: string,
  object: ObjectRule,
  method: string,
): { own: AccessAnswer; foreign: AccessAnswer } {
  const held: readonly string[] = role === 'scoped' ? scopedExample('example:*') : permissionsOf(role);
  const isOpen = permission === 'public' || permission === 'authenticated';
  const anyOf = permission.split(' or ') as Permission[];
  const opensDoor = isOpen || anyOf.some((each) => isPermitted(holding(held), each));
  if (!opensDoor) return both('forbidden');
  const isScoped = !isOpen && !anyOf.some((each) => held.includes(each));
  switch (object) {
    case 'none':
      return both('allowed');
    case 'whole':
      return both(isScoped ? 'forbidden' : 'allowed');
    case 'in-scope':
      return { own: 'allowed', foreign: isScoped ? 'not-found' : 'allowed' };
    case 'filtered':
      return { own: 'allowed', foreign: isScoped ? 'left-out' : 'allowed' };
    case 'new-in-scope':
      return { own: 'allowed', foreign: isScoped ? 'forbidden' : 'allowed' };
    case 'own-source':
      return { own: 'allowed', foreign: isScoped || role === 'agent' ? 'forbidden' : 'allowed' };
    // Closed before it is asked: no permission opens it.
    case 'signed':
      return both('forbidden');
    case 'own-agent':
      return { own: 'allowed', foreign: 'not-found' };
    case 'own-key': {
      const wide = method === 'get' ? 'access:read' : 'access:write';
      return { own: 'allowed', foreign: held.includes(wide) ? 'allowed' : 'not-found' };
    }
  }
}

function both(answer: AccessAnswer): { own: AccessAnswer; foreign: AccessAnswer } {
  return { own: answer, foreign: answer };
}

function holding(permissions: readonly string[]): Principal {
  return { id: '', kind: 'human', name: '', role: '', person: '', permissions };
}
