import { createRoute, z } from '@hono/zod-openapi';
import { type ApprovalRow, getApproval } from '../../db/approvals.ts';
import { type InboxPlace, inboxSorts, inboxSummary, listInbox, placeOf } from '../../db/inbox.ts';
import { approvalKinds, approvalStates } from '../../domain/approval.ts';
import { refuse } from '../../domain/refusal.ts';
import { scopesOf } from '../../domain/scope.ts';
import { risks } from '../../domain/task.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { askerOf } from '../decide.ts';
import { requireApprovalFor } from '../decision-rule.ts';
import { inboxFilterShape, toInboxFilter } from '../inbox-filter.ts';
import { judgeFor } from '../inbox-judge.ts';
import { inboxItem, shortenSummary, showInbox } from '../inbox-view.ts';
import { decodeCursor, encodeCursor, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { answer, idParams } from '../schemas.ts';

const list = createRoute({
  method: 'get',
  path: '/v1/approvals',
  tags: ['approvals'],
  summary: 'The inbox: what waits for a person, what it touches, and what the caller may do about it',
  ...guard('approvals:read'),
  request: {
    query: z.strictObject({
      ...pageQuery,
      ...inboxFilterShape,
      state: z.enum([...approvalStates, 'any']).default('open'),
      mine: z.enum(['true', 'false']).default('false'),
      sort: z.enum(inboxSorts).optional(),
    }),
  },
  responses: { 200: answer('One page of approvals.', pageOf(inboxItem)) },
});

const summary = createRoute({
  method: 'get',
  path: '/v1/approvals/summary',
  tags: ['approvals'],
  summary: 'What waits, in numbers',
  ...guard('approvals:read'),
  responses: {
    200: answer(
      'Counts of what is open.',
      z.object({
        open: z.number(),
        byKind: z.partialRecord(z.enum(approvalKinds), z.number()),
        byRisk: z.record(z.enum(risks), z.number()),
        oldestAgeSeconds: z.number().nullable(),
        nextExpirySeconds: z.number().nullable(),
      }),
    ),
  },
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

const inboxPlace: z.ZodType<InboxPlace> = z.strictObject({
  sort: z.enum(inboxSorts),
  rank: z.number().int().min(0).max(2),
  atMs: z.number().int().min(0).max(8.64e15),
  id: idParams.shape.id,
});

/** Rows that the rule is asked about for one page; a page of `mine` may so end early, with a cursor behind them. */
const mostLooked = 2_000;
const lookedAtOnce = 200;

export function addApprovalRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(list, async (c) => {
    const { limit, cursor, state, mine, sort: asked, ...filter } = c.req.valid('query');
    const asker = askerOf(c);
    const sort = asked ?? (state === 'open' ? 'oldest' : 'newest');
    const judge = await judgeFor(deps, asker);
    const isMine = mine === 'true';
    const { id, person } = asker.principal;
    const wanted = {
      ...toInboxFilter(filter),
      state: state === 'any' ? undefined : state,
      scopes: scopesOf(asker.principal, 'approvals:read'),
      maybeFor: isMine ? { id, person } : undefined,
    };
    const start = decodeCursor(cursor, inboxPlace);
    if (start !== null && start.sort !== sort)
      throwRefusal(
        refuse(
          'INVALID',
          `This cursor belongs to the order ${start.sort}; ask in that order, or start anew.`,
        ),
      );
    const size = isMine ? Math.max(limit + 1, lookedAtOnce) : limit + 1;
    const kept: ApprovalRow[] = [];
    let after: InboxPlace | null = start;
    let isEnd = false;
    for (let looked = 0; !isEnd && kept.length <= limit && looked < mostLooked; looked += size) {
      const rows: ApprovalRow[] = await listInbox(db, wanted, { sort, after, limit: size });
      isEnd = rows.length < size;
      kept.push(...rows.filter((row) => !isMine || judge.judge(row).allowedActions.length > 0));
      const last = rows.at(-1);
      if (last !== undefined) after = placeOf(sort, last);
    }
    const rows = kept.slice(0, limit);
    const lastShown = rows.at(-1);
    // More is known to follow behind the last row shown, or may follow behind the last one looked at.
    const next =
      kept.length > limit && lastShown !== undefined ? placeOf(sort, lastShown) : isEnd ? null : after;
    const items = await showInbox(deps, rows, judge);
    return c.json(
      { items: items.map(shortenSummary), nextCursor: next === null ? null : encodeCursor(next) },
      200,
    );
  });

  app.openapi(summary, async (c) =>
    c.json(await inboxSummary(db, scopesOf(c.get('principal'), 'approvals:read')), 200),
  );

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    const asker = askerOf(c);
    const row = await getApproval(db, id);
    const shown = requireApprovalFor(asker.principal, row, id, 'approvals:read');
    const [item] = await showInbox(deps, [shown], await judgeFor(deps, asker));
    if (item === undefined) throw new Error('one row makes one item');
    return c.json(item, 200);
  });
}
