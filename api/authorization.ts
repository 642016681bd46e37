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

/**
 * What an operation asks about the object behind its permission:
 * - `none`: there is no object that belongs to anybody; the permission alone decides.
 * - `whole`: it is about everything, or makes an object with a new id; a scope does not reach that far.
 * - `in-scope`: the object has a target; out of scope it is as unknown as one that does not exist.
 * - `filtered`: a list that leaves out what is out of scope.
 * - `new-in-scope`: the caller names the target of something new; out of scope it is refused.
 * - `own-source`: an event names who it comes from; out of scope, or from an agent for another, it is refused.
 * - `own-agent`: an agent says it of itself or of a task it carries out; another one is unknown to it.
 * - `signed`: no key opens it; whoever signs with the secret of the object is let in.
 * - `own-key`: one's own keys, and with access:write (to list them access:read) everybody's.
 */
export const objectRules = {
  'GET /healthz': 'none',
  'GET /readyz': 'none',
  'GET /metrics': 'none',
  'GET /v1/status': 'whole',
  'GET /v1/me': 'none',
  'GET /v1/authorization': 'none',

  'POST /v1/events': 'own-source',
  'GET /v1/events': 'none',
  'GET /v1/events/{id}': 'none',
  'GET /v1/event-types': 'none',
  'GET /v1/event-schemas': 'none',
  'POST /v1/event-schemas': 'none',
  'POST /v1/event-schemas/check': 'none',
  'POST /v1/event-schemas/back-test': 'none',
  'GET /v1/event-schemas/{id}': 'none',
  'PATCH /v1/event-schemas/{id}': 'none',
  'DELETE /v1/event-schemas/{id}': 'none',
  'GET /v1/retention': 'none',
  'PUT /v1/retention': 'none',
  'POST /v1/retention/plan': 'none',
  'GET /v1/events/{id}/deliveries': 'none',
  'GET /v1/stream': 'none',
  'GET /v1/threads': 'none',
  'GET /v1/threads/{correlationId}': 'none',
  'GET /v1/events/{id}/chain': 'none',
  'GET /v1/events/stats': 'none',

  'POST /v1/tasks': 'new-in-scope',
  'GET /v1/tasks': 'filtered',
  'GET /v1/tasks/{id}': 'in-scope',
  'GET /v1/tasks/{id}/logs': 'in-scope',
  'POST /v1/tasks/{id}/dispatch': 'in-scope',
  'POST /v1/tasks/{id}/cancel': 'in-scope',
  'POST /v1/tasks/{id}/retry': 'in-scope',
  'POST /v1/tasks/{id}/progress': 'own-agent',

  'GET /v1/approvals': 'filtered',
  // Of what is out of scope, counts and bulk decisions say what they would if it did not exist.
  'GET /v1/approvals/summary': 'none',
  'POST /v1/approvals/bulk-decision': 'none',
  'GET /v1/approvals/{id}': 'in-scope',
  'POST /v1/approvals/{id}/decision': 'in-scope',
  'POST /v1/approvals/{id}/tickets': 'in-scope',
  'POST /v1/approvals/{id}/edit': 'in-scope',
  'POST /v1/approvals/{id}/hand-over': 'in-scope',

  'GET /v1/policies': 'none',
  'POST /v1/policies': 'none',
  'POST /v1/policies/back-test': 'none',
  'GET /v1/policies/{id}': 'none',
  'PATCH /v1/policies/{id}': 'none',
  'POST /v1/policies/{id}/enable': 'none',
  'POST /v1/policies/{id}/disable': 'none',
  'GET /v1/policies/{id}/versions': 'none',

  'GET /v1/kill-switch': 'none',
  'GET /v1/kill-switch/held': 'none',
  'PUT /v1/kill-switch': 'none',
  'POST /v1/kill-switch/release': 'none',

  'POST /v1/halo/cycles': 'none',
  'GET /v1/halo/cycles': 'none',
  'GET /v1/halo/cycles/{id}': 'none',
  'GET /v1/halo': 'none',
  'POST /v1/halo/pause': 'none',
  'POST /v1/halo/resume': 'none',

  'POST /v1/probes': 'whole',
  'GET /v1/probes': 'filtered',
  'GET /v1/probes/{id}': 'in-scope',
  'POST /v1/probes/{id}/run': 'in-scope',
  'POST /v1/probes/{id}/enable': 'in-scope',
  'POST /v1/probes/{id}/disable': 'in-scope',

  'POST /v1/agents': 'whole',
  'GET /v1/agents': 'filtered',
  'GET /v1/agents/{id}': 'in-scope',
  'PATCH /v1/agents/{id}': 'in-scope',
  'POST /v1/agents/{id}/beat': 'own-agent',
  'POST /v1/agents/{id}/enable': 'in-scope',
  'POST /v1/agents/{id}/disable': 'in-scope',

  'GET /v1/principals': 'none',
  'POST /v1/principals': 'none',
  'GET /v1/principals/{id}': 'none',
  'PATCH /v1/principals/{id}': 'none',
  'POST /v1/principals/{id}/enable': 'none',
  'POST /v1/principals/{id}/disable': 'none',
  'GET /v1/roles': 'none',
  'POST /v1/roles': 'none',
  'PATCH /v1/roles/{id}': 'none',
  'DELETE /v1/roles/{id}': 'none',
  'GET /v1/grants': 'none',
  'POST /v1/grants': 'none',
  'POST /v1/grants/{id}/revoke': 'none',
  'GET /v1/groups': 'none',
  'POST /v1/groups': 'none',
  'POST /v1/groups/{id}/members': 'none',
  'POST /v1/groups/{id}/members/remove': 'none',
  'GET /v1/principals/{id}/risk': 'none',
  'GET /v1/audit': 'none',
  'GET /v1/audit/export': 'none',
  'GET /v1/keys': 'own-key',
  'POST /v1/keys': 'none',
  'POST /v1/keys/{id}/rotate': 'own-key',
  'POST /v1/keys/{id}/revoke': 'own-key',

  'GET /v1/wormholes': 'none',
  'POST /v1/wormholes': 'none',
  'POST /v1/wormholes/dry-run': 'none',
  'POST /v1/wormholes/back-test': 'none',
  'GET /v1/wormholes/{id}': 'none',
  'PATCH /v1/wormholes/{id}': 'none',
  'DELETE /v1/wormholes/{id}': 'none',
  'POST /v1/wormholes/{id}/enable': 'none',
  'POST /v1/wormholes/{id}/disable': 'none',
  'GET /v1/wormholes/{id}/results': 'none',

  'GET /v1/channels': 'none',
  'POST /v1/channels': 'none',
  'GET /v1/channels/{id}': 'none',
  'PATCH /v1/channels/{id}': 'none',
  'POST /v1/channels/{id}/enable': 'none',
  'POST /v1/channels/{id}/disable': 'none',
  'POST /v1/channels/{id}/rotate-secret': 'none',
  'POST /v1/channels/{id}/test': 'none',
  'GET /v1/notifications': 'none',

  // Those that show or handle dead letters ask for events:read besides, which has no targets.
  'GET /v1/dead-letters': 'none',
  'GET /v1/dead-letters/summary': 'none',
  'GET /v1/dead-letters/{id}': 'none',
  'POST /v1/dead-letters/redrive': 'none',
  'POST /v1/dead-letters/discard': 'none',
  'POST /v1/dead-letters/{id}/redrive': 'none',
  'POST /v1/dead-letters/{id}/discard': 'none',
  'GET /v1/redrives': 'none',
  'GET /v1/redrives/{id}': 'none',
  'POST /v1/redrives/{id}/cancel': 'none',
  'POST /v1/subscriptions': 'none',
  'GET /v1/subscriptions': 'none',
  'GET /v1/subscriptions/{key}': 'none',
  'PATCH /v1/subscriptions/{key}': 'none',
  'DELETE /v1/subscriptions/{key}': 'none',
  'POST /v1/subscriptions/{key}/secret': 'none',
  'POST /v1/subscriptions/{key}/test': 'none',
  'POST /v1/subscriptions/{key}/pause': 'none',
  'POST /v1/subscriptions/{key}/resume': 'none',
  'POST /v1/subscriptions/{key}/rewind': 'none',
  'GET /v1/replays': 'none',
  'POST /v1/replays': 'none',
  'POST /v1/replays/shadow': 'none',
  'GET /v1/replays/{id}': 'none',
  'GET /v1/replays/{id}/deliveries': 'none',
  'POST /v1/replays/{id}/cancel': 'none',
  'GET /v1/hooks': 'none',
  'POST /v1/hooks': 'none',
  'GET /v1/hooks/{id}': 'none',
  'DELETE /v1/hooks/{id}': 'none',
  'POST /v1/hooks/{id}/enable': 'none',
  'POST /v1/hooks/{id}/disable': 'none',
  'POST /v1/hooks/{id}/rotate-secret': 'none',
  'POST /v1/hooks/{id}/events': 'signed',

  'GET /v1/bridge/clusters': 'none',
  'POST /v1/bridge/clusters': 'none',
  'GET /v1/bridge/clusters/{name}': 'none',
  'DELETE /v1/bridge/clusters/{name}': 'none',
  'POST /v1/bridge/clusters/{name}/enable': 'none',
  'POST /v1/bridge/clusters/{name}/disable': 'none',
  'POST /v1/bridge/clusters/{name}/rotate-secret': 'none',
  'POST /v1/broadcasts': 'none',

  'GET /v1/control': 'none',
  'PATCH /v1/control/{cluster}': 'none',
  'GET /v1/tiers': 'none',
  'PUT /v1/tiers/{name}': 'none',
  'GET /v1/security/threats': 'none',
  'POST /v1/security/threats/{id}/close': 'none',
  'GET /v1/security/blocks': 'none',
  'POST /v1/security/blocks': 'none',
  'POST /v1/security/blocks/{id}/lift': 'none',
} as const satisfies Record<string, string>;

export const objectRuleNames = [
  'none',
  'whole',
  'in-scope',
  'filtered',
  'new-in-scope',
  'own-source',
  'own-agent',
  'own-key',
  'signed',
] as const;
export type ObjectRule = (typeof objectRuleNames)[number];

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
    if (!isRule(name)) throw new Error(`api/authorization.ts has no row for ${name}`);
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
