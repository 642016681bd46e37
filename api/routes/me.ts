import { createRoute, z } from '@hono/zod-openapi';
import { getKey } from '../../db/access.ts';
import { findAgentByPrincipal } from '../../db/agents.ts';
import { activeGrants } from '../../db/grants.ts';
import { groupsOf } from '../../db/policies.ts';
import { principalKinds } from '../../domain/access.ts';
import { requirePrincipal } from '../access-rules.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { answer, instant } from '../schemas.ts';
import { grantSchema, grantView } from './grants.ts';

const me = createRoute({
  method: 'get',
  path: '/v1/me',
  tags: ['access'],
  summary: 'Who the presented key or login belongs to, and what it may do',
  ...guard('authenticated'),
  responses: {
    200: answer(
      'The principal. The permissions are those of this key: its scopes are applied.',
      z.object({
        id: z.string(),
        kind: z.enum(principalKinds),
        name: z.string(),
        role: z.string(),
        person: z.string(),
        tier: z.string(),
        groups: z.array(z.string()),
        grants: z.array(grantSchema),
        permissions: z.array(z.string()),
        agentId: z.string().nullable(),
        key: z
          .object({ id: z.string(), scopes: z.array(z.string()).nullable(), expiresAt: instant.nullable() })
          .nullable(),
        loginAt: instant.nullable(),
      }),
    ),
  },
});

export function addMeRoute(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(me, async (c) => {
    const { id, kind, name, role, person, permissions } = c.get('principal');
    const keyId = c.get('keyId') ?? null;
    const loginAtMs = c.get('loginAtMs') ?? null;
    const [{ tier }, groups, grants, agent, key] = await Promise.all([
      requirePrincipal(deps, id),
      groupsOf(db, id),
      activeGrants(db, id),
      kind === 'agent' ? findAgentByPrincipal(db, id) : null,
      keyId === null ? null : getKey(db, keyId),
    ]);
    return c.json(
      {
        ...{ id, kind, name, role, person, tier, groups },
        grants: grants.map(grantView),
        permissions: [...permissions],
        agentId: agent?.id ?? null,
        key:
          key === null
            ? null
            : { id: key.id, scopes: key.scopes, expiresAt: key.expiresAt?.toISOString() ?? null },
        loginAt: loginAtMs === null ? null : new Date(loginAtMs).toISOString(),
      },
      200,
    );
  });
}
