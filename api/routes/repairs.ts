import { createRoute, z } from '@hono/zod-openapi';
import { listRepairs, type RepairRow } from '../../db/repairs.ts';
import { verdicts } from '../../domain/verdict.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { answer, anyObject, instant, line } from '../schemas.ts';

const repairSchema = z
  .object({
    taskId: z.string(),
    action: z.string(),
    target: z.string(),
    targetClass: z.string(),
    troubleSince: instant,
    repairedAt: instant,
    state: z.enum(['watching', 'judged', 'not-judgeable']),
    verdict: z.enum(verdicts).nullable(),
    because: z.string().nullable(),
    view: anyObject.nullable().openapi({ description: 'What was compared' }),
    judgedBy: z.string().nullable().openapi({ description: 'The cycle' }),
    judgedAt: instant.nullable(),
  })
  .openapi('Repair');

const list = createRoute({
  method: 'get',
  path: '/v1/repairs',
  tags: ['halo'],
  summary: 'What HALO had repaired and whether it helped, newest first',
  ...guard('halo:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      action: line(200).optional(),
      target: line(200).optional(),
      verdict: z.enum(verdicts).optional(),
    }),
  },
  responses: { 200: answer('One page of repairs.', pageOf(repairSchema)) },
});

function repairView(row: RepairRow): z.infer<typeof repairSchema> {
  const { createdAt: _createdAt, ...repair } = row;
  return {
    ...repair,
    troubleSince: row.troubleSince.toISOString(),
    repairedAt: row.repairedAt.toISOString(),
    judgedAt: row.judgedAt?.toISOString() ?? null,
  };
}

export function addRepairRoutes(app: Api, { database }: ApiDeps): void {
  app.openapi(list, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query');
    const rows = await listRepairs(database.db, filter, decodeCursor(cursor, timePlace), limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.repairedAt.getTime(), id: row.taskId }));
    return c.json({ items: page.rows.map(repairView), nextCursor: page.nextCursor }, 200);
  });
}
