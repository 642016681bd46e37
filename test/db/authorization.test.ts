import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  authorizationMatrix,
  type MatrixRow,
  matrixRoles,
  type MatrixRole,
  scopedExample,
} from '../../api/authorization.ts';
import { objectRules } from '../../api/object-rules.ts';
import { createApp } from '../../api/app.ts';
import { describeApi, operationsOf } from '../../api/document.ts';
import { registerAgent } from '../../db/agents.ts';
import { createHook } from '../../db/hooks.ts';
import { newId } from '../../db/ids.ts';
import { createPrincipal } from '../../db/principals.ts';
import { createProbe } from '../../db/probes.ts';
import { createRole } from '../../db/roles.ts';
import { builtInRoles } from '../../domain/access.ts';
import { hookSealContext } from '../../domain/hook.ts';
import { permissionTable } from '../api/permission-table.ts';
import { aKey, createTestApi, noDatabase, type TestApi, type Untyped } from '../support/api.ts';
import { countQueries } from '../support/count-queries.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

type Side = 'own' | 'foreign';

let database: TestDatabase;
let people: People;
let api: TestApi;
let matrix: MatrixRow[];
/** For each role its principal and a key. */
const holders = {} as Record<MatrixRole, { id: string; key: string }>;
let ownAgent: string;
let strangerAgent: string;

const document = describeApi(createApp(createTestApi(noDatabase).deps));
const operations = operationsOf(document).map(({ method, path, operation }) => ({
  name: `${method.toUpperCase()} ${path}`,
  operation,
}));
/** Where the targets of the scoped role begin; each kind of object has targets of its own. */
const scopes = ['own:*', 'probe:prb_own_*', 'agent:agt_own_*', 'api:own_*'];

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  const scoped = newId('prn');
  await createRole(database.db, {
    ...{ name: 'scoped', description: 'for some targets', permissions: scopes.flatMap(scopedExample) },
    ...{ actor: people.admin, opKey: newId('op') },
  });
  await createPrincipal(database.db, {
    ...{ id: scoped, kind: 'human', name: scoped, role: 'scoped', actor: people.admin, opKey: newId('op') },
  });
  const ids = { ...people, 'break-glass': people.breakGlass, scoped };
  for (const role of matrixRoles)
    holders[role] = { id: ids[role], key: (await aKey(database, ids[role])).key };
  ownAgent = await anAgentOf('agt_own_first', people.agent);
  strangerAgent = await anAgentOf('agt_far_first', await aPrincipalFor('agent'));
});
beforeEach(async () => {
  api = createTestApi(database);
  matrix = (await api.call('GET', '/v1/authorization', { as: holders.viewer.key })).body.items;
});

async function aPrincipalFor(role: string): Promise<string> {
  const id = newId('prn');
  const kind = role === 'agent' ? 'agent' : 'human';
  await createPrincipal(database.db, { id, kind, name: id, role, actor: 'test', opKey: id });
  return id;
}

async function anAgentOf(id: string, principalId: string): Promise<string> {
  await registerAgent(database.db, {
    ...{ id, name: id, role: 'DeployKeeper', capabilities: ['repair.*'], executor: 'temporal' },
    ...{ config: { taskQueue: id }, principalId, owner: people.admin, actor: 'test', opKey: id },
  });
  return id;
}

type Aim = { id: string; body?: object; query?: string };
type Make = (side: Side, role: MatrixRole) => Promise<Aim>;
const word = (side: Side): string => (side === 'own' ? 'own' : 'far');

async function theTask(side: Side, role: MatrixRole, ofAgent = false) {
  const byAgent = { agentId: side === 'own' && role === 'agent' ? ownAgent : strangerAgent };
  return aTask(database, people, {
    target: `${word(side)}:shop`,
    binding: ofAgent ? { ...byAgent, executor: 'temporal', configVersion: 1 } : null,
  });
}

const aTaskAim =
  (body?: object): Make =>
  async (side, role) => ({ id: (await theTask(side, role)).id, ...(body === undefined ? {} : { body }) });

const anApprovalAim =
  (body: (digest: string, role: MatrixRole) => object | undefined): Make =>
  async (side, role) => {
    const task = await theTask(side, role);
    const said = body(task.digest, role);
    return { id: task.approvalId, ...(said === undefined ? {} : { body: said }) };
  };

/** Who holds nothing but the right to break the glass breaks it. */
const aDecision = (digest: string, role: MatrixRole): object =>
  role === 'break-glass'
    ? { decision: 'approve', breakGlass: true, digest, reason: 'the shop burns' }
    : { decision: 'reject', digest, reason: 'no' };

const aProbeAim: Make = async (side) => {
  const id = `prb_${word(side)}_${newId('x')}`;
  await createProbe(database.db, {
    ...{ id, name: id, method: 'GET', url: 'http://127.0.0.1:1/', headers: {}, body: null },
    ...{ assertions: { statusFrom: 200, statusTo: 299 }, timeoutMs: 1000, intervalSeconds: null },
    ...{ allowPrivateNetwork: false, owner: people.operator, opKey: id },
  });
  return { id };
};

const anAgentAim =
  (body?: object): Make =>
  async (side) => ({
    id: await anAgentOf(`agt_${word(side)}_${newId('x')}`, await aPrincipalFor('agent')),
    ...(body === undefined ? {} : { body }),
  });

const aKeyAim: Make = async (side, role) => ({
  id: (await aKey(database, side === 'own' ? holders[role].id : people.requester)).id,
});

/** What each operation about an object is tried on: real rows, and a body that is right in everything else. */
const aims: Record<string, Make> = {
  'GET /v1/status': async () => ({ id: '' }),
  'POST /v1/events': async (side, role) => ({
    id: '',
    body: {
      type: 'a.b',
      source:
        role === 'agent'
          ? { type: 'agent', id: side === 'own' ? ownAgent : strangerAgent }
          : { type: 'api', id: `${word(side)}_1` },
    },
  }),
  'POST /v1/tasks': async (side) => ({
    id: '',
    body: { type: 'a.b', title: 't', target: `${word(side)}:shop`, targetRole: 'Custom' },
  }),
  'GET /v1/tasks': aTaskAim(),
  'GET /v1/tasks/{id}': aTaskAim(),
  'GET /v1/tasks/{id}/logs': aTaskAim(),
  'POST /v1/tasks/{id}/dispatch': aTaskAim({}),
  'POST /v1/tasks/{id}/cancel': aTaskAim({}),
  'POST /v1/tasks/{id}/retry': aTaskAim({}),
  'POST /v1/tasks/{id}/progress': async (side, role) => ({
    id: (await theTask(side, role, true)).id,
    body: { attempt: 1, fraction: 0.5, message: 'half' },
  }),
  'GET /v1/approvals': async (side, role) => ({
    id: (await theTask(side, role)).approvalId,
    query: '?state=any&limit=200',
  }),
  'GET /v1/approvals/{id}': anApprovalAim(() => undefined),
  'POST /v1/approvals/{id}/decision': anApprovalAim(aDecision),
  'POST /v1/approvals/{id}/tickets': anApprovalAim(aDecision),
  'POST /v1/approvals/{id}/edit': anApprovalAim((digest) => ({ digest, payload: { other: true } })),
  'POST /v1/approvals/{id}/hand-over': anApprovalAim((_digest, role) => ({
    to: role === 'operator' ? people.admin : people.operator,
  })),
  'POST /v1/probes': async () => ({
    id: '',
    body: {
      name: newId('probe'),
      url: 'https://example.org/',
      assertions: { statusFrom: 200, statusTo: 299 },
    },
  }),
  'GET /v1/probes': aProbeAim,
  'GET /v1/probes/{id}': aProbeAim,
  'PATCH /v1/probes/{id}': async (side, role) => ({
    ...(await aProbeAim(side, role)),
    body: { dependsOn: [] },
  }),
  'POST /v1/probes/{id}/run': aProbeAim,
  'POST /v1/probes/{id}/enable': aProbeAim,
  'POST /v1/probes/{id}/disable': aProbeAim,
  'POST /v1/agents': async () => ({
    id: '',
    body: {
      ...{ name: newId('agent'), role: 'DeployKeeper', capabilities: ['a.*'] },
      ...{ executor: 'temporal', config: { taskQueue: 'q' } },
    },
  }),
  'GET /v1/agents': anAgentAim(),
  'GET /v1/agents/{id}': anAgentAim(),
  'PATCH /v1/agents/{id}': anAgentAim({ config: { taskQueue: 'other' }, expectedVersion: 1 }),
  'PUT /v1/agents/{id}/limit': anAgentAim({ maxConcurrency: 3 }),
  'POST /v1/agents/{id}/beat': async (side) => ({ id: side === 'own' ? ownAgent : strangerAgent }),
  'POST /v1/agents/{id}/enable': anAgentAim(),
  'POST /v1/agents/{id}/disable': anAgentAim(),
  'POST /v1/hooks/{id}/events': async () => {
    const id = newId('hok');
    await createHook(database.db, {
      ...{ id, name: newId('hook').replace('_', '-'), scheme: 'standard-webhooks', form: 'payload' },
      ...{ eventType: 'a.b', severity: 'info', mapping: {}, perMinute: 600, actor: 'test', opKey: id },
      sealed: api.deps.secretBox.seal('whsec_', hookSealContext(id)),
    });
    return { id, body: {} };
  },
  'GET /v1/keys': async (side, role) => {
    const principalId = side === 'own' ? holders[role].id : people.requester;
    return { id: (await aKey(database, principalId)).id, query: `?principalId=${principalId}` };
  },
  'POST /v1/keys/{id}/rotate': aKeyAim,
  'POST /v1/keys/{id}/revoke': aKeyAim,
};

async function ask(name: string, as: string | undefined, aim: Aim, where = api) {
  const [method = '', template = ''] = name.split(' ');
  const path =
    template
      .replace('{id}', aim.id === '' ? 'unknown_id' : aim.id)
      .replace('{cluster}', 'events')
      .replace('{key}', 'unknown-key')
      .replace('{name}', 'founder')
      .replace('{entity}', 'agent:agt_unknown')
      .replace('{action}/{class}', 'repair.unknown/probe') + (aim.query ?? '');
  return where.call(method, path, {
    ...(as === undefined ? {} : { as }),
    ...(method === 'GET' ? {} : { body: aim.body ?? {} }),
  });
}

describe('TRUST 4.8: the authorization matrix', () => {
  test('has a row for every operation of the document, and none for anything else', () => {
    const names = operations.map(({ name }) => name).sort();
    expect(Object.keys(objectRules).sort()).toEqual(names);
    expect(matrix.map(({ operation }) => operation).sort()).toEqual(names);
  });

  test('cannot be made while an operation is missing from it', () => {
    const more = structuredClone(document);
    more.paths['/v1/forgotten'] = { get: { responses: {} } };
    expect(() => authorizationMatrix(more)).toThrow('GET /v1/forgotten');
  });

  test('opens each operation to the roles that the table written by hand names', () => {
    for (const { operation, roles } of matrix) {
      const said = permissionTable[operation];
      const expected = said === 'public' ? [...builtInRoles] : said;
      const open = builtInRoles.filter((role) => roles[role].own !== 'forbidden');
      expect({ operation, open }).toEqual({
        operation,
        open: builtInRoles.filter((role) => expected?.includes(role)),
      });
    }
  });

  test('has real rows to try every operation on that asks about an object', () => {
    const asking = matrix.filter(({ object }) => object !== 'none').map(({ operation }) => operation);
    expect(Object.keys(aims).sort()).toEqual(asking.sort());
  });

  test.each(operations)(
    '$name answers every role as it says, for its own and for a foreign object',
    async ({ name }) => {
      const row = matrix.find(({ operation }) => operation === name);
      if (row === undefined) throw new Error(`no row for ${name}`);
      const answers: Untyped = {};
      for (const role of matrixRoles) {
        answers[role] = {};
        for (const side of ['own', 'foreign'] as const) {
          const aim = (await aims[name]?.(side, role)) ?? { id: '' };
          const answer = await ask(name, holders[role].key, aim);
          expect(answer.status, `${name} as ${role}`).toBeLessThan(500);
          // A body of ours that is refused as such would hide the answer about the object.
          if (name in aims) expect(answer.status, `${name} as ${role}: ${answer.body.detail}`).not.toBe(400);
          answers[role][side] = kindOf(row, answer, aim);
        }
      }
      expect(answers).toEqual(row.roles);
    },
  );

  test.each(operations)('$name is closed to who shows no key', async ({ name, operation }) => {
    const { status } = await ask(name, undefined, { id: '' });
    if (operation['x-permission'] === 'public') expect(status).not.toBe(401);
    else expect(status).toBe(401);
  });
});

function kindOf({ object }: MatrixRow, answer: { status: number; body: Untyped }, aim: Aim): string {
  if (answer.status === 403 || (object === 'signed' && answer.status === 401)) return 'forbidden';
  if (answer.status === 404 && object !== 'none') return 'not-found';
  if (object !== 'filtered') return 'allowed';
  const ids: string[] = answer.body.items.map((item: { id: string }) => item.id);
  return ids.includes(aim.id) ? 'allowed' : 'left-out';
}

describe('TRUST 4.10: a foreign id', () => {
  const hidden = Object.entries(objectRules)
    .filter(([, rule]) => rule === 'in-scope' || rule === 'own-agent' || rule === 'own-key')
    .map(([name]) => name);

  test.each(hidden)('of %s is answered like one that does not exist: same body, same work', async (name) => {
    const row = matrix.find(({ operation }) => operation === name);
    const roles = matrixRoles.filter((role) => row?.roles[role].foreign === 'not-found');
    expect(roles.length).toBeGreaterThan(0);
    // The first request of a key within a minute also notes its use.
    await database.root`update keys set last_used_at = now()`;
    for (const role of roles) {
      const { key } = holders[role];
      const foreign = (await aims[name]?.('foreign', role)) ?? { id: '' };
      const unknownId = `${foreign.id.slice(0, 4)}unknown`;
      const unknown = {
        ...foreign,
        id: unknownId,
        ...(name === 'GET /v1/keys' ? { query: '?principalId=prn_unknown' } : {}),
      };
      const seen = [];
      for (const aim of [foreign, unknown]) {
        const counted = countQueries(database);
        const where = createTestApi(counted.database);
        const before = counted.count();
        const { status, body } = await ask(name, key, aim, where);
        const text = JSON.stringify({ ...body, requestId: '', traceId: '' })
          .replaceAll(aim.id, '<id>')
          .replaceAll(/prn_\w+/g, '<id>');
        seen.push({ status, text, queries: counted.count() - before });
      }
      expect(seen[0]).toEqual(seen[1]);
      expect(seen[0]?.status).toBe(404);
    }
  });
});

describe('TRUST 4.9: a property that nobody asked for', () => {
  const planted = [
    ...['role', 'tenant', 'status', 'approver', 'approvedBy', 'requestedBy', 'principalId', 'owner', 'tier'],
    ...['permissions', 'scopes', 'createdBy', 'decidedBy', 'id', 'kind', 'votes', 'state'],
  ];
  const withBody = operations.filter(({ operation }) => operation.requestBody !== undefined);

  test.each(withBody)('is refused by $name, whatever it is called', async ({ name, operation }) => {
    const row = matrix.find((each) => each.operation === name);
    const role = matrixRoles.find((each) => row?.roles[each].own === 'allowed') ?? 'admin';
    const schema = operation.requestBody?.content?.['application/json']?.schema as Untyped;
    const known: string[] = (schema.anyOf ?? [schema]).flatMap((each: Untyped) =>
      Object.keys(each.properties ?? {}),
    );
    for (const property of planted.filter((each) => !known.includes(each))) {
      const aim = (await aims[name]?.('own', role)) ?? { id: '' };
      const { status, body } = await ask(name, holders[role].key, {
        ...aim,
        body: { ...aim.body, [property]: 'admin' },
      });
      expect({ property, status, code: body.code }).toEqual({ property, status: 400, code: 'INVALID' });
    }
  });
});
