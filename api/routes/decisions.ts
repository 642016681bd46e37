import { createRoute, z } from '@hono/zod-openapi';
import { databaseNow, getApproval } from '../../db/approvals.ts';
import { storeDecisionRequest } from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import { approvalStates, decisions } from '../../domain/approval.ts';
import { refuse } from '../../domain/refusal.ts';
import { ticketLifetimeMs } from '../../domain/ticket.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { requireAllowed, settledRefusal } from '../decision-rule.ts';
import { throwRefusal } from '../problems.ts';
import { askRun } from '../requests.ts';
import { answer, body, deliveringSchema, idParams, instant, reason, temporalLink } from '../schemas.ts';
import { signalCommand, signTicket } from '../tickets.ts';
import { approvalSchema, approvalView } from '../views.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'is the digest of the approval as you saw it');

const outcomeSchema = z.object({
  accepted: z.literal(true),
  approvalId: z.string(),
  state: z.enum(approvalStates),
  votesLeft: z.number(),
  decidedAt: z.string(),
});

const decideRoute = createRoute({
  method: 'post',
  path: '/v1/approvals/{id}/decision',
  tags: ['approvals'],
  summary: 'Approves or rejects exactly the content that the caller saw',
  ...guard('approvals:decide'),
  request: {
    params: idParams,
    body: body(z.strictObject({ decision: z.enum(decisions), digest, reason: reason.optional() })),
  },
  responses: {
    200: answer(
      'The run has recorded the decision.',
      z.object({ approval: approvalSchema, outcome: outcomeSchema }),
    ),
    202: answer('The decision is stored and on its way to the run.', deliveringSchema),
  },
});

const ticketRoute = createRoute({
  method: 'post',
  path: '/v1/approvals/{id}/tickets',
  tags: ['approvals'],
  summary: 'Makes a one-use ticket that lets a Temporal signal carry this decision',
  ...guard('approvals:decide', { secretAnswer: true }),
  request: {
    params: idParams,
    body: body(
      z.strictObject({ decision: z.enum(decisions), digest: digest.optional(), reason: reason.optional() }),
    ),
  },
  responses: {
    201: answer(
      'The ticket; it is shown once.',
      z.object({
        ticket: z.string(),
        expiresAt: instant,
        workflowId: z.string(),
        signal: z.object({ name: z.literal('approval'), input: z.object({ ticket: z.string() }) }),
        command: z.string(),
      }),
    ),
  },
});

export function addDecisionRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(decideRoute, async (c) => {
    const { id } = c.req.valid('param');
    const said = c.req.valid('json');
    const principal = c.get('principal');
    const { approval, wish } = await requireAllowed(
      deps,
      id,
      { principal, requestId: c.get('requestId') },
      () => ({ ...said, reason: said.reason ?? null }),
    );
    const asked = await askRun(
      deps,
      {
        principal,
        workflowId: approval.workflowId,
        subjectId: approval.subjectId,
        action: wish.decision,
        approvalId: approval.id,
        digest: wish.digest,
        reason: wish.reason,
      },
      async () => {
        const now = await getApproval(db, id);
        return now === null ? null : settledRefusal(now);
      },
    );
    if (!asked.delivered)
      return c.json(
        {
          status: 'accepted-for-delivery' as const,
          requestId: asked.requestId,
          temporal: temporalLink(deps, approval.workflowId, null),
        },
        202,
      );
    const decided = (await getApproval(db, id)) ?? approval;
    const vote = decided.votes.findLast((each) => each.principalId === principal.id);
    const approvals = decided.votes.filter((each) => each.decision === 'approve').length;
    const nowMs = await databaseNow(db);
    return c.json(
      {
        approval: approvalView(deps, decided, { nowMs, names: new Map() }),
        outcome: {
          accepted: true as const,
          approvalId: decided.id,
          state: decided.state,
          votesLeft: decided.state === 'open' ? decided.requiredApprovals - approvals : 0,
          decidedAt: vote?.at ?? new Date(nowMs).toISOString(),
        },
      },
      200,
    );
  });

  app.openapi(ticketRoute, async (c) => {
    const { id } = c.req.valid('param');
    const said = c.req.valid('json');
    const principal = c.get('principal');
    const { approval, wish } = await requireAllowed(
      deps,
      id,
      { principal, requestId: c.get('requestId') },
      (row) => ({ decision: said.decision, digest: said.digest ?? row.digest, reason: said.reason ?? null }),
    );
    const jti = newId('tkt');
    const expiresAtMs = (await databaseNow(db)) + ticketLifetimeMs;
    const { workflowId } = approval;
    const stored = await storeDecisionRequest(db, {
      id: jti,
      action: wish.decision,
      source: 'ticket',
      subjectId: approval.subjectId,
      approvalId: approval.id,
      workflowId,
      principalId: principal.id,
      digest: wish.digest,
      reason: wish.reason,
      expiresAt: new Date(expiresAtMs),
    });
    if (stored.status !== 'changed')
      throwRefusal(refuse('CONFLICT', 'The ticket was not stored; try again.'));
    const claims = { jti, approvalId: id, workflowId, principalId: principal.id, ...wish };
    const ticket = signTicket(deps.ticketKey, { ...claims, expiresAtMs: Math.floor(expiresAtMs) });
    const { address, namespace } = deps;
    return c.json(
      {
        ticket,
        expiresAt: new Date(expiresAtMs).toISOString(),
        workflowId,
        signal: { name: 'approval' as const, input: { ticket } },
        command: signalCommand({ address, namespace, workflowId, ticket }),
      },
      201,
    );
  });
}
