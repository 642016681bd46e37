import { createRoute, z } from '@hono/zod-openapi';
import { type BriefEvent, readChain } from '../../db/event-chain.ts';
import {
  countThreads,
  listThread,
  listThreadLinks,
  listThreads,
  type ThreadFacts,
  type ThreadLink,
} from '../../db/threads.ts';
import { isAtLeast, severities, sourceTypes } from '../../domain/events.ts';
import { refuse } from '../../domain/refusal.ts';
import { arrangeThread, maxThreadEvents, type ThreadNode } from '../../domain/thread.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { eventSchema, eventTypeQuery } from '../event-view.ts';
import { encodeCursor, decodeCursor, pageOf } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, idParams, instant, queryText } from '../schemas.ts';
import { readWindow, windowQuery } from '../window.ts';

const threadSchema = z
  .object({
    correlationId: z.string(),
    firstAt: instant,
    lastAt: instant,
    durationMs: z.number(),
    events: z.number().int(),
    errors: z.number().int(),
    /** Events of the longest chain of causes. */
    depth: z.number().int(),
    root: z.object({ id: z.string(), type: z.string() }),
    /** True for a thread of which only the first thousand events were looked at for root and depth. */
    isTruncated: z.boolean(),
  })
  .openapi('Thread');

const briefSchema = eventSchema
  .omit({ payload: true, metadata: true, path: true, schemaVersion: true, deliverAt: true })
  .openapi('EventInThread');

const nodeSchema = z
  .object({
    event: briefSchema,
    link: z.enum(['root', 'caused', 'orphan']),
    parentId: z.string().nullable(),
    depth: z.number().int(),
    delayMs: z.number().nullable(),
  })
  .openapi('ThreadNode');

const list = createRoute({
  method: 'get',
  path: '/v1/threads',
  tags: ['events'],
  summary: 'Threads of events by their correlation id, the one with the newest event first',
  ...guard('events:read'),
  request: {
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(100).default(20),
      cursor: z.string().max(600).optional(),
      ...windowQuery,
      type: eventTypeQuery,
      sourceType: z.enum(sourceTypes).optional(),
      sourceId: queryText(200).optional(),
      minSeverity: z.enum(severities).optional(),
      minEvents: z.coerce.number().int().min(1).max(1_000_000).optional(),
    }),
  },
  responses: {
    200: answer(
      'One page. Threads are chosen by their events between `from` and `to`, by default the last 24 hours, and shown as a whole.',
      pageOf(threadSchema),
    ),
  },
});

const one = createRoute({
  method: 'get',
  path: '/v1/threads/{correlationId}',
  tags: ['events'],
  summary: 'One thread as a tree of causes, each event before those it caused',
  ...guard('events:read'),
  request: { params: z.object({ correlationId: queryText(200) }) },
  responses: {
    200: answer(
      'The thread. Events without a correlation id that these caused belong to it; what names no cause in it hangs under the root.',
      z.object({ thread: threadSchema, nodes: z.array(nodeSchema) }),
    ),
  },
});

const chain = createRoute({
  method: 'get',
  path: '/v1/events/{id}/chain',
  tags: ['events'],
  summary: 'What led to an event, the first cause first, and what it led to, as a tree',
  ...guard('events:read'),
  request: { params: idParams },
  responses: {
    200: answer(
      'The chain. `missingCauseId` is a cause that is named and not in the log.',
      z.object({
        ancestors: z.array(briefSchema),
        missingCauseId: z.string().nullable(),
        nodes: z.array(nodeSchema),
        isTruncated: z.boolean(),
      }),
    ),
  },
});

/** `to` belongs to it: with the first page's end all pages together are one look. */
const threadPlace = z
  .strictObject({
    at: z.number().int().min(0).max(8.64e15),
    id: queryText(200),
    to: z.number().int().min(0).max(8.64e15),
  })
  .transform(({ at, id, to }) => ({ at: new Date(at), id, to: new Date(to) }));

function briefView(event: BriefEvent): z.infer<typeof briefSchema> {
  const { seq, tx, sourceType, sourceId, occurredAt, recordedAt, ...rest } = event;
  return {
    ...rest,
    source: { type: sourceType, id: sourceId },
    occurredAt: occurredAt.toISOString(),
    recordedAt: recordedAt.toISOString(),
    cursor: encodeCursor({ tx, seq: String(seq) }),
  };
}

function treeOf(events: BriefEvent[], rootId?: string) {
  const { nodes, depth } = arrangeThread(
    events.map((event) => ({ ...event, at: event.recordedAt })),
    rootId,
  );
  const view = ({ event: { at: _at, ...event }, ...node }: ThreadNode<BriefEvent & { at: Date }>) => ({
    ...node,
    event: briefView(event),
  });
  return { nodes: nodes.map(view), depth };
}

function threadView({ id, firstAt, lastAt, events, errors }: ThreadFacts, links: ThreadLink[]) {
  const { nodes, depth } = arrangeThread(links);
  const root = nodes[0]?.event;
  return {
    correlationId: id,
    firstAt: firstAt.toISOString(),
    lastAt: lastAt.toISOString(),
    durationMs: lastAt.getTime() - firstAt.getTime(),
    ...{ events, errors, depth },
    root: { id: root?.id ?? '', type: root?.type ?? '' },
    isTruncated: events > maxThreadEvents,
  };
}

export function addThreadRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(list, async (c) => {
    const { limit, cursor, from: asked, to: until, ...filter } = c.req.valid('query');
    const place = decodeCursor(cursor, threadPlace);
    const { from, to } = readWindow(asked, until, place?.to ?? new Date(deps.now()));
    const found = await listThreads(db, { ...filter, from, to }, place, limit + 1);
    const kept = found.slice(0, limit);
    const ids = kept.map(({ id }) => id);
    const [facts, links] = await Promise.all([countThreads(db, ids), listThreadLinks(db, ids)]);
    const byThread = Map.groupBy(links, ({ thread }) => thread);
    const last = kept.at(-1);
    return c.json(
      {
        items: ids.flatMap((id) => {
          const known = facts.get(id);
          return known === undefined ? [] : [threadView(known, byThread.get(id) ?? [])];
        }),
        nextCursor:
          found.length > limit && last !== undefined
            ? encodeCursor({ at: last.at.getTime(), id: last.id, to: to.getTime() })
            : null,
      },
      200,
    );
  });

  app.openapi(one, async (c) => {
    const { correlationId } = c.req.valid('param');
    const events = await listThread(db, correlationId);
    const first = events[0];
    if (first === undefined)
      throwRefusal(refuse('NOT_FOUND', `There is no event with the correlation id ${correlationId}.`));
    const { nodes, depth } = treeOf(events.slice(0, maxThreadEvents));
    const root = nodes[0]?.event;
    const times = events.map(({ recordedAt }) => recordedAt.getTime());
    const isTruncated = events.length > maxThreadEvents;
    const all = isTruncated ? (await countThreads(db, [correlationId])).get(correlationId) : undefined;
    const firstAt = all?.firstAt ?? new Date(Math.min(...times));
    const lastAt = all?.lastAt ?? new Date(Math.max(...times));
    return c.json(
      {
        thread: {
          correlationId,
          firstAt: firstAt.toISOString(),
          lastAt: lastAt.toISOString(),
          durationMs: lastAt.getTime() - firstAt.getTime(),
          events: all?.events ?? events.length,
          errors: all?.errors ?? events.filter(({ severity }) => isAtLeast(severity, 'error')).length,
          depth,
          root: { id: root?.id ?? '', type: root?.type ?? '' },
          isTruncated,
        },
        nodes,
      },
      200,
    );
  });

  app.openapi(chain, async (c) => {
    const { id } = c.req.valid('param');
    const found = await readChain(db, id);
    if (found === null) throwRefusal(refuse('NOT_FOUND', `There is no event ${id}.`));
    const { ancestors, missingCauseId, descendants, isTruncated } = found;
    return c.json(
      {
        ancestors: ancestors.map(briefView),
        missingCauseId,
        nodes: treeOf(descendants, id).nodes,
        isTruncated,
      },
      200,
    );
  });
}
