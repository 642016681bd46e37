import { createRoute, z } from '@hono/zod-openapi';
import {
  type AgentRow,
  beat,
  configureAgent,
  findAgentByPrincipal,
  getAgent,
  limitAgent,
  listAgents,
  registerAgent,
  setAgentState,
} from '../../db/agents.ts';
import { derivedId, newId } from '../../db/ids.ts';
import { createPrincipal, storeKey } from '../../db/principals.ts';
import { agentSecret } from '../../db/signing-secret.ts';
import { agentStates } from '../../domain/agent.ts';
import type { Principal } from '../../domain/access.ts';
import { DomainError, refuse } from '../../domain/refusal.ts';
import { agentNeeds, scopesOf } from '../../domain/scope.ts';
import { executors, taskRoles } from '../../domain/task.ts';
import { requireToHold } from '../access-rules.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { mintKey } from '../keys.ts';
import { requireObject, requireReach } from '../object-scope.ts';
import { cutPage, decodeCursor, idPlace, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, anyObject, body, idParams, instant, optionalBody } from '../schemas.ts';
import { agentInput, configFor, maxConcurrency } from './agent-input.ts';

const agentSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(taskRoles),
    capabilities: z.array(z.string()),
    executor: z.enum(executors),
    config: anyObject,
    configVersion: z.number(),
    maxConcurrency: z.number(),
    state: z.enum(agentStates),
    principalId: z.string(),
    owner: z.string(),
    lastSeenAt: instant.nullable(),
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Agent');

function agentView(row: AgentRow): z.infer<typeof agentSchema> {
  return {
    ...row,
    lastSeenAt: row.lastSeenAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

const create = createRoute({
  method: 'post',
  path: '/v1/agents',
  tags: ['agents'],
  summary: 'Registers an agent, with a principal and a key of its own',
  ...guard('agents:write', { secretAnswer: true }),
  request: { body: body(agentInput) },
  responses: {
    201: answer(
      'The agent. Its key, and the secret that an HTTP agent checks our signatures with, are shown once.',
      z.object({ agent: agentSchema, key: z.string(), signingSecret: z.string().nullable() }),
    ),
  },
});

const list = createRoute({
  method: 'get',
  path: '/v1/agents',
  tags: ['agents'],
  summary: 'Agents',
  ...guard('agents:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of agents.', pageOf(agentSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/agents/{id}',
  tags: ['agents'],
  summary: 'One agent',
  ...guard('agents:read'),
  request: { params: idParams },
  responses: { 200: answer('The agent.', agentSchema) },
});

const configure = createRoute({
  method: 'patch',
  path: '/v1/agents/{id}',
  tags: ['agents'],
  summary: 'Changes how an agent runs; approvals given under the old configuration are void',
  ...guard('agents:write'),
  request: {
    params: idParams,
    body: body(z.strictObject({ config: anyObject, expectedVersion: z.number().int().min(1) })),
  },
  responses: { 200: answer('The agent as it is now.', agentSchema) },
});

const limitRoute = createRoute({
  method: 'put',
  path: '/v1/agents/{id}/limit',
  tags: ['agents'],
  summary: 'Sets how many tasks an agent runs at once; no approval is bound to it',
  ...guard('agents:write'),
  request: { params: idParams, body: body(z.strictObject({ maxConcurrency })) },
  responses: { 200: answer('The agent as it is now.', agentSchema) },
});

const beatRoute = createRoute({
  method: 'post',
  path: '/v1/agents/{id}/beat',
  tags: ['agents'],
  summary: 'A sign of life, from the agent itself',
  ...guard('agents:beat'),
  request: { params: idParams, body: optionalBody(z.strictObject({})) },
  responses: { 200: answer('Noted.', z.object({ state: z.enum(agentStates) })) },
});

function switchRoute(action: 'enable' | 'disable') {
  return createRoute({
    method: 'post',
    path: `/v1/agents/{id}/${action}`,
    tags: ['agents'],
    summary: action === 'enable' ? 'Lets an agent take tasks again' : 'Gives an agent no more tasks',
    ...guard('agents:write'),
    request: { params: idParams, body: optionalBody(z.strictObject({})) },
    responses: { 200: answer('The agent as it is now.', agentSchema) },
  });
}

export function addAgentRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requireAgentFor(
    principal: Principal,
    id: string,
    need: 'agents:read' | 'agents:write',
  ): Promise<AgentRow> {
    return requireObject(principal, await getAgent(db, id), {
      ...{ what: 'agent', id, need, read: 'agents:read' },
      target: (agent) => `agent:${agent.id}`,
    });
  }

  async function requireAgent(id: string): Promise<AgentRow> {
    return (await getAgent(db, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no agent ${id}.`));
  }

  app.openapi(create, async (c) => {
    const { config, ...input } = c.req.valid('json');
    const settings = configFor(input.executor, config);
    const principal = c.get('principal');
    const actor = principal.id;
    const id = newId('agt');
    requireReach(principal, 'agents:write', `agent:${id}`);
    // Whoever registers an agent is shown its key, so it can do nothing that they cannot.
    await requireToHold(deps, c, agentNeeds, { action: 'agent.register', kind: 'agent', id });
    const name = `agent:${input.name}`;
    const taken = refuse('CONFLICT', `The name ${input.name} is taken.`);
    // The id follows from the name: a registration that broke off half way can be repeated.
    const principalId = derivedId('prn', name);
    const made = await createPrincipal(db, {
      id: principalId,
      kind: 'agent',
      name,
      role: 'agent',
      owner: principal.person,
      actor,
      opKey: `agent.principal:${principalId}`,
    });
    if (made.status === 'unchanged') throw new DomainError(taken);
    const registered = await registerAgent(db, {
      ...input,
      id,
      config: settings,
      principalId,
      owner: actor,
      actor,
      opKey: `agent.register:${id}`,
    });
    if (registered.status === 'unchanged') throw new DomainError(taken);
    const { key, id: keyId, hash } = mintKey(deps.pepper, deps.keyEnvironment);
    const label = `agent ${input.name}`;
    await storeKey(db, {
      id: keyId,
      principalId,
      label,
      hash,
      expiresAt: null,
      actor,
      opKey: `key:${keyId}`,
    });
    const signingSecret = input.executor === 'http' ? agentSecret(deps.agentRoot, id) : null;
    return c.json({ agent: agentView(await requireAgent(id)), key, signingSecret }, 201);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const scopes = scopesOf(c.get('principal'), 'agents:read');
    const rows = await listAgents(db, decodeCursor(cursor, idPlace)?.id ?? '', limit + 1, scopes);
    const page = cutPage(rows, limit, (row) => ({ id: row.id }));
    return c.json({ items: page.rows.map(agentView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    return c.json(agentView(await requireAgentFor(c.get('principal'), id, 'agents:read')), 200);
  });

  app.openapi(configure, async (c) => {
    const { config, expectedVersion } = c.req.valid('json');
    const agent = await requireAgentFor(c.get('principal'), c.req.valid('param').id, 'agents:write');
    const outcome = await configureAgent(db, {
      id: agent.id,
      expectedVersion,
      config: configFor(agent.executor, config),
      actor: c.get('principal').id,
      opKey: `agent.configure:${agent.id}:${newId('op')}`,
    });
    const now = await requireAgent(agent.id);
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse(
          'STALE',
          `The configuration is at version ${now.configVersion}; read it again, then change it.`,
          {
            current: now.configVersion,
            yours: expectedVersion,
          },
        ),
      );
    return c.json(agentView(now), 200);
  });

  app.openapi(limitRoute, async (c) => {
    const agent = await requireAgentFor(c.get('principal'), c.req.valid('param').id, 'agents:write');
    const opKey = `agent.limit:${agent.id}:${newId('op')}`;
    await limitAgent(db, { id: agent.id, ...c.req.valid('json'), actor: c.get('principal').id, opKey });
    return c.json(agentView(await requireAgent(agent.id)), 200);
  });

  app.openapi(beatRoute, async (c) => {
    const { id } = c.req.valid('param');
    const own = await findAgentByPrincipal(db, c.get('principal').id);
    if (own?.id !== id) throwRefusal(refuse('NOT_FOUND', `There is no agent ${id}.`));
    requireReach(c.get('principal'), 'agents:beat', `agent:${id}`);
    if (!(await beat(db, id, `agent.beat:${id}:${newId('op')}`)))
      throwRefusal(refuse('CONFLICT', `${own.name} is disabled; a person has to enable it first.`));
    return c.json({ state: (await requireAgent(id)).state }, 200);
  });

  for (const action of ['enable', 'disable'] as const)
    app.openapi(switchRoute(action), async (c) => {
      const agent = await requireAgentFor(c.get('principal'), c.req.valid('param').id, 'agents:write');
      const isDisabled = agent.state === 'disabled';
      if (isDisabled === (action === 'enable'))
        await setAgentState(db, {
          id: agent.id,
          state: action === 'enable' ? 'registered' : 'disabled',
          actor: c.get('principal').id,
          opKey: `agent.${action}:${agent.id}:${newId('op')}`,
        });
      return c.json(agentView(await requireAgent(agent.id)), 200);
    });
}
