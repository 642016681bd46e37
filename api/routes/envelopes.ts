import { createRoute, z } from '@hono/zod-openapi';
import { getRouted, readTraces } from '../../db/envelopes.ts';
import { pageSubscriptions } from '../../db/subscription-change.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { envelopeSchema, envelopesOf } from '../envelopes.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, idParams } from '../schemas.ts';
import { keyPlace } from './subscription-input.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/events/{id}/deliveries',
  tags: ['events'],
  summary: 'The envelopes of one event: where it was or will be routed to, and how its handling stands',
  ...guard('bus:read'),
  request: { params: idParams, query: z.strictObject(pageQuery) },
  responses: {
    200: answer(
      'Envelopes, in the order of the subscriptions. A page covers `limit` subscriptions, so it may be shorter, and go on all the same.',
      pageOf(envelopeSchema),
    ),
  },
});

export function addEnvelopeRoute(app: Api, deps: ApiDeps): void {
  const { db, log } = deps.database;

  app.openapi(list, async (c) => {
    const { id } = c.req.valid('param');
    const { limit, cursor } = c.req.valid('query');
    const [routed, rows] = await Promise.all([
      getRouted(log, id),
      pageSubscriptions(db, decodeCursor(cursor, keyPlace)?.key ?? '', limit + 1),
    ]);
    if (routed === null) throwRefusal(refuse('NOT_FOUND', `There is no event ${id}.`));
    const page = cutPage(rows, limit, ({ key }) => ({ key }));
    const traces = await readTraces(
      deps.database,
      id,
      page.rows.map(({ key }) => key),
    );
    const items = page.rows.flatMap((row) => envelopesOf(row, routed, traces));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });
}
