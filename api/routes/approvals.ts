import { createRoute, z } from '@hono/zod-openapi';
import { type ApprovalRow, getApproval, listApprovals } from '../../db/approvals.ts';
import { readApprover } from '../../db/approvers.ts';
import { principalNames } from '../../db/access.ts';
import { approvalKinds, approvalStates, decisions } from '../../domain/approval.ts';
import { refuse } from '../../domain/refusal.ts';
import { risks } from '../../domain/task.ts';
import { approvalSchema, approvalView } from '../approval-view.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps, Asker } from '../context.ts';
import { askerOf } from '../decide.ts';
import { allowedActions } from '../decision-rule.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, idParams } from '../schemas.ts';

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
  asker: Asker,
): Promise<z.infer<typeof inboxItem>[]> {
  const { db } = deps.database;
  const [names, approver] = await Promise.all([
    principalNames(
      db,
      rows.map((row) => row.requestedBy),
    ),
    readApprover(db, asker.principal.id, asker.keyId ?? null),
  ]);
  const { nowMs, rights } = approver ?? { nowMs: deps.now(), rights: [] };
  return rows.map((row) => ({
    ...approvalView(deps, row, { nowMs, names }),
    ...allowedActions(row, { ...asker, rights }, nowMs),
  }));
}

export function addApprovalRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(list, async (c) => {
    const { limit, cursor, state, kind, risk } = c.req.valid('query');
    const place = decodeCursor(cursor, timePlace);
    const rows = await listApprovals(
      db,
      { state: state === 'any' ? undefined : state, kind, risk },
      place === null ? null : { createdAt: place.at, id: place.id },
      limit + 1,
    );
    const page = cutPage(rows, limit, (row) => ({ at: row.createdAt.getTime(), id: row.id }));
    const items = await showApprovals(deps, page.rows, askerOf(c));
    return c.json({ items: items.map(shortenSummary), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    const row = await getApproval(db, id);
    if (row === null) throwRefusal(refuse('NOT_FOUND', `There is no approval ${id}.`));
    const [item] = await showApprovals(deps, [row], askerOf(c));
    if (item === undefined) throw new Error('one row makes one item');
    return c.json(item, 200);
  });
}
