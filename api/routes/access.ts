import { createRoute, z } from '@hono/zod-openapi';
import { keyExists, listKeys } from '../../db/access.ts';
import { findAgentByPrincipal } from '../../db/agents.ts';
import { newId } from '../../db/ids.ts';
import {
  createPrincipal,
  getPrincipal,
  listPrincipals,
  type PrincipalRow,
  revokeKey,
  storeKey,
  systemPrincipals,
} from '../../db/principals.ts';
import { principalKinds } from '../../domain/access.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { mintKey } from '../keys.ts';
import { cutPage, decodeCursor, idPlace, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idParams, instant, line, optionalBody } from '../schemas.ts';

const principalSchema = z
  .object({
    id: z.string(),
    kind: z.enum(principalKinds),
    name: z.string(),
    role: z.string(),
    owner: z.string().nullable(),
    tier: z.string(),
    status: z.enum(['active', 'disabled']),
    createdAt: instant,
  })
  .openapi('Principal');

const keySchema = z.object({
  id: z.string(),
  principalId: z.string(),
  label: z.string(),
  expiresAt: instant.nullable(),
  revokedAt: instant.nullable(),
  createdAt: instant,
});

const me = createRoute({
  method: 'get',
  path: '/v1/me',
  tags: ['access'],
  summary: 'Who the presented key belongs to, and what it may do',
  ...guard('authenticated'),
  responses: {
    200: answer(
      'The principal.',
      z.object({
        id: z.string(),
        kind: z.enum(principalKinds),
        name: z.string(),
        role: z.string(),
        permissions: z.array(z.string()),
        agentId: z.string().nullable(),
      }),
    ),
  },
});

const list = createRoute({
  method: 'get',
  path: '/v1/principals',
  tags: ['access'],
  summary: 'People, services and agents that may hold keys',
  ...guard('access:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of principals.', pageOf(principalSchema)) },
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
          role: z.enum(['admin', 'operator', 'viewer']),
        })
        .refine(({ kind, role }) => kind === 'human' || role !== 'admin', {
          path: ['role'],
          message: 'a service cannot be an admin',
        }),
    ),
  },
  responses: { 201: answer('The principal; issue a key for it next.', principalSchema) },
});

const keys = createRoute({
  method: 'get',
  path: '/v1/keys',
  tags: ['access'],
  summary: 'The keys of a principal, without their secrets',
  ...guard('access:read'),
  request: { query: z.strictObject({ principalId: idParams.shape.id }) },
  responses: { 200: answer('Its keys.', z.object({ items: z.array(keySchema) })) },
});

const issue = createRoute({
  method: 'post',
  path: '/v1/keys',
  tags: ['access'],
  summary: 'Issues a key',
  ...guard('access:write', { secretAnswer: true }),
  request: {
    body: body(
      z.strictObject({
        principalId: idParams.shape.id,
        label: line(120),
        expiresInDays: z.number().min(0.0001).max(3650).optional(),
      }),
    ),
  },
  responses: {
    201: answer(
      'The key; it is shown once and stored nowhere.',
      z.object({ id: z.string(), key: z.string(), principalId: z.string(), expiresAt: instant.nullable() }),
    ),
  },
});

const revoke = createRoute({
  method: 'post',
  path: '/v1/keys/{id}/revoke',
  tags: ['access'],
  summary: 'Revokes a key; every API process refuses it from the next request on',
  ...guard('access:write'),
  request: { params: idParams, body: optionalBody(z.strictObject({})) },
  responses: { 200: answer('Revoked.', z.object({ id: z.string(), revoked: z.literal(true) })) },
});

function principalView(row: PrincipalRow): z.infer<typeof principalSchema> {
  const { id, kind, name, role, owner, tier, status } = row;
  return { id, kind, name, role, owner, tier, status, createdAt: row.createdAt.toISOString() };
}

const dayMs = 86_400_000;

export function addAccessRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requirePrincipal(id: string): Promise<PrincipalRow> {
    return (await getPrincipal(db, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no principal ${id}.`));
  }

  app.openapi(me, async (c) => {
    const { id, kind, name, role, permissions: held } = c.get('principal');
    const agent = kind === 'agent' ? await findAgentByPrincipal(db, id) : null;
    return c.json({ id, kind, name, role, permissions: [...held], agentId: agent?.id ?? null }, 200);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const rows = await listPrincipals(db, decodeCursor(cursor, idPlace)?.id ?? '', limit + 1);
    const page = cutPage(rows, limit, (row) => ({ id: row.id }));
    return c.json({ items: page.rows.map(principalView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(create, async (c) => {
    const input = c.req.valid('json');
    const id = newId('prn');
    const actor = c.get('principal').id;
    const outcome = await createPrincipal(db, { ...input, id, actor, opKey: `principal.create:${id}` });
    if (outcome.status === 'unchanged') throwRefusal(refuse('CONFLICT', `The name ${input.name} is taken.`));
    return c.json(principalView(await requirePrincipal(id)), 201);
  });

  app.openapi(keys, async (c) => {
    const { id } = await requirePrincipal(c.req.valid('query').principalId);
    const rows = await listKeys(db, id);
    const items = rows.map((row) => ({
      id: row.id,
      principalId: row.principalId,
      label: row.label,
      expiresAt: row.expiresAt?.toISOString() ?? null,
      revokedAt: row.revokedAt?.toISOString() ?? null,
      createdAt: row.createdAt.toISOString(),
    }));
    return c.json({ items }, 200);
  });

  app.openapi(issue, async (c) => {
    const { principalId, label, expiresInDays } = c.req.valid('json');
    await requirePrincipal(principalId);
    if (Object.values(systemPrincipals).some((id) => id === principalId))
      throwRefusal(refuse('FORBIDDEN', `${principalId} is a part of this system and holds no key.`));
    const { id, key, hash } = mintKey(deps.pepper);
    const expiresAt = expiresInDays === undefined ? null : new Date(deps.now() + expiresInDays * dayMs);
    const actor = c.get('principal').id;
    await storeKey(db, { id, principalId, label, hash, expiresAt, actor, opKey: `key:${id}` });
    return c.json({ id, key, principalId, expiresAt: expiresAt?.toISOString() ?? null }, 201);
  });

  app.openapi(revoke, async (c) => {
    const { id } = c.req.valid('param');
    const opKey = `key.revoke:${id}`;
    await revokeKey(db, { id, actor: c.get('principal').id, opKey });
    if (!(await keyExists(db, id))) throwRefusal(refuse('NOT_FOUND', `There is no key ${id}.`));
    return c.json({ id, revoked: true as const }, 200);
  });
}
