import { createRoute, z } from '@hono/zod-openapi';
import { type AuditRow, listAudit } from '../../db/audit.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../paging.ts';
import { answer, anyObject, instant, queryText } from '../schemas.ts';

const outcomes = ['ok', 'refused'] as const;

const entrySchema = z
  .object({
    chainNo: z.number().int(),
    at: instant,
    actor: z.string(),
    action: z.string(),
    subject: z.object({ kind: z.string(), id: z.string() }),
    outcome: z.enum(outcomes),
    detail: anyObject,
    prevHash: z.string(),
    hash: z.string(),
  })
  .openapi('AuditEntry');

const list = createRoute({
  method: 'get',
  path: '/v1/audit',
  tags: ['access'],
  summary: 'Who did what, and what was refused: the hash-chained audit, newest first',
  ...guard('audit:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      subjectId: queryText(200).optional(),
      actor: queryText(200).optional(),
      action: queryText(100).optional(),
      outcome: z.enum(outcomes).optional(),
    }),
  },
  responses: { 200: answer('One page of entries.', pageOf(entrySchema)) },
});

const place = z.strictObject({ chainNo: z.number().int().positive() });

function entryView(row: AuditRow) {
  const { detail } = JSON.parse(row.body) as { detail: Record<string, unknown> };
  return {
    chainNo: row.chainNo,
    at: row.at.toISOString(),
    actor: row.actor,
    action: row.action,
    subject: { kind: row.subjectKind, id: row.subjectId },
    outcome: row.outcome,
    detail,
    prevHash: row.prevHash,
    hash: row.hash,
  };
}

export function addAuditRoutes(app: Api, deps: ApiDeps): void {
  app.openapi(list, async (c) => {
    const { limit, cursor, ...filter } = c.req.valid('query');
    const before = decodeCursor(cursor, place)?.chainNo ?? null;
    const found = await listAudit(deps.database.db, filter, before, limit + 1);
    const { rows, nextCursor } = cutPage(found, limit, ({ chainNo }) => ({ chainNo }));
    return c.json({ items: rows.map(entryView), nextCursor }, 200);
  });
}
