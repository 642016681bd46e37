import { createRoute, z } from '@hono/zod-openapi';
import { principalNames } from '../../db/access.ts';
import { recordHandover } from '../../db/approval-handover.ts';
import { type ApprovalRow, databaseNow, getApproval } from '../../db/approvals.ts';
import { newId } from '../../db/ids.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { maxTimeoutMs } from '../../domain/task.ts';
import { approvalSchema, approvalView } from '../approval-view.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { requireSmallPayload } from '../event-input.ts';
import { askerOf, editOne } from '../decide.ts';
import { auditRefused, requireApprovalFor } from '../decision-rule.ts';
import { throwRefusal } from '../problems.ts';
import {
  answer,
  body,
  deliveringSchema,
  digestSeen,
  idParams,
  jsonObject,
  line,
  reason,
  temporalLink,
} from '../schemas.ts';

const editRoute = createRoute({
  method: 'post',
  path: '/v1/approvals/{id}/edit',
  tags: ['approvals'],
  summary:
    'Changes the content of a task that waits; its approval is void and one of the new content is open',
  ...guard('approvals:decide'),
  request: {
    params: idParams,
    body: body(
      z.strictObject({
        digest: digestSeen,
        payload: jsonObject.optional(),
        title: line(200).optional(),
        timeoutMs: z.number().int().min(1000).max(maxTimeoutMs).optional(),
        reason: reason.optional(),
      }),
    ),
  },
  responses: {
    200: answer(
      'The content is changed; this is its approval.',
      z.object({ approval: approvalSchema, replaces: z.string() }),
    ),
    202: answer('The edit is stored and on its way to the run.', deliveringSchema),
  },
});

const handOverRoute = createRoute({
  method: 'post',
  path: '/v1/approvals/{id}/hand-over',
  tags: ['approvals'],
  summary: "Gives the caller's vote on this approval to another person",
  ...guard('approvals:decide'),
  request: {
    params: idParams,
    body: body(z.strictObject({ to: line(200), reason: reason.optional() })),
  },
  responses: { 200: answer('The approval with its hand-over.', z.object({ approval: approvalSchema })) },
});

/** What a person does to an open approval beside deciding it. */
export function addApprovalChangeRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function view(row: ApprovalRow): Promise<z.infer<typeof approvalSchema>> {
    const [nowMs, names] = await Promise.all([databaseNow(db), principalNames(db, [row.requestedBy])]);
    return approvalView(deps, row, { nowMs, names });
  }

  app.openapi(editRoute, async (c) => {
    const { id } = c.req.valid('param');
    const { digest, reason: why = null, ...content } = c.req.valid('json');
    requireSmallPayload(content);
    const { delivered, requestId, approval } = await editOne(deps, askerOf(c), id, {
      ...{ digest, content, reason: why },
    });
    if (!delivered)
      return c.json(
        {
          status: 'accepted-for-delivery' as const,
          requestId,
          temporal: temporalLink(deps, approval.workflowId, null),
        },
        202,
      );
    return c.json({ approval: await view(approval), replaces: id }, 200);
  });

  app.openapi(handOverRoute, async (c) => {
    const { id } = c.req.valid('param');
    const { to, reason: why = null } = c.req.valid('json');
    const asker = askerOf(c);
    const found = await getApproval(db, id);
    const before = requireApprovalFor(asker.principal, found, id, 'approvals:decide');
    const given = await recordHandover(db, {
      approvalId: id,
      principalId: asker.principal.id,
      keyId: asker.keyId ?? null,
      ...{ to, reason: why },
      opKey: `handover:${newId('op')}`,
    });
    if (isRefusal(given)) {
      await auditRefused(deps, before, asker, 'hand-over', given);
      throwRefusal(given);
    }
    return c.json({ approval: await view((await getApproval(db, id)) ?? before) }, 200);
  });
}
