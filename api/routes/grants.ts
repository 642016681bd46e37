import { createRoute, z } from '@hono/zod-openapi';
import { createGrant, getGrant, type GrantRow, listGrants, revokeGrant } from '../../db/grants.ts';
import { newId } from '../../db/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { narrowPermissions, scopePattern } from '../../domain/scope.ts';
import { requireNoPart, requirePrincipal, requireRole, requireToHold } from '../access-rules.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idParams, instant, optionalBody, reason } from '../schemas.ts';

export const grantSchema = z
  .object({
    id: z.string(),
    principalId: z.string(),
    role: z.string(),
    scope: z.string(),
    reason: z.string(),
    grantedBy: z.string(),
    createdAt: instant,
    expiresAt: instant.nullable(),
    revokedAt: instant.nullable(),
  })
  .openapi('Grant');

export function grantView(row: GrantRow): z.infer<typeof grantSchema> {
  return {
    ...row,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    revokedAt: row.revokedAt?.toISOString() ?? null,
  };
}

const list = createRoute({
  method: 'get',
  path: '/v1/grants',
  tags: ['access'],
  summary: 'The grants of a principal, also those that are over',
  ...guard('access:read'),
  request: { query: z.strictObject({ principalId: idParams.shape.id }) },
  responses: { 200: answer('Its grants.', z.object({ items: z.array(grantSchema) })) },
});

const create = createRoute({
  method: 'post',
  path: '/v1/grants',
  tags: ['access'],
  summary: 'Gives a principal a further role, for some targets or all, for some time or until it is revoked',
  ...guard('access:write'),
  request: {
    body: body(
      z.strictObject({
        principalId: idParams.shape.id,
        role: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
        scope: z
          .string()
          .regex(scopePattern, 'has to be a target, or the beginning of one and a *')
          .default('*'),
        reason,
        expiresInSeconds: z
          .number()
          .int()
          .min(1)
          .max(3650 * 86_400)
          .optional(),
      }),
    ),
  },
  responses: { 201: answer('The grant; it counts from the next request on.', grantSchema) },
});

const revoke = createRoute({
  method: 'post',
  path: '/v1/grants/{id}/revoke',
  tags: ['access'],
  summary: 'Takes a grant back',
  ...guard('access:write'),
  request: { params: idParams, body: optionalBody(z.strictObject({})) },
  responses: { 200: answer('The grant as it is now.', grantSchema) },
});

export function addGrantRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requireGrant(id: string): Promise<GrantRow> {
    return (await getGrant(db, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no grant ${id}.`));
  }

  app.openapi(list, async (c) => {
    const { id } = await requirePrincipal(deps, c.req.valid('query').principalId);
    return c.json({ items: (await listGrants(db, id)).map(grantView) }, 200);
  });

  app.openapi(create, async (c) => {
    const { expiresInSeconds = null, ...input } = c.req.valid('json');
    const receiver = await requirePrincipal(deps, input.principalId);
    requireNoPart(receiver.id);
    const permitted = narrowPermissions(await requireRole(deps, input.role), input.scope);
    if (input.role === 'agent' && receiver.kind !== 'agent')
      throwRefusal(refuse('INVALID', 'role: the role agent is for agents.'));
    if (receiver.kind !== 'human' && (input.role === 'admin' || input.role === 'break-glass'))
      throwRefusal(refuse('INVALID', `role: ${receiver.name} is no person; only people get this role.`));
    const id = newId('grt');
    await requireToHold(deps, c, permitted, { action: 'grant.create', kind: 'grant', id }, receiver.id);
    const actor = c.get('principal').id;
    await createGrant(db, { ...input, id, expiresInSeconds, actor, opKey: `grant.create:${id}` });
    return c.json(grantView(await requireGrant(id)), 201);
  });

  app.openapi(revoke, async (c) => {
    const grant = await requireGrant(c.req.valid('param').id);
    await revokeGrant(db, grant, { actor: c.get('principal').id, opKey: `grant.revoke:${newId('op')}` });
    return c.json(grantView(await requireGrant(grant.id)), 200);
  });
}
