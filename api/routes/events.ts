import { createRoute, z } from '@hono/zod-openapi';
import { findAgentByPrincipal } from '../../db/agents.ts';
import { endOfLog, listEventsAfter } from '../../db/event-tail.ts';
import { appendEvents, type EventFilter, getEvent, listEvents } from '../../db/events.ts';
import type { Principal } from '../../domain/access.ts';
import { type EventInput, eventInputSchema, maxBatch, maxPayloadBytes } from '../../domain/events.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import { maxBatchBytes } from '../body.ts';
import type { Chain } from '../chain.ts';
import type { Api, ApiDeps } from '../context.ts';
import { eventFilterQuery, eventSchema, eventView, fits, placeOf } from '../event-view.ts';
import { createEventWriter } from '../event-writer.ts';
import { requireReach } from '../object-scope.ts';
import { spend } from '../middleware/tier.ts';
import { decodeCursor, encodeCursor, cutPage, logPlace, pageOf, pageQuery } from '../paging.ts';
import { ProblemError, throwRefusal } from '../problems.ts';
import { answer, body, idParams, jsonObject } from '../schemas.ts';

// The recursive JSON type of the domain's schema has no end in a document; the parser checked the JSON already.
const eventInput = eventInputSchema.extend({
  payload: jsonObject.default({}),
  metadata: jsonObject.default({}),
});

const stored = z.object({ id: z.string(), duplicate: z.boolean() });

const append = createRoute({
  method: 'post',
  path: '/v1/events',
  tags: ['events'],
  summary: 'Appends one event, or up to 1,000 as an array; answers after the commit',
  ...guard('events:write', { maxBytes: maxBatchBytes }),
  request: { body: body(z.union([eventInput, z.array(eventInput).min(1).max(maxBatch)])) },
  responses: {
    202: answer(
      'Stored. An id that the log already has is left as it is and marked.',
      z.union([stored, z.object({ accepted: z.array(stored) })]),
    ),
  },
});

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

/** Nobody speaks for another part of the system: agents for themselves only, HALO and Squad through services only. */
async function requireOwnSource(deps: ApiDeps, principal: Principal, inputs: EventInput[]): Promise<void> {
  for (const { source } of inputs) requireReach(principal, 'events:write', `${source.type}:${source.id}`);
  if (principal.kind === 'agent' || principal.role === 'agent') {
    const agent = await findAgentByPrincipal(deps.database.db, principal.id);
    const isOwn = (event: EventInput): boolean =>
      event.source.type === 'agent' && event.source.id === agent?.id;
    if (!inputs.every(isOwn))
      throwRefusal(
        refuse(
          'FORBIDDEN',
          `${principal.name} speaks for itself only: source {"type": "agent", "id": "${agent?.id ?? '(its own id)'}"}.`,
        ),
      );
  } else if (principal.kind !== 'service') {
    const claimed = inputs.find(({ source }) => source.type === 'halo' || source.type === 'squad');
    if (claimed !== undefined)
      throwRefusal(refuse('FORBIDDEN', `Events of ${claimed.source.type} come from the system itself.`));
  }
}

/** People are paged, blocked and trusted by these: only this system itself says them (SEC-004). */
const ownWords = ['security.', 'approval.', 'policy.', 'kill-switch.', 'audit.', 'notification.'];

function refuseOwnWords(inputs: EventInput[]): void {
  const claimed = inputs.find(({ type }) => ownWords.some((own) => type.startsWith(own)));
  if (claimed !== undefined)
    throwRefusal(
      refuse(
        'FORBIDDEN',
        `Events of the type ${claimed.type} come from the system itself; use a type of your own.`,
      ),
    );
}

function requireSmallPayloads(inputs: EventInput[]): void {
  const large = inputs.findIndex(({ payload, metadata }) =>
    [payload, metadata].some((part) => Buffer.byteLength(JSON.stringify(part)) > maxPayloadBytes),
  );
  if (large !== -1)
    throw new ProblemError(
      'PAYLOAD_TOO_LARGE',
      `The payload of an event may have at most ${maxPayloadBytes} bytes; put larger ones elsewhere and name them.`,
      { details: { index: large, maxBytes: maxPayloadBytes } },
    );
}

export function addEventRoutes(app: Api, deps: ApiDeps, chain: Chain): void {
  const { db, log } = deps.database;
  const appendOne = createEventWriter((inputs) => appendEvents(log, inputs));

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

  app.openapi(append, async (c) => {
    const said = c.req.valid('json');
    const inputs = Array.isArray(said) ? said : [said];
    requireSmallPayloads(inputs);
    refuseOwnWords(inputs);
    await requireOwnSource(deps, c.get('principal'), inputs);
    const bytes = (await c.req.arrayBuffer()).byteLength;
    await spend(c, chain, { events: inputs.length, bytes });
    if (!Array.isArray(said)) return c.json(await appendOne(said), 202);
    return c.json({ accepted: await appendEvents(log, inputs) }, 202);
  });

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
