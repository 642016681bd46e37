import { createRoute, z } from '@hono/zod-openapi';
import { listLinks } from '../../db/entity-links.ts';
import { cyclesUsing, getInsight, type InsightRow, listInsights } from '../../db/insights.ts';
import { cycleModes, cycleStates } from '../../domain/halo.ts';
import { entityKinds, entityLinkKinds, insightPatterns, insightSeverities } from '../../domain/insight.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, anyObject, idParams, instant, queryText } from '../schemas.ts';

const mostCycles = 20;

const entity = queryText(220)
  .refine(
    (text) => entityKinds.some((kind) => text.startsWith(`${kind}:`)),
    `is KIND:ID, such as endpoint:prb_1; kinds are ${entityKinds.join(', ')}`,
  )
  .optional();

const insightSchema = z
  .object({
    id: z.string(),
    pattern: z.enum(insightPatterns),
    severity: z.enum(insightSeverities),
    title: z.string(),
    entities: z.array(z.string()),
    suggestedActions: z.array(z.string()),
    figures: anyObject.openapi({ description: 'What shows it' }),
    foundBy: z.string().openapi({ description: 'The cycle' }),
    lastSeenBy: z.string().openapi({ description: 'The last cycle in which it still held' }),
    foundAt: instant,
    lastSeenAt: instant,
    endedAt: instant.nullable().openapi({ description: 'Empty while it holds' }),
  })
  .openapi('Insight');

const linkSchema = z
  .object({
    from: z.string(),
    to: z.string(),
    kind: z.enum(entityLinkKinds),
    weight: z.number().openapi({ description: '0 to 1' }),
    figures: anyObject,
    foundBy: z.string(),
    updatedAt: instant,
  })
  .openapi('EntityLink');

const list = createRoute({
  method: 'get',
  path: '/v1/insights',
  tags: ['halo'],
  summary: 'What HALO has learned, newest first; those that ended too, of the 100 that are kept',
  ...guard('memory:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      state: z.enum(['open', 'ended', 'any']).default('open'),
      pattern: z.enum(insightPatterns).optional(),
      entity,
    }),
  },
  responses: { 200: answer('One page of insights.', pageOf(insightSchema)) },
});

const used = z.object({
  id: z.string(),
  mode: z.enum(cycleModes),
  state: z.enum(cycleStates),
  startedAt: instant,
});

const one = createRoute({
  method: 'get',
  path: '/v1/insights/{id}',
  tags: ['halo'],
  summary: 'One insight, with the cycles that it changed',
  ...guard('memory:read'),
  request: { params: idParams },
  responses: {
    200: answer(
      `The insight; of the cycles the newest ${mostCycles}.`,
      insightSchema.extend({ usedBy: z.array(used) }),
    ),
  },
});

const links = createRoute({
  method: 'get',
  path: '/v1/links',
  tags: ['halo'],
  summary: 'Entities that fail together or resemble each other, the strongest links first',
  ...guard('memory:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      // A place names two entities, whose ids are of any characters.
      cursor: z.string().max(4_000).optional(),
      entity,
      kind: z.enum(entityLinkKinds).optional(),
    }),
  },
  responses: { 200: answer('One page of links.', pageOf(linkSchema)) },
});

const linkPlace = z.strictObject({
  weight: z.number().min(0).max(1),
  ...{ from: queryText(300), to: queryText(300), kind: z.enum(entityLinkKinds) },
});

function insightView({ key: _key, ...row }: InsightRow): z.infer<typeof insightSchema> {
  return {
    ...row,
    foundAt: row.foundAt.toISOString(),
    lastSeenAt: row.lastSeenAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  };
}

export function addInsightRoutes(app: Api, { database }: ApiDeps): void {
  const { db } = database;

  app.openapi(list, async (c) => {
    const { limit, cursor, state, ...rest } = c.req.valid('query');
    const filter = { ...rest, state: state === 'any' ? undefined : state };
    const rows = await listInsights(db, filter, decodeCursor(cursor, timePlace), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.foundAt.getTime(), id: row.id }));
    return c.json({ items: page.rows.map(insightView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    const row = await getInsight(db, id);
    if (row === null)
      throwRefusal(refuse('NOT_FOUND', `There is no insight ${id}; the newest 100 are kept.`));
    const cycles = await cyclesUsing(db, row, mostCycles);
    const usedBy = cycles.map((cycle) => ({ ...cycle, startedAt: cycle.startedAt.toISOString() }));
    return c.json({ ...insightView(row), usedBy }, 200);
  });

  app.openapi(links, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query');
    const rows = await listLinks(db, filter, decodeCursor(cursor, linkPlace), limit + 1);
    const page = cutPage(rows, limit, ({ weight, from, to, kind }) => ({ weight, from, to, kind }));
    const items = page.rows.map((row) => ({ ...row, updatedAt: row.updatedAt.toISOString() }));
    return c.json({ items, nextCursor: page.nextCursor }, 200);
  });
}
