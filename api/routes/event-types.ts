import { createRoute, z } from '@hono/zod-openapi';
import { typesWithSchema } from '../../db/event-schemas.ts';
import { mostLookedAt, recentTypes } from '../../db/event-types.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { answer, instant } from '../schemas.ts';

const route = createRoute({
  method: 'get',
  path: '/v1/event-types',
  tags: ['bus'],
  summary: 'Types among the newest events, how often they came, and whether they have a schema',
  ...guard('bus:read'),
  request: {
    query: z.strictObject({
      hours: z.coerce.number().int().min(1).max(168).default(24),
      limit: z.coerce.number().int().min(1).max(500).default(200),
    }),
  },
  responses: {
    200: answer(
      'The most frequent first.',
      z.object({
        hours: z.number().int(),
        looked: z.number().int(),
        complete: z
          .boolean()
          .openapi({ description: `False when only the newest ${mostLookedAt} events were looked at.` }),
        items: z.array(
          z.object({
            type: z.string(),
            count: z.number().int(),
            firstSeen: instant,
            lastSeen: instant,
            hasSchema: z.boolean(),
          }),
        ),
      }),
    ),
  },
});

export function addEventTypeRoute(app: Api, deps: ApiDeps): void {
  app.openapi(route, async (c) => {
    const { hours, limit } = c.req.valid('query');
    const { types, looked } = await recentTypes(deps.database.log, { hours, limit });
    const known = await typesWithSchema(
      deps.database.db,
      types.map(({ type }) => type),
    );
    const items = types.map(({ type, count, firstSeen, lastSeen }) => ({
      ...{ type, count, hasSchema: known.has(type) },
      ...{ firstSeen: firstSeen.toISOString(), lastSeen: lastSeen.toISOString() },
    }));
    return c.json({ hours, looked, complete: looked < mostLookedAt, items }, 200);
  });
}
