import { createRoute, z } from '@hono/zod-openapi';
import { listResults } from '../../db/wormhole-results.ts';
import { listWormholes } from '../../db/wormholes.ts';
import { wormholeOutcomes } from '../../domain/wormhole.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, idPlace, pageOf, pageQuery, timePlace } from '../paging.ts';
import { answer, anyObject, idParams, instant } from '../schemas.ts';
import { requireWormhole } from '../wormhole-subject.ts';
import { wormholeSchema, wormholeView } from '../wormhole-view.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/wormholes',
  tags: ['bus'],
  summary: 'Wormholes',
  ...guard('bus:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of wormholes.', pageOf(wormholeSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/wormholes/{id}',
  tags: ['bus'],
  summary: 'One wormhole, by id or name',
  ...guard('bus:read'),
  request: { params: idParams },
  responses: { 200: answer('The wormhole.', wormholeSchema) },
});

const results = createRoute({
  method: 'get',
  path: '/v1/wormholes/{id}/results',
  tags: ['bus'],
  summary: 'What became of the events it took in the last 7 days, newest first',
  ...guard('bus:read'),
  request: {
    params: idParams,
    query: z.strictObject({ ...pageQuery, outcome: z.enum(wormholeOutcomes).optional() }),
  },
  responses: {
    200: answer(
      'One page of results.',
      pageOf(
        z.object({
          eventId: z.string(),
          replayId: z.string().nullable(),
          version: z.number(),
          outcome: z.enum(wormholeOutcomes),
          detail: anyObject,
          at: instant,
        }),
      ),
    ),
  },
});

export function addWormholeRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;
  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const rows = await listWormholes(db, decodeCursor(cursor, idPlace)?.id ?? '', limit + 1);
    const page = cutPage(rows, limit, ({ id }) => ({ id }));
    return c.json(
      { items: page.rows.map((row) => wormholeView(deps, row)), nextCursor: page.nextCursor },
      200,
    );
  });

  app.openapi(one, async (c) =>
    c.json(wormholeView(deps, await requireWormhole(deps, c.req.valid('param').id)), 200),
  );

  app.openapi(results, async (c) => {
    const { limit, cursor, outcome } = c.req.valid('query');
    const { id } = await requireWormhole(deps, c.req.valid('param').id);
    const before = decodeCursor(cursor, timePlace);
    const rows = await listResults(db, { wormhole: id, outcome, before, limit: limit + 1 });
    const page = cutPage(rows, limit, (row) => ({ at: row.at.getTime(), id: row.eventId }));
    const items = page.rows.map(({ eventId, replay, version, outcome: ended, detail, at }) => ({
      ...{ eventId, version, outcome: ended, detail },
      replayId: replay === '' ? null : replay,
      at: at.toISOString(),
    }));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });
}
