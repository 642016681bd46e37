import { createRoute, z } from '@hono/zod-openapi';
import { endOfLog, isAfter, lookAtPosition, startOfLog } from '../../db/event-tail.ts';
import type { Position } from '../../db/events.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Chain } from '../chain.ts';
import type { Api, ApiDeps } from '../context.ts';
import { createEventReader, opening, sseMessage } from '../event-stream.ts';
import { eventFilterQuery } from '../event-view.ts';
import { createLiveLog } from '../live-log.ts';
import { refuseBlocked } from '../middleware/shield.ts';
import { decodeCursor, encodeCursor, logPlace } from '../paging.ts';
import { ProblemError, throwRefusal } from '../problems.ts';
import { createRecheck } from '../recheck.ts';
import { streamAnswer } from '../schemas.ts';
import { streamBody } from '../stream-body.ts';
import { createStreamPlaces } from '../stream-places.ts';

const stream = createRoute({
  method: 'get',
  path: '/v1/stream',
  tags: ['events'],
  summary: 'Events as they are recorded, in commit order, as server-sent events',
  ...guard('events:read'),
  request: {
    query: z.strictObject({
      ...eventFilterQuery,
      after: z.string().max(400).optional().openapi({
        description:
          'Where to begin: the cursor of an event, `start`, or `now`, which it is by default. The header Last-Event-ID goes before it.',
      }),
    }),
    headers: z.object({ 'last-event-id': z.string().max(400).optional() }),
  },
  responses: {
    200: streamAnswer(
      '`event: event` with an Event as data and its cursor as id; `event: gap` where retention has dropped what was asked for; `event: end` with the reason when the server ends the stream. Resume with Last-Event-ID.',
    ),
  },
});

export function addStreamRoute(app: Api, deps: ApiDeps, chain: Chain): void {
  const { log } = deps.database;
  const { heartbeatMs, ...limits } = deps.streams;
  const live = createLiveLog(deps);
  const places = createStreamPlaces(limits);
  const notBlocked = refuseBlocked(deps, chain);

  /** Where to begin, and what to say first when that is not the place that was asked for. */
  async function beginAt(asked: string): Promise<{ from: Position; notice: string }> {
    if (asked === 'now') return { from: await endOfLog(log), notice: '' };
    if (asked === 'start') return { from: startOfLog, notice: '' };
    const from = decodeCursor(asked, logPlace) ?? startOfLog;
    const { isAhead, first } = await lookAtPosition(log, from);
    if (isAhead)
      throwRefusal(
        refuse(
          'INVALID',
          'This place lies ahead of the log, so it is of another one; begin with after=now or after=start.',
        ),
      );
    const isWhole = from.seq === '0' || (first !== null && !isAfter(first, from));
    if (isWhole) return { from, notice: '' };
    const goesOnAt = first === null ? null : encodeCursor(first);
    const message = 'Retention has dropped the event of this place, and may have dropped some behind it.';
    return { from, notice: sseMessage('gap', { after: asked, goesOnAt, message }) };
  }

  app.openapi(stream, async (c) => {
    const { after, ...filter } = c.req.valid('query');
    const asked = c.req.valid('header')['last-event-id'] ?? after ?? 'now';
    requireRunning(deps);
    const { from, notice } = await beginAt(asked);
    const headers = { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' };
    if (c.req.method === 'HEAD') return c.body(null, 200, headers);
    const givePlaceBack = places.take(c.get('principal'));
    const joined = await live.join().catch((error: unknown) => {
      givePlaceBack();
      throw error;
    });
    const stillAllowed = createRecheck(deps, c, 'events:read');
    const body = streamBody(deps, c, {
      reader: createEventReader({ database: deps.database, live: joined }, filter, from),
      first: opening(from) + notice,
      heartbeatMs,
      check: async () => {
        await stillAllowed();
        await notBlocked(c, () => Promise.resolve());
      },
      close: () => {
        live.leave();
        givePlaceBack();
      },
    });
    return c.body(body, 200, headers);
  });
}

function requireRunning({ stopping }: ApiDeps): void {
  if (stopping.aborted) throw new ProblemError('UNAVAILABLE', 'This process ends; connect again.');
}
