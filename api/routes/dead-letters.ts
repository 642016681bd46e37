import { createRoute, z } from '@hono/zod-openapi';
import { countDeadLetters, listGrowthAlerts } from '../../db/dead-letter-growth.ts';
import { getDeadLetter, listDeadLetters } from '../../db/dead-letter-list.ts';
import { deadLetterStates } from '../../db/schema/bus.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import {
  deadLetterFilterShape,
  deadLetterSchema,
  deadLetterView,
  deadLetterWhole,
  deadLetterWholeSchema,
  toDeadLetterFilter,
} from '../dead-letter-views.ts';
import { requireEventReader } from '../dead-letter-wish.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, idParams, instant } from '../schemas.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/dead-letters',
  tags: ['dead-letters'],
  summary: 'Deliveries that were given up, newest first; who may not read events sees none',
  ...guard('bus:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      ...deadLetterFilterShape,
      state: z.enum([...deadLetterStates, 'any']).default('open'),
    }),
  },
  responses: { 200: answer('One page of dead letters.', pageOf(deadLetterSchema)) },
});

const summary = createRoute({
  method: 'get',
  path: '/v1/dead-letters/summary',
  tags: ['dead-letters'],
  summary: 'What grew: counts by subscription and cause, and the alerts that stand',
  ...guard('bus:read'),
  responses: {
    200: answer(
      'What grew most in the last hour comes first.',
      z.object({
        open: z.number(),
        heaps: z.array(
          z.object({
            subscription: z.string(),
            cause: z.string(),
            open: z.number(),
            lastHour: z.number(),
            lastDay: z.number(),
            oldestOpenAt: instant.nullable(),
            newestAt: instant,
          }),
        ),
        alerts: z.array(z.object({ subscription: z.string(), because: z.string(), raisedAt: instant })),
      }),
    ),
  },
});

const one = createRoute({
  method: 'get',
  path: '/v1/dead-letters/{id}',
  tags: ['dead-letters'],
  summary: 'One dead letter with its event as it was, every attempt, and what its delivery is now',
  ...guard('bus:read'),
  request: { params: idParams },
  responses: { 200: answer('The dead letter.', deadLetterWholeSchema) },
});

const mostHeaps = 500;

export function addDeadLetterRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(list, async (c) => {
    requireEventReader(c.get('principal'));
    const { limit, cursor, state, ...filter } = c.req.valid('query');
    const wanted = { ...toDeadLetterFilter(filter), state: state === 'any' ? undefined : state };
    const rows = await listDeadLetters(db, wanted, decodeCursor(cursor, timePlace), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.createdAt.getTime(), id: row.id }));
    return c.json({ items: page.rows.map(deadLetterView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(summary, async (c) => {
    const [heaps, alerts] = await Promise.all([countDeadLetters(db, mostHeaps), listGrowthAlerts(db)]);
    const open = heaps.reduce((sum, heap) => sum + heap.open, 0);
    return c.json({ open, heaps, alerts }, 200);
  });

  app.openapi(one, async (c) => {
    requireEventReader(c.get('principal'));
    const { id } = c.req.valid('param');
    const whole = await getDeadLetter(db, id);
    if (whole === null) throwRefusal(refuse('NOT_FOUND', `There is no dead letter ${id}.`));
    return c.json(deadLetterWhole(whole), 200);
  });
}
