import { createRoute, z } from '@hono/zod-openapi';
import type { ApprovalRow } from '../../db/approvals.ts';
import { auditRefusal } from '../../db/change.ts';
import { digest, newId } from '../../db/ids.ts';
import { approvalKinds, approvalStates, decisions } from '../../domain/approval.ts';
import { encodeSelection, mostAtOnce, parseSelection, selectionText, whatMoved } from '../../domain/bulk.ts';
import { refuse } from '../../domain/refusal.ts';
import { risks } from '../../domain/task.ts';
import { guard } from '../auth.ts';
import { selectFor, type Selection } from '../bulk-select.ts';
import type { Api, ApiDeps, Asker } from '../context.ts';
import { askerOf, decideOne, type DecisionWish } from '../decide.ts';
import { inboxFilterShape, toInboxFilter } from '../inbox-filter.ts';
import { describeError, problemCodes, throwRefusal, toProblem } from '../problems.ts';
import { answer, body, idParams, instant, reason } from '../schemas.ts';

const ids = z.array(idParams.shape.id);

const bulkInput = z
  .strictObject({
    decision: z.enum(decisions),
    reason: reason.optional(),
    guidance: reason.optional(),
    filter: z.strictObject(inboxFilterShape).optional(),
    ids: ids.min(1).max(mostAtOnce, `may name at most ${mostAtOnce} approvals`).optional(),
    except: ids.max(mostAtOnce).default([]),
    preview: z.boolean().default(false),
    selection: z.string().max(40_000).optional(),
  })
  .refine((said) => (said.filter === undefined) !== (said.ids === undefined), {
    message: 'must have either filter or ids; filter: {} means everything that waits',
  })
  .refine((said) => said.preview !== (said.selection !== undefined), {
    message: 'must have either preview: true, or the selection that a preview answered',
  })
  .refine(({ guidance, decision }) => guidance === undefined || decision === 'reject', {
    path: ['guidance'],
    message: 'goes with a rejection: it says what should be different',
  });

const leftOut = z.array(z.object({ id: z.string(), title: z.string().nullable(), why: z.string() }));

const previewSchema = z.object({
  preview: z.literal(true),
  decision: z.enum(decisions),
  count: z.number(),
  more: z.boolean(),
  selection: z.string(),
  items: z.array(
    z.object({
      id: z.string(),
      kind: z.enum(approvalKinds),
      title: z.string(),
      risk: z.enum(risks),
      target: z.string(),
      digest: z.string(),
      expiresAt: instant,
      whyNot: z.string().nullable(),
    }),
  ),
  leftOut,
});

const resultSchema = z.object({
  id: z.string(),
  title: z.string(),
  accepted: z.boolean(),
  /** Absent where it was refused. */
  state: z.enum(approvalStates).optional(),
  delivered: z.boolean().optional(),
  code: z.enum(problemCodes).optional(),
  message: z.string().optional(),
});
type Result = z.infer<typeof resultSchema>;

const doneSchema = z.object({
  preview: z.literal(false),
  decision: z.enum(decisions),
  count: z.number(),
  accepted: z.number(),
  refused: z.number(),
  pending: z.number(),
  results: z.array(resultSchema),
});

const route = createRoute({
  method: 'post',
  path: '/v1/approvals/bulk-decision',
  tags: ['approvals'],
  summary: 'Shows what a decision on many approvals would be about, and decides exactly what was shown',
  ...guard('approvals:decide'),
  request: { body: body(bulkInput) },
  responses: {
    200: answer(
      'The preview with its selection, or the result of each decision.',
      z.discriminatedUnion('preview', [previewSchema, doneSchema]),
    ),
  },
});

const atOnce = 8;

/** Some at a time, each to its end whatever becomes of the others. */
async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const turn = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, turn));
  return results;
}

function previewOf(selection: Selection, token: string, decision: DecisionWish['decision']) {
  return {
    preview: true as const,
    decision,
    count: selection.rows.length,
    more: selection.more,
    selection: token,
    items: selection.rows.map(({ row, whyNot }) => ({
      ...{ id: row.id, kind: row.kind, title: row.title, risk: row.risk, target: row.target },
      ...{ digest: row.digest, expiresAt: row.expiresAt.toISOString(), whyNot },
    })),
    leftOut: selection.leftOut.slice(0, mostAtOnce),
  };
}

export function addBulkDecisionRoute(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function decideRow(
    asker: Asker,
    row: ApprovalRow,
    wish: Omit<DecisionWish, 'digest'>,
  ): Promise<Result> {
    const { id, title } = row;
    try {
      const { approval, delivered } = await decideOne(deps, asker, id, { ...wish, digest: row.digest });
      return { id, title, accepted: true, state: approval.state, delivered };
    } catch (error) {
      const { code, detail, status } = toProblem(error, asker.requestId);
      if (status >= 500)
        deps.log.error(
          { requestId: asker.requestId, approvalId: id, code, err: describeError(error) },
          'one of many decisions failed',
        );
      return { id, title, accepted: false, code, message: detail };
    }
  }

  /** Throws unless exactly this was shown. */
  async function requireSame(
    asker: Asker,
    decision: string,
    given: string,
    selection: Selection,
  ): Promise<void> {
    const seen = parseSelection(given);
    if (seen === null)
      throwRefusal(refuse('INVALID', 'selection: this is not what a preview answered; ask for one first.'));
    const now = selection.rows.map(({ row }) => ({ id: row.id, digest: row.digest }));
    const hash = digest(selectionText(now));
    if (hash === seen.hash) return;
    const moved = whatMoved(seen.seen, now);
    const { appeared, gone, changed } = moved;
    const refusal = refuse(
      'STALE',
      `This is no longer what you looked at: ${appeared.length} appeared, ${gone.length} left, ${changed.length} changed. Nothing was decided; ask for a preview again.`,
      moved,
    );
    const audit = {
      ...{ actor: asker.principal.id, action: `approval.bulk-${decision}`, subjectKind: 'selection' },
      ...{ subjectId: seen.hash, detail: { requestId: asker.requestId } },
    };
    await auditRefusal(db, `refused-api:${asker.requestId}:${newId('ref')}`, audit, refusal);
    throwRefusal(refusal);
  }

  app.openapi(route, async (c) => {
    const said = c.req.valid('json');
    const { decision, guidance, except } = said;
    const asker = askerOf(c);
    const filter = said.filter === undefined ? null : toInboxFilter(said.filter);
    const selection = await selectFor(deps, asker, { decision, filter, ids: said.ids ?? null, except });
    if (said.selection === undefined) {
      const now = selection.rows.map(({ row }) => ({ id: row.id, digest: row.digest }));
      const token = encodeSelection(now, digest(selectionText(now)));
      return c.json(previewOf(selection, token, decision), 200);
    }
    await requireSame(asker, decision, said.selection, selection);
    const wish = {
      decision,
      reason: said.reason ?? null,
      ...(guidance === undefined ? {} : { guidance }),
    };
    const results = await inTurns(selection.rows, ({ row }) => decideRow(asker, row, wish));
    const accepted = results.filter((result) => result.accepted);
    return c.json(
      {
        preview: false as const,
        decision,
        count: results.length,
        accepted: accepted.length,
        refused: results.length - accepted.length,
        pending: accepted.filter(({ delivered }) => delivered === false).length,
        results,
      },
      200,
    );
  });
}
