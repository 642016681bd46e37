import { createRoute, z } from '@hono/zod-openapi';
import { enabledPolicies, getPolicy } from '../../db/policies.ts';
import { recordedApprovals } from '../../db/policy-backtest.ts';
import type { Policy } from '../../domain/policy.ts';
import {
  backTest,
  type BackTested,
  backTestEffects,
  backTestLimits,
  backTestTotals,
  type PolicySets,
  voteFaults,
  withPolicy,
} from '../../domain/policy-backtest.ts';
import { refuse } from '../../domain/refusal.ts';
import { dispatchModes } from '../../domain/task.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { requireApprovers } from '../policy-approvers.ts';
import { requireReach } from '../object-scope.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, idParams } from '../schemas.ts';
import { policyInput, ruleInput } from './policy-input.ts';

const mostApprovals = 200_000;
const mostItems = 200;

const draftInput = z
  .strictObject({
    policyId: idParams.shape.id.optional(),
    name: policyInput.shape.name.optional(),
    place: policyInput.shape.place,
    match: policyInput.shape.match,
    rule: ruleInput.optional(),
    days: z.number().int().min(1, 'must be 1 to 90 days').max(90, 'must be 1 to 90 days').default(30),
  })
  .refine(({ policyId, rule }) => (policyId === undefined) !== (rule === undefined), {
    message: 'must be either a whole draft (name, place, match, rule) or the policyId of a stored policy',
  });
type Draft = z.infer<typeof draftInput>;

const modes = z.enum(dispatchModes);
const ms = z.number().nullable();
const effects = Object.fromEntries(backTestEffects.map((effect) => [effect, z.number()]));

const backTestSchema = z
  .object({
    policy: z.object({ id: z.string(), name: z.string() }),
    days: z.number(),
    complete: z.boolean(),
    totals: z.object({
      approvals: z.number(),
      effects: z.object(effects as Record<(typeof backTestEffects)[number], z.ZodNumber>),
      morePeople: z.number(),
      fewerPeople: z.number(),
      votesNotCounted: z.number(),
      becomeAutomatic: z.number(),
      becomeManual: z.number(),
      medianWaitMs: ms,
      medianWouldWaitMs: ms,
    }),
    items: z.array(
      z.object({
        id: z.string(),
        title: z.string(),
        effect: z.enum(backTestEffects),
        policy: z.object({ from: z.string(), to: z.string() }),
        people: z.object({ from: z.number(), to: z.number() }).nullable(),
        votesNotCounted: z.array(z.object({ name: z.string(), because: z.enum(voteFaults) })),
        dispatch: z.object({ from: modes, to: modes }).nullable(),
        waitedMs: ms,
        wouldWaitMs: ms,
      }),
    ),
    itemsLeftOut: z.number(),
    notes: z.array(z.string()),
  })
  .openapi('BackTest');

const route = createRoute({
  method: 'post',
  path: '/v1/policies/back-test',
  tags: ['policies'],
  summary:
    'Runs a policy over the approvals of the last days and says what would have differed; writes nothing',
  ...guard('policies:read'),
  request: { body: body(draftInput) },
  responses: { 200: answer('What would differ, the worst first, and the totals.', backTestSchema) },
});

/** Behind every stored policy of the same place, as a new version would be. */
const draftVersion = Number.MAX_SAFE_INTEGER;

export function addPolicyBackTestRoute(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  /** The set in force, and the same with the policy in question. */
  async function setsFor(given: Draft): Promise<PolicySets & { policy: Policy }> {
    const inForce = await enabledPolicies(db);
    if (given.policyId !== undefined) {
      const policy = await getPolicy(db, given.policyId);
      if (policy === null) throwRefusal(refuse('NOT_FOUND', `There is no policy ${given.policyId}.`));
      const present = inForce.filter(({ id }) => id !== policy.id);
      return { policy, present, changed: withPolicy(present, policy) };
    }
    const { name = 'draft', place, match, rule } = given;
    if (rule === undefined) throw new Error('the shape asks for a rule where no policyId is given');
    await requireApprovers(db, { match, rule });
    // A draft of the name of a policy in force stands for its next version.
    const id = inForce.find((policy) => policy.name === name)?.id ?? 'draft';
    const policy = { id, name, place, match, rule, version: draftVersion };
    return { policy, present: inForce, changed: withPolicy(inForce, policy) };
  }

  app.openapi(route, async (c) => {
    const given = c.req.valid('json');
    requireReach(c.get('principal'), 'approvals:read');
    const { policy, ...sets } = await setsFor(given);
    const tested: BackTested[] = [];
    const window = { days: given.days, max: mostApprovals + 1 };
    for await (const batch of recordedApprovals(db, window))
      for (const approval of batch) tested.push(backTest(sets, approval));
    const complete = tested.length <= mostApprovals;
    const kept = tested.slice(0, mostApprovals);
    const differing = kept
      .filter(({ effect }) => effect !== 'unchanged')
      .sort((a, b) => backTestEffects.indexOf(b.effect) - backTestEffects.indexOf(a.effect));
    const items = differing.slice(0, mostItems);
    return c.json(
      {
        policy: { id: policy.id, name: policy.name },
        days: given.days,
        complete,
        totals: backTestTotals(kept),
        items,
        itemsLeftOut: differing.length - items.length,
        notes: [
          ...backTestLimits,
          ...(complete ? [] : [`Only the newest ${mostApprovals} approvals were run.`]),
        ],
      },
      200,
    );
  });
}
