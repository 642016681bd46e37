import { createRoute, z } from '@hono/zod-openapi';
import { countDeliveries, listReplayDeliveries, listReplays, noCounts } from '../../db/replays.ts';
import { deliveryStates } from '../../domain/delivery.ts';
import { replayStates } from '../../domain/replay.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { replaySchema, replayView } from '../replay-views.ts';
import { answer, anyObject, idParams, instant } from '../schemas.ts';
import { requireReplay } from './replays.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/replays',
  tags: ['bus'],
  summary: 'Replays, newest first',
  ...guard('bus:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      subscription: idParams.shape.id.optional(),
      state: z.enum(replayStates).optional(),
    }),
  },
  responses: { 200: answer('One page of replays.', pageOf(replaySchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/replays/{id}',
  tags: ['bus'],
  summary: 'How far one replay is, and how its deliveries ended',
  ...guard('bus:read'),
  request: { params: idParams },
  responses: { 200: answer('The replay.', replaySchema) },
});

const deliverySchema = z.object({
  id: z.string(),
  eventId: z.string(),
  eventType: z.string().nullable(),
  part: z.string(),
  recordedAt: instant,
  state: z.enum(deliveryStates),
  attempts: z.number(),
  dueAt: instant,
  /** What the handler would have done; empty until it was asked, and for a replay with side effects. */
  previews: z.array(anyObject).nullable(),
  error: z.string().nullable(),
  endedAt: instant.nullable(),
});

const deliveries = createRoute({
  method: 'get',
  path: '/v1/replays/{id}/deliveries',
  tags: ['bus'],
  summary: 'Each event of a replay with what became of it, oldest event first',
  ...guard('bus:read'),
  request: {
    params: idParams,
    query: z.strictObject({ ...pageQuery, state: z.enum(deliveryStates).optional() }),
  },
  responses: {
    200: answer('One page of events. Completed ones are forgotten after 7 days.', pageOf(deliverySchema)),
  },
});

export function addReplayListRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(list, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query');
    const rows = await listReplays(db, filter, decodeCursor(cursor, timePlace), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.createdAt.getTime(), id: row.id }));
    const counts = await countDeliveries(db, page.rows);
    const items = page.rows.map((row) => replayView(deps, row, counts.get(row.id) ?? noCounts));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const row = await requireReplay(deps, c.req.valid('param').id);
    const counts = (await countDeliveries(db, [row])).get(row.id) ?? noCounts;
    return c.json(replayView(deps, row, counts), 200);
  });

  app.openapi(deliveries, async (c) => {
    const { id } = await requireReplay(deps, c.req.valid('param').id);
    const { limit, cursor, ...filter } = c.req.valid('query');
    const after = decodeCursor(cursor, timePlace);
    const rows = await listReplayDeliveries(db, id, filter, after, limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.recordedAt.getTime(), id: row.id }));
    const items = page.rows.map((row) => ({
      ...row,
      recordedAt: row.recordedAt.toISOString(),
      dueAt: row.dueAt.toISOString(),
      endedAt: row.endedAt?.toISOString() ?? null,
    }));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });
}
