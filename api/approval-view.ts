import { z } from '@hono/zod-openapi';
import { approvalFacts, type ApprovalRow } from '../db/approvals.ts';
import { approvalKinds, approvalStates, decisions } from '../domain/approval.ts';
import { brokenGlass, stageOf } from '../domain/approver.ts';
import { risks } from '../domain/task.ts';
import type { ApiDeps } from './context.ts';
import { anyObject, instant, temporalLink, temporalLinkSchema } from './schemas.ts';

const approversSchema = z.object({ roles: z.array(z.string()), groups: z.array(z.string()) });

/** What its policy asks of an approval, and how far it is. */
const ruleSchema = z.object({
  policyId: z.string(),
  policyVersion: z.number(),
  stage: z.object({
    /** Counted from 1; one more than `of` once every stage has its votes. */
    number: z.number(),
    of: z.number(),
    approvals: z.number(),
    given: z.number(),
    approvers: approversSchema,
  }),
  votesLeft: z.number(),
  escalateTo: approversSchema,
  reasonRequired: z.boolean(),
  freshLoginMs: z.number().nullable(),
  editAllowed: z.boolean(),
  handOverAllowed: z.boolean(),
  glassBroken: z.number(),
});

export const approvalSchema = z
  .object({
    id: z.string(),
    kind: z.enum(approvalKinds),
    taskId: z.string(),
    title: z.string(),
    summary: anyObject,
    risk: z.enum(risks),
    digest: z.string(),
    policyVersion: z.number(),
    state: z.enum(approvalStates),
    requestedBy: z.object({ id: z.string(), name: z.string().optional() }),
    requiredApprovals: z.number(),
    rule: ruleSchema,
    findings: z.array(z.object({ id: z.string(), level: z.enum(['block', 'warn']), text: z.string() })),
    votes: z.array(
      z.object({
        principalId: z.string(),
        name: z.string(),
        decision: z.enum(decisions),
        at: z.string(),
        reason: z.string().nullable(),
        stage: z.number().optional(),
        guidance: z.string().nullable().optional(),
        acknowledgedFindings: z.array(z.string()).optional(),
        breakGlass: z.boolean().optional(),
      }),
    ),
    handovers: z.array(
      z.object({
        from: z.string(),
        fromName: z.string(),
        to: z.string(),
        toName: z.string(),
        reason: z.string().nullable(),
        at: z.string(),
      }),
    ),
    /** Of a rejection: what should be different. */
    guidance: z.string().nullable(),
    reminders: z.number(),
    remindedAt: instant.nullable(),
    escalatedAt: instant.nullable(),
    ageSeconds: z.number(),
    createdAt: instant,
    expiresAt: instant,
    decidedAt: instant.nullable(),
    closedBecause: z.string().nullable(),
    temporal: temporalLinkSchema,
  })
  .openapi('Approval');

function ruleView(row: ApprovalRow): z.infer<typeof ruleSchema> {
  const facts = approvalFacts(row);
  const { escalateTo, reasonRequired, freshLoginMs, editAllowed, handOverAllowed } = facts.rule;
  const { index, of, approvals, given, approvers, votesLeft } = stageOf(facts);
  return {
    policyId: row.policyId,
    policyVersion: row.policyVersion,
    stage: { number: index + 1, of, approvals, given, approvers },
    votesLeft: row.state === 'open' ? votesLeft : 0,
    ...{ escalateTo, reasonRequired, freshLoginMs, editAllowed, handOverAllowed },
    glassBroken: brokenGlass(row.votes),
  };
}

export function approvalView(
  deps: ApiDeps,
  row: ApprovalRow,
  seen: { nowMs: number; names: Map<string, string> },
): z.infer<typeof approvalSchema> {
  const name = seen.names.get(row.requestedBy);
  return {
    id: row.id,
    kind: row.kind,
    taskId: row.subjectId,
    title: row.title,
    summary: row.summary,
    risk: row.risk,
    digest: row.digest,
    policyVersion: row.policyVersion,
    state: row.state,
    requestedBy: { id: row.requestedBy, ...(name === undefined ? {} : { name }) },
    requiredApprovals: row.requiredApprovals,
    rule: ruleView(row),
    findings: row.findings,
    votes: row.votes.map(({ person: _person, ...vote }) => vote),
    handovers: row.handovers.map(({ from, fromName, to, toName, reason, at }) => {
      return { from, fromName, to, toName, reason, at };
    }),
    guidance: row.votes.findLast((vote) => vote.decision === 'reject')?.guidance ?? null,
    reminders: row.reminders,
    remindedAt: row.remindedAt?.toISOString() ?? null,
    escalatedAt: row.escalatedAt?.toISOString() ?? null,
    ageSeconds: Math.max(0, Math.floor((seen.nowMs - row.createdAt.getTime()) / 1000)),
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
    decidedAt: row.decidedAt?.toISOString() ?? null,
    closedBecause: row.closedBecause,
    temporal: temporalLink(deps, row.workflowId, null),
  };
}
