import { z } from '@hono/zod-openapi';
import { approvalKinds } from '../../domain/approval.ts';
import { anyone, type Approvers, type PolicyRule } from '../../domain/policy.ts';
import { refuse, type Refusal } from '../../domain/refusal.ts';
import { dispatchModes, risks } from '../../domain/task.ts';
import type { KnownApprovers } from '../../db/policies.ts';
import { line } from '../schemas.ts';

const minuteMs = 60_000;
const dayMs = 86_400_000;
const longestMs = 30 * dayMs;

const word = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/, 'must be a name: letters, digits, dot, dash, underscore');

const approvers = z.strictObject({
  roles: z.array(word).max(20).default([]),
  groups: z.array(word).max(20).default([]),
});

/** A length of time in milliseconds, from one minute on. */
const span = z
  .number()
  .int()
  .min(minuteMs, 'must be at least 60000 ms, one minute')
  .max(longestMs, `must be at most ${longestMs} ms, 30 days`);

const stage = z.strictObject({
  approvals: z
    .number()
    .int()
    .min(1, 'must be 1 to 10 people a stage')
    .max(10, 'must be 1 to 10 people a stage'),
  approvers: approvers.default(anyone),
});

const isNamed = ({ roles, groups }: Approvers): boolean => roles.length + groups.length > 0;

/** Times that come before the expiry, or they never come. */
function checkTimes(rule: PolicyRule, problem: (path: keyof PolicyRule, message: string) => void): void {
  const { expiresInMs, remindEveryMs, escalateAfterMs, escalateTo } = rule;
  if (remindEveryMs !== null && remindEveryMs >= expiresInMs)
    problem('remindEveryMs', `must be below expiresInMs (${expiresInMs}), or nobody is ever reminded`);
  if (escalateAfterMs !== null && escalateAfterMs >= expiresInMs)
    problem('escalateAfterMs', `must be below expiresInMs (${expiresInMs}), or it never escalates`);
  if (escalateAfterMs !== null && !isNamed(escalateTo))
    problem('escalateTo', 'must name a role or a group, as escalateAfterMs is set');
  if (escalateAfterMs === null && isNamed(escalateTo))
    problem('escalateTo', 'has no effect without escalateAfterMs; set it, or leave escalateTo out');
}

export const ruleInput = z
  .strictObject({
    stages: z
      .array(stage)
      .min(1, 'must have at least one stage: somebody has to say yes')
      .max(5, 'may have at most 5 stages'),
    expiresInMs: span.default(3 * dayMs),
    remindEveryMs: span.nullable().default(null),
    escalateAfterMs: span.nullable().default(null),
    escalateTo: approvers.default(anyone),
    handOverAllowed: z.boolean().default(true),
    editAllowed: z.boolean().default(true),
    reasonRequired: z.boolean().default(false),
    freshLoginMs: span.max(dayMs, 'must be at most 86400000 ms, one day').nullable().default(null),
    dispatchMode: z.enum([...dispatchModes, 'as-asked']).default('as-asked'),
  })
  .superRefine((rule, context) =>
    checkTimes(rule, (member, message) => context.addIssue({ code: 'custom', path: [member], message })),
  );

const scopes = z
  .array(line(200).regex(/^[^*]*\*?$/, 'may have a * at its end only'))
  .max(50)
  .default([]);

const matchInput = z.strictObject({
  kinds: z.array(z.enum(approvalKinds)).max(approvalKinds.length).default([]),
  risks: z.array(z.enum(risks)).max(risks.length).default([]),
  targets: scopes,
  types: scopes,
  groups: z.array(word).max(50).default([]),
});

const anything = { kinds: [], risks: [], targets: [], types: [], groups: [] };

export const policyInput = z.strictObject({
  name: line(120).refine(
    (name) => !/^built-in/i.test(name),
    'must not begin with built-in: those are the policies of this system',
  ),
  place: z.number().int().min(0).max(1_000_000).default(1000),
  match: matchInput.default(anything),
  rule: ruleInput,
});
export type PolicyInput = z.infer<typeof policyInput>;

/** Members that are left out stay as they are; `match` and `rule` are replaced as a whole. */
export const policyPatch = z
  .strictObject({
    version: z.number().int().min(1),
    name: policyInput.shape.name.optional(),
    place: z.number().int().min(0).max(1_000_000).optional(),
    match: matchInput.optional(),
    rule: ruleInput.optional(),
  })
  .refine(({ version: _read, ...rest }) => Object.values(rest).some((member) => member !== undefined), {
    message: 'must change at least one of name, place, match, rule',
  });

/** Every role and group that a policy names. */
export function namedApprovers({ match, rule }: Pick<PolicyInput, 'match' | 'rule'>): Approvers {
  const all = [...rule.stages.map((stage) => stage.approvers), rule.escalateTo];
  return {
    roles: [...new Set(all.flatMap(({ roles }) => roles))],
    groups: [...new Set([...all.flatMap(({ groups }) => groups), ...match.groups])],
  };
}

/** A stage that only people could pass who do not exist, or who may not decide, can never be met. */
export function checkApprovers(asked: Approvers, known: KnownApprovers): Refusal | null {
  const missing = [
    ...asked.roles.filter((role) => !known.roles.includes(role)).map((role) => `role ${role}`),
    ...asked.groups.filter((group) => !known.groups.includes(group)).map((group) => `group ${group}`),
  ];
  if (missing.length > 0)
    return refuse('INVALID', `There is no ${missing.join(', no ')}; create it first, or name another.`, {
      missing,
    });
  const powerless = asked.roles.filter((role) => !known.deciding.includes(role));
  if (powerless.length > 0)
    return refuse(
      'INVALID',
      `The role ${powerless.join(', ')} lacks approvals:decide, so nobody could pass this stage with it.`,
      { powerless },
    );
  return null;
}
