import { createRoute, z } from '@hono/zod-openapi';
import { endOfLog, listEventsAfter } from '../../db/event-tail.ts';
import { type EventFilter, getEvent, listEvents } from '../../db/events.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { eventFilterQuery, eventSchema, eventView, fits, placeOf } from '../event-view.ts';
import { decodeCursor, encodeCursor, cutPage, logPlace, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, idParams } from '../schemas.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/events',
  tags: ['events'],
  summary:
    'Events, newest first; with `after` in commit order from there on, for a reader that follows the log',
  ...guard('events:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      after: z
        .string()
        .max(400)
        .optional()
        .openapi({ description: 'A cursor of this list, `start`, or `now` for what comes from here on.' }),
      ...eventFilterQuery,
      from: z.iso.datetime({ offset: true }).optional(),
      to: z.iso.datetime({ offset: true }).optional(),
    }),
  },
  responses: {
    200: answer('One page of events. With `after` the cursor is never null.', pageOf(eventSchema)),
  },
});

const one = createRoute({
  method: 'get',
  path: '/v1/events/{id}',
  tags: ['events'],
  summary: 'One event',
  ...guard('events:read'),
  request: { params: idParams },
  responses: { 200: answer('The event.', eventSchema) },
});

export function addEventRoutes(app: Api, deps: ApiDeps): void {
  const { db, log } = deps.database;

  /** Filters after reading, so that the cursor also moves over what does not fit. */
  async function follow(after: string, filter: EventFilter, limit: number) {
    if (after === 'now') return { items: [], nextCursor: encodeCursor(await endOfLog(log)) };
    const from = after === 'start' ? { tx: '0', seq: '0' } : decodeCursor(after, logPlace);
    const rows = from === null ? [] : await listEventsAfter(db, from, limit);
    const last = rows.at(-1);
    return {
      items: rows.filter((row) => fits(row, filter)).map(eventView),
      nextCursor: last === undefined ? encodeCursor(from ?? {}) : encodeCursor(placeOf(last)),
    };
  }

  app.openapi(list, async (c) => {
    const { limit, cursor, after, from, to, ...rest } = c.req.valid('query');
    const filter: EventFilter = {
      ...rest,
      from: from === undefined ? undefined : new Date(from),
      to: to === undefined ? undefined : new Date(to),
    };
    if (after !== undefined) return c.json(await follow(after, filter, limit), 200);
    const rows = await listEvents(db, filter, decodeCursor(cursor, logPlace), limit + 1);
    const page = cutPage(rows, limit, placeOf);
    return c.json({ items: page.rows.map(eventView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    const row = await getEvent(db, id);
    if (row === null) throwRefusal(refuse('NOT_FOUND', `There is no event ${id}.`));
    return c.json(eventView(row), 200);
  });
}
