import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { forgetMemory, inheritMemory, setMemoryTags } from '../../db/memory-change.ts';
import { listMemory, type MemoryRow, readMemory, readMemoryHistory } from '../../db/memory-records.ts';
import { isEntity, refuseInheritance, tidyTags } from '../../domain/memory-record.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import {
  checkRange,
  entityParams,
  historySchema,
  historyView,
  inheritInput,
  memoryFilter,
  memorySchema,
  memoryView,
  tagsInput,
} from '../memory-input.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, queryText } from '../schemas.ts';

const tags = ['memory'];

const list = createRoute({
  method: 'get',
  path: '/v1/memory',
  tags,
  summary: 'What is remembered, by entity; min and max are of one trait',
  ...guard('memory:read'),
  request: { query: z.strictObject({ ...memoryFilter, ...pageQuery }) },
  responses: { 200: answer('One page of records.', pageOf(memorySchema)) },
});

const withHistory = z.object({ record: memorySchema, history: z.array(historySchema) });

const one = createRoute({
  method: 'get',
  path: '/v1/memory/{entity}',
  tags,
  summary: 'One record, and the last 25 things that moved it, the newest first',
  ...guard('memory:read'),
  request: { params: entityParams },
  responses: { 200: answer('The record.', withHistory) },
});

const tag = createRoute({
  method: 'put',
  path: '/v1/memory/{entity}/tags',
  tags,
  summary: 'Puts other tags in the place of all',
  ...guard('memory:write'),
  request: { params: entityParams, body: body(tagsInput) },
  responses: { 200: answer('The record as it is now.', memorySchema) },
});

const inherit = createRoute({
  method: 'post',
  path: '/v1/memory/{entity}/inherit',
  tags,
  summary: 'Begins a record with 0.9 of each trait of another of its kind; it is tagged `inherited`',
  ...guard('memory:write'),
  request: { params: entityParams, body: body(inheritInput) },
  responses: { 201: answer('The new record.', memorySchema) },
});

const forget = createRoute({
  method: 'delete',
  path: '/v1/memory/{entity}',
  tags,
  summary: 'Forgets an entity; what was counted of it is not counted again',
  ...guard('memory:write'),
  request: { params: entityParams, query: z.strictObject({ reason: queryText(2000) }) },
  responses: {
    200: answer('It is forgotten.', z.object({ entity: z.string(), forgotten: z.literal(true) })),
  },
});

const place = z.strictObject({ entity: z.string().refine(isEntity) });

export function addMemoryRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requireMemory(entity: string): Promise<MemoryRow> {
    const [row] = await readMemory(db, [entity]);
    return row ?? throwRefusal(refuse('NOT_FOUND', `Nothing is remembered of ${entity}.`));
  }

  app.openapi(list, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query');
    checkRange(filter);
    const rows = await listMemory(db, filter, decodeCursor(cursor, place)?.entity ?? '', limit + 1);
    const page = cutPage(rows, limit, ({ entity }) => ({ entity }));
    return c.json({ items: page.rows.map(memoryView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const row = await requireMemory(c.req.valid('param').entity);
    const history = await readMemoryHistory(db, row.entity);
    return c.json({ record: memoryView(row), history: history.map(historyView) }, 200);
  });

  app.openapi(tag, async (c) => {
    const { entity } = await requireMemory(c.req.valid('param').entity);
    const given = tidyTags(c.req.valid('json').tags);
    const opKey = `memory.tag:${entity}:${newId('op')}`;
    await setMemoryTags(db, { entity, tags: given, actor: c.get('principal').id, opKey });
    return c.json(memoryView(await requireMemory(entity)), 200);
  });

  app.openapi(inherit, async (c) => {
    const { entity } = c.req.valid('param');
    const { from: parent, reason } = c.req.valid('json');
    const wrong = refuseInheritance(entity, parent);
    if (wrong !== null) throwRefusal(wrong);
    await requireMemory(parent);
    const opKey = `memory.inherit:${entity}:${newId('op')}`;
    const outcome = await inheritMemory(db, { entity, parent, reason, actor: c.get('principal').id, opKey });
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse('CONFLICT', `Something is remembered of ${entity} already; forget it first, or leave it.`),
      );
    return c.json(memoryView(await requireMemory(entity)), 201);
  });

  app.openapi(forget, async (c) => {
    const { entity } = await requireMemory(c.req.valid('param').entity);
    const { reason } = c.req.valid('query');
    const opKey = `memory.forget:${entity}:${newId('op')}`;
    const outcome = await forgetMemory(db, { entity, reason, actor: c.get('principal').id, opKey });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('NOT_FOUND', `Nothing is remembered of ${entity} any more.`));
    return c.json({ entity, forgotten: true as const }, 200);
  });
}
