import { createRoute, z } from '@hono/zod-openapi';
import { principalNames } from '../../db/access.ts';
import { approvalFacts, type ApprovalRow, databaseNow } from '../../db/approvals.ts';
import { storeDecisionRequest } from '../../db/decision-requests.ts';
import { newId } from '../../db/ids.ts';
import { approvalStates, decisions } from '../../domain/approval.ts';
import { brokenGlass, glassBreakers, stageOf } from '../../domain/approver.ts';
import { refuse } from '../../domain/refusal.ts';
import { ticketLifetimeMs } from '../../domain/ticket.ts';
import { approvalSchema, approvalView } from '../approval-view.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { askerOf, checkWish, decideOne, loginOf } from '../decide.ts';
import { requireAllowed } from '../decision-rule.ts';
import { throwRefusal } from '../problems.ts';
import {
  answer,
  body,
  deliveringSchema,
  digestSeen,
  idParams,
  instant,
  reason,
  temporalLink,
} from '../schemas.ts';
import { signalCommand, signTicket } from '../tickets.ts';

const outcomeSchema = z.object({
  accepted: z.literal(true),
  approvalId: z.string(),
  state: z.enum(approvalStates),
  votesLeft: z.number(),
  decidedAt: z.string(),
});

/** What a person may say with a decision, on whatever way it goes. */
const said = {
  decision: z.enum(decisions),
  reason: reason.optional(),
  guidance: reason.optional(),
  acknowledgedFindings: z.array(z.string().min(1).max(200)).max(200).optional(),
  breakGlass: z.boolean().optional(),
};

const decideRoute = createRoute({
  method: 'post',
  path: '/v1/approvals/{id}/decision',
  tags: ['approvals'],
  summary: 'Approves or rejects exactly the content that the caller saw',
  ...guard(['approvals:decide', 'approvals:break-glass']),
  request: { params: idParams, body: body(z.strictObject({ ...said, digest: digestSeen })) },
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
  ...guard(['approvals:decide', 'approvals:break-glass'], { secretAnswer: true }),
  request: { params: idParams, body: body(z.strictObject({ ...said, digest: digestSeen.optional() })) },
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

function votesLeft(row: ApprovalRow, isGlassBroken: boolean): number {
  if (row.state !== 'open') return 0;
  return isGlassBroken ? glassBreakers - brokenGlass(row.votes) : stageOf(approvalFacts(row)).votesLeft;
}

export function addDecisionRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(decideRoute, async (c) => {
    const { id } = c.req.valid('param');
    const wish = c.req.valid('json');
    const { approval, ...asked } = await decideOne(deps, askerOf(c), id, {
      ...wish,
      reason: wish.reason ?? null,
    });
    if (!asked.delivered)
      return c.json(
        {
          status: 'accepted-for-delivery' as const,
          requestId: asked.requestId,
          temporal: temporalLink(deps, approval.workflowId, null),
        },
        202,
      );
    const vote = approval.votes.findLast((each) => each.principalId === c.get('principal').id);
    const [nowMs, names] = await Promise.all([databaseNow(db), principalNames(db, [approval.requestedBy])]);
    return c.json(
      {
        approval: approvalView(deps, approval, { nowMs, names }),
        outcome: {
          accepted: true as const,
          approvalId: approval.id,
          state: approval.state,
          votesLeft: votesLeft(approval, wish.breakGlass === true),
          decidedAt: vote?.at ?? new Date(nowMs).toISOString(),
        },
      },
      200,
    );
  });

  app.openapi(ticketRoute, async (c) => {
    const { id } = c.req.valid('param');
    const given = c.req.valid('json');
    const asker = askerOf(c);
    checkWish(given);
    const { approval, wish } = await requireAllowed(deps, id, asker, (row) => ({
      decision: given.decision,
      digest: given.digest ?? row.digest,
      reason: given.reason ?? null,
      guidance: given.guidance ?? null,
      acknowledgedFindings: given.acknowledgedFindings ?? [],
      breakGlass: given.breakGlass ?? false,
    }));
    const jti = newId('tkt');
    const expiresAtMs = Math.floor((await databaseNow(db)) + ticketLifetimeMs);
    const { workflowId } = approval;
    const { decision, ...bound } = wish;
    const principalId = asker.principal.id;
    const stored = await storeDecisionRequest(db, {
      ...bound,
      id: jti,
      action: decision,
      source: 'ticket',
      subjectId: approval.subjectId,
      approvalId: approval.id,
      workflowId,
      principalId,
      keyId: asker.keyId ?? null,
      loginAt: loginOf(asker),
      expiresAt: new Date(expiresAtMs),
    });
    if (stored.status !== 'changed')
      throwRefusal(refuse('CONFLICT', 'The ticket was not stored; try again.'));
    const ticket = signTicket(deps.ticketKey, {
      ...{ jti, approvalId: id, workflowId, principalId, decision, expiresAtMs },
      ...bound,
    });
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
