import { z } from '@hono/zod-openapi';
import type { AuditRow } from '../db/audit.ts';
import type { PolicyRow } from '../db/policies.ts';
import { approvalKinds } from '../domain/approval.ts';
import { builtInPolicy, type PolicyMatch, type PolicyRule } from '../domain/policy.ts';
import { dispatchModes, risks } from '../domain/task.ts';
import { anyObject, instant } from './schemas.ts';

const names = z.array(z.string());
const approvers = z.object({ roles: names, groups: names });

export const policySchema = z
  .object({
    id: z.string(),
    name: z.string(),
    version: z.number(),
    place: z.number(),
    match: z.object({
      kinds: z.array(z.enum(approvalKinds)),
      risks: z.array(z.enum(risks)),
      targets: names,
      types: names,
      groups: names,
    }),
    rule: z.object({
      stages: z.array(z.object({ approvals: z.number(), approvers })),
      expiresInMs: z.number(),
      remindEveryMs: z.number().nullable(),
      escalateAfterMs: z.number().nullable(),
      escalateTo: approvers,
      handOverAllowed: z.boolean(),
      editAllowed: z.boolean(),
      reasonRequired: z.boolean(),
      freshLoginMs: z.number().nullable(),
      dispatchMode: z.enum([...dispatchModes, 'as-asked']),
    }),
    enabled: z.boolean(),
    builtIn: z.boolean(),
    editedBy: z.string().nullable(),
    enabledBy: z.string().nullable(),
    createdAt: instant.nullable(),
    updatedAt: instant.nullable(),
  })
  .openapi('Policy');
export type PolicyView = z.infer<typeof policySchema>;

export function policyView(row: PolicyRow): PolicyView {
  return {
    ...row,
    builtIn: false,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

/** The policies of this system itself, under the ids that approvals name. */
export function builtInViews(): PolicyView[] {
  return [builtInPolicy('low'), builtInPolicy('high')].map((policy) => ({
    ...policy,
    enabled: true,
    builtIn: true,
    editedBy: null,
    enabledBy: null,
    createdAt: null,
    updatedAt: null,
  }));
}

export const policyVersionSchema = z
  .object({
    chainNo: z.number(),
    at: instant,
    by: z.string(),
    action: z.enum(['create', 'change', 'enable', 'disable']),
    version: z.number(),
    name: z.string(),
    place: z.number(),
    match: anyObject,
    rule: anyObject,
    reason: z.string().nullable(),
  })
  .openapi('PolicyVersion');

type Detail = {
  version: number;
  name: string;
  place: number;
  match: PolicyMatch;
  rule: PolicyRule;
  reason?: string | null;
};
const actions = ['create', 'change', 'enable', 'disable'] as const;

export function versionView(row: AuditRow): z.infer<typeof policyVersionSchema> {
  // Written by db/policy-change.ts, which states all of these.
  const { detail } = JSON.parse(row.body) as { detail: Detail };
  const { version, name, place, match, rule, reason = null } = detail;
  const action = actions.find((known) => row.action === `policy.${known}`) ?? 'change';
  return {
    ...{ chainNo: row.chainNo, at: row.at.toISOString(), by: row.actor, action },
    ...{ version, name, place, match, rule, reason },
  };
}
