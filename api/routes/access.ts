import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { changePrincipal, type PrincipalPatch } from '../../db/principal-change.ts';
import { createPrincipal, listPrincipals, type PrincipalRow } from '../../db/principals.ts';
import { principalKinds } from '../../domain/access.ts';
import { refuse } from '../../domain/refusal.ts';
import {
  requireAuthorityOver,
  requireNoPart,
  requirePrincipal,
  requireRole,
  requireToHold,
} from '../access-rules.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, idPlace, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, control, idParams, instant, optionalBody } from '../schemas.ts';
import { addAuthorizationRoute } from './authorization.ts';
import { addGrantRoutes } from './grants.ts';
import { addGroupRoutes } from './groups.ts';
import { addKeyRoutes } from './keys.ts';
import { addMeRoute } from './me.ts';
import { addRoleRoutes } from './roles.ts';

const principalSchema = z
  .object({
    id: z.string(),
    kind: z.enum(principalKinds),
    name: z.string(),
    role: z.string(),
    owner: z.string().nullable(),
    tier: z.string(),
    oidcSubject: z.string().nullable(),
    status: z.enum(['active', 'disabled']),
    createdBy: z.string().nullable(),
    roleBy: z.string().nullable(),
    roleSince: instant,
    createdAt: instant,
  })
  .openapi('Principal');

function principalView(row: PrincipalRow): z.infer<typeof principalSchema> {
  const { id, kind, name, role, owner, tier, oidcSubject, status, createdBy, roleBy } = row;
  return {
    ...{ id, kind, name, role, owner, tier, oidcSubject, status, createdBy, roleBy },
    roleSince: row.roleSince.toISOString(),
    createdAt: row.createdAt.toISOString(),
  };
}

const roleName = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/);
const tier = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/);
const oidcSubject = z
  .string()
  .max(600)
  .regex(
    new RegExp(`^https?://[^|\\s]+\\|[^${control}]{1,255}$`),
    'has to be <issuer>|<sub>, as the refused login says it',
  );

const list = createRoute({
  method: 'get',
  path: '/v1/principals',
  tags: ['access'],
  summary: 'People, services and agents that may hold keys',
  ...guard('access:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of principals.', pageOf(principalSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/principals/{id}',
  tags: ['access'],
  summary: 'One principal',
  ...guard('access:read'),
  request: { params: idParams },
  responses: { 200: answer('The principal.', principalSchema) },
});

const create = createRoute({
  method: 'post',
  path: '/v1/principals',
  tags: ['access'],
  summary: 'Creates a person or a service; agents are registered under /v1/agents',
  ...guard('access:write'),
  request: {
    body: body(
      z
        .strictObject({
          name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}$/),
          kind: z.enum(['human', 'service']).default('human'),
          role: roleName,
          owner: idParams.shape.id.optional(),
          tier: tier.optional(),
          oidcSubject: oidcSubject.optional(),
        })
        .refine(({ role }) => role !== 'agent', {
          path: ['role'],
          message: 'the role agent is for agents, which are registered under /v1/agents',
        })
        .refine(({ kind, role }) => kind === 'human' || (role !== 'admin' && role !== 'break-glass'), {
          path: ['role'],
          message: 'a service cannot be an admin or break the glass',
        })
        .refine(({ kind, owner }) => (kind === 'service') === (owner !== undefined), {
          path: ['owner'],
          message: 'a service needs an owner, the person who answers for it; a person has none',
        })
        .refine((given) => given.kind === 'human' || given.oidcSubject === undefined, {
          path: ['oidcSubject'],
          message: 'only people log in at the identity provider',
        }),
    ),
  },
  responses: { 201: answer('The principal; issue a key for it next.', principalSchema) },
});

const patch = createRoute({
  method: 'patch',
  path: '/v1/principals/{id}',
  tags: ['access'],
  summary: 'Changes the role, tier, status or linked login of a principal',
  ...guard('access:write'),
  request: {
    params: idParams,
    body: body(
      z
        .strictObject({
          role: roleName.optional(),
          tier: tier.optional(),
          status: z.enum(['active', 'disabled']).optional(),
          oidcSubject: oidcSubject.nullable().optional(),
        })
        .refine((given) => Object.values(given).some((value) => value !== undefined), 'nothing to change'),
    ),
  },
  responses: { 200: answer('The principal as it is now.', principalSchema) },
});

function switchRoute(action: 'enable' | 'disable') {
  return createRoute({
    method: 'post',
    path: `/v1/principals/{id}/${action}`,
    tags: ['access'],
    summary:
      action === 'enable'
        ? 'Lets the keys and the login of a principal open the door again'
        : 'Refuses every key and the login of a principal from the next request on',
    ...guard('access:write'),
    request: { params: idParams, body: optionalBody(z.strictObject({})) },
    responses: { 200: answer('The principal as it is now.', principalSchema) },
  });
}

export function addAccessRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requireOwner(id: string | undefined): Promise<void> {
    if (id === undefined) return;
    const owner = await requirePrincipal(deps, id);
    if (owner.kind !== 'human' || owner.status !== 'active')
      throwRefusal(
        refuse('INVALID', `owner: ${owner.name} is no active person; a person answers for a service.`),
      );
  }

  async function changeOne(c: ApiContext, id: string, wanted: PrincipalPatch): Promise<PrincipalRow> {
    const before = await requirePrincipal(deps, id);
    requireNoPart(id);
    await requireAuthorityOver(deps, c, before, 'principal.change');
    if (wanted.role !== undefined) {
      requireRoleFor(before, wanted.role);
      const subject = { action: 'principal.change', kind: 'principal', id };
      await requireToHold(deps, c, await requireRole(deps, wanted.role), subject, id);
    }
    if (typeof wanted.oidcSubject === 'string' && before.kind !== 'human')
      throwRefusal(refuse('INVALID', 'oidcSubject: only people log in at the identity provider.'));
    const refusal = await changePrincipal(db, before, wanted, {
      actor: c.get('principal').id,
      opKey: `principal.change:${newId('op')}`,
    });
    if (refusal !== null) throwRefusal(refusal);
    return requirePrincipal(deps, id);
  }

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const rows = await listPrincipals(db, decodeCursor(cursor, idPlace)?.id ?? '', limit + 1);
    const page = cutPage(rows, limit, (row) => ({ id: row.id }));
    return c.json({ items: page.rows.map(principalView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) =>
    c.json(principalView(await requirePrincipal(deps, c.req.valid('param').id)), 200),
  );

  app.openapi(create, async (c) => {
    const input = c.req.valid('json');
    const id = newId('prn');
    await requireOwner(input.owner);
    const subject = { action: 'principal.create', kind: 'principal', id };
    await requireToHold(deps, c, await requireRole(deps, input.role), subject);
    const actor = c.get('principal').id;
    const outcome = await createPrincipal(db, { ...input, id, actor, opKey: `principal.create:${id}` });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', `The name ${input.name} or its login is taken.`));
    return c.json(principalView(await requirePrincipal(deps, id)), 201);
  });

  app.openapi(patch, async (c) =>
    c.json(principalView(await changeOne(c, c.req.valid('param').id, given(c.req.valid('json')))), 200),
  );

  for (const action of ['enable', 'disable'] as const)
    app.openapi(switchRoute(action), async (c) => {
      const status = action === 'enable' ? ('active' as const) : ('disabled' as const);
      return c.json(principalView(await changeOne(c, c.req.valid('param').id, { status })), 200);
    });

  addMeRoute(app, deps);
  addKeyRoutes(app, deps);
  addRoleRoutes(app, deps);
  addGrantRoutes(app, deps);
  addGroupRoutes(app, deps);
  addAuthorizationRoute(app);
}

function requireRoleFor({ kind, name }: PrincipalRow, role: string): void {
  if (kind === 'agent')
    throwRefusal(refuse('INVALID', `role: ${name} is an agent and stays one; give it a grant instead.`));
  if (role === 'agent') throwRefusal(refuse('INVALID', 'role: the role agent is for agents.'));
  if (kind === 'service' && (role === 'admin' || role === 'break-glass'))
    throwRefusal(refuse('INVALID', 'role: a service cannot be an admin or break the glass.'));
}

/** Members that were left out are no changes. */
function given(said: { [K in keyof PrincipalPatch]?: PrincipalPatch[K] | undefined }): PrincipalPatch {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}
