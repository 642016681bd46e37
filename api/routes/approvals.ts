import { createRoute, z } from '@hono/zod-openapi';
import { type ApprovalRow, databaseNow, getApproval, listApprovals } from '../../db/approvals.ts';
import { principalNames } from '../../db/access.ts';
import type { Principal } from '../../domain/access.ts';
import { approvalKinds, approvalStates, decisions } from '../../domain/approval.ts';
import { scopesOf } from '../../domain/scope.ts';
import { risks } from '../../domain/task.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { allowedActions, requireApprovalFor } from '../decision-rule.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { answer, idParams } from '../schemas.ts';
import { approvalSchema, approvalView } from '../views.ts';

const inboxItem = approvalSchema
  .extend({ allowedActions: z.array(z.enum(decisions)), whyNot: z.string().nullable() })
  .openapi('InboxItem');

const list = createRoute({
  method: 'get',
  path: '/v1/approvals',
  tags: ['approvals'],
  summary: 'The inbox: what waits for a person, the oldest first, and what the caller may do about it',
  ...guard('approvals:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      state: z.enum([...approvalStates, 'any']).default('open'),
      kind: z.enum(approvalKinds).optional(),
      risk: z.enum(risks).optional(),
    }),
  },
  responses: { 200: answer('One page of approvals.', pageOf(inboxItem)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/approvals/{id}',
  tags: ['approvals'],
  summary: 'One approval with the whole content it is bound to',
  ...guard('approvals:read'),
  request: { params: idParams },
  responses: { 200: answer('The approval.', inboxItem) },
});

const shownSummaryBytes = 4096;

/** A page of large contents would be larger than anybody reads; what is left out says so. */
function shortenSummary(item: z.infer<typeof inboxItem>): z.infer<typeof inboxItem> {
  const bytes = Buffer.byteLength(JSON.stringify(item.summary.payload ?? null));
  if (bytes <= shownSummaryBytes) return item;
  const payload = { omitted: `${bytes} bytes; read GET /v1/approvals/${item.id}` };
  return { ...item, summary: { ...item.summary, payload } };
}

/** An approval as one caller sees it. */
async function showApprovals(
  deps: ApiDeps,
  rows: ApprovalRow[],
  principal: Principal,
): Promise<z.infer<typeof inboxItem>[]> {
  const { db } = deps.database;
  const names = await principalNames(
    db,
    rows.map((row) => row.requestedBy),
  );
  const nowMs = await databaseNow(db);
  return rows.map((row) => ({
    ...approvalView(deps, row, { nowMs, names }),
    ...allowedActions(row, principal, nowMs),
  }));
}

export function addApprovalRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(list, async (c) => {
    const { limit, cursor, state, kind, risk } = c.req.valid('query');
    const place = decodeCursor(cursor, timePlace);
    const rows = await listApprovals(
      db,
      {
        ...{ kind, risk, state: state === 'any' ? undefined : state },
        scopes: scopesOf(c.get('principal'), 'approvals:read'),
      },
      place === null ? null : { createdAt: place.at, id: place.id },
      limit + 1,
    );
    const page = cutPage(rows, limit, (row) => ({ at: row.createdAt.getTime(), id: row.id }));
    const items = await showApprovals(deps, page.rows, c.get('principal'));
    return c.json({ items: items.map(shortenSummary), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    const row = requireApprovalFor(c.get('principal'), await getApproval(db, id), id, 'approvals:read');
    const [item] = await showApprovals(deps, [row], c.get('principal'));
    if (item === undefined) throw new Error('one row makes one item');
    return c.json(item, 200);
  });
}
