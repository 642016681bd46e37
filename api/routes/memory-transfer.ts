import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { importMemory } from '../../db/memory-change.ts';
import { listMemory, readMemory } from '../../db/memory-records.ts';
import { traits } from '../../domain/memory.ts';
import { isEntity, planImport, refuseRecords, tidyTags } from '../../domain/memory-record.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { checkRange, genesOf, genesSchema, importInput, memoryFilter, readRecords } from '../memory-input.ts';
import { cutPage, decodeCursor, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body } from '../schemas.ts';

const exported = createRoute({
  method: 'get',
  path: '/v1/memory/export',
  tags: ['memory'],
  summary: 'Records as an import takes them, without their history',
  ...guard('memory:read'),
  request: { query: z.strictObject({ ...memoryFilter, ...pageQuery }) },
  responses: {
    200: answer(
      'One page of records.',
      z.object({ records: z.array(genesSchema), nextCursor: z.string().nullable() }),
    ),
  },
});

const plan = z.object({
  preview: z.boolean(),
  created: z.array(z.string()),
  replaced: z.array(z.string()),
  same: z.array(z.string()),
  conflicts: z.array(z.string()),
});

const imported = createRoute({
  method: 'post',
  path: '/v1/memory/import',
  tags: ['memory'],
  summary:
    'Takes records, all or none; one that is there and differs is a conflict unless it may be replaced',
  ...guard('memory:write'),
  request: {
    query: z.strictObject({ preview: z.enum(['true', 'false']).default('false') }),
    body: body(importInput),
  },
  responses: { 200: answer('What became of which record, or with preview would.', plan) },
});

const place = z.strictObject({ entity: z.string().refine(isEntity) });

export function addMemoryTransferRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(exported, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query');
    checkRange(filter);
    const rows = await listMemory(db, filter, decodeCursor(cursor, place)?.entity ?? '', limit + 1);
    const page = cutPage(rows, limit, ({ entity }) => ({ entity }));
    return c.json({ records: page.rows.map(genesOf), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(imported, async (c) => {
    const { records: given, replace, reason } = c.req.valid('json');
    const preview = c.req.valid('query').preview === 'true';
    const records = readRecords(given).map((record) => ({ ...record, tags: tidyTags(record.tags) }));
    const wrong = refuseRecords(records, traits);
    if (wrong !== null) throwRefusal(wrong);
    const present = await readMemory(
      db,
      records.map(({ entity }) => entity),
    );
    const planned = planImport(records, present.map(genesOf), replace);
    if (preview) return c.json({ preview, ...planned }, 200);
    if (planned.conflicts.length > 0) {
      const some = planned.conflicts.slice(0, 5).join(', ');
      throwRefusal(
        refuse(
          'CONFLICT',
          `Nothing was imported: ${planned.conflicts.length} are remembered differently here (${some}). Leave them out, or say replace.`,
          { conflicts: planned.conflicts },
        ),
      );
    }
    if (planned.created.length + planned.replaced.length === 0) return c.json({ preview, ...planned }, 200);
    const pick = (names: string[]) => {
      const wanted = new Set(names);
      return records.filter(({ entity }) => wanted.has(entity));
    };
    const outcome = await importMemory(db, {
      ...{ created: pick(planned.created), replaced: pick(planned.replaced), reason },
      ...{ actor: c.get('principal').id, opKey: `memory.import:${newId('op')}` },
    });
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse('CONFLICT', 'Nothing was imported: some of these appeared just now; look at a preview again.'),
      );
    return c.json({ preview, ...planned }, 200);
  });
}
