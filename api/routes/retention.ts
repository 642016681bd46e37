import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { planRetention, type RetentionPlan } from '../../db/retention-plan.ts';
import { getRetention, putRetention, type RetentionRow } from '../../db/retention.ts';
import { refuse } from '../../domain/refusal.ts';
import { refuseRules } from '../../domain/retention.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { typeSearch } from '../event-view.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, instant, optionalBody } from '../schemas.ts';

const rule = z.strictObject({
  types: typeSearch.min(1),
  keepDays: z.number().int().min(1).max(3650),
});

const counts = z.object({
  partitions: z.array(z.object({ name: z.string(), events: z.number().int() })),
  events: z.number().int(),
  keys: z.number().int(),
});

const retentionView = z
  .object({
    rules: z.array(rule),
    version: z.number().int(),
    changedBy: z.string(),
    changedAt: instant,
    appliedAt: instant.nullable(),
    applied: counts.nullable().openapi({ description: 'What the last run that removed anything removed.' }),
  })
  .openapi('Retention');

const planView = z
  .object({
    types: z.array(
      z.object({
        type: z.string(),
        keepDays: z.number().int(),
        expired: z.number().int(),
        held: z.number().int(),
      }),
    ),
    partitions: z.array(
      z.object({
        name: z.string(),
        from: instant,
        to: instant,
        events: z.number().int(),
        held: z.boolean(),
      }),
    ),
    keys: z.number().int(),
    holders: z.array(
      z.object({
        kind: z.enum(['subscription', 'delivery', 'dead-letter']),
        subscription: z.string(),
        lane: z.string().nullable(),
        isPaused: z.boolean(),
        count: z.number().int(),
      }),
    ),
  })
  .openapi('RetentionPlan');

const read = createRoute({
  method: 'get',
  path: '/v1/retention',
  tags: ['bus'],
  summary: 'How long events are kept, by type',
  ...guard('bus:read'),
  responses: { 200: answer('The rules.', retentionView) },
});

const write = createRoute({
  method: 'put',
  path: '/v1/retention',
  tags: ['bus'],
  summary: 'Puts other rules in the place of all; acts with the next run, at most an hour later',
  ...guard('bus:write'),
  request: {
    body: body(
      z.strictObject({
        rules: z.array(rule).min(1),
        version: z.number().int().min(1).optional().openapi({
          description: 'The version these rules were made from; another one in force is a conflict.',
        }),
      }),
    ),
  },
  responses: { 200: answer('The rules as they are now.', retentionView) },
});

const plan = createRoute({
  method: 'post',
  path: '/v1/retention/plan',
  tags: ['bus'],
  summary:
    'Counts what the rules, or others that are given, would remove now, and names what holds events back; removes nothing',
  ...guard('bus:read'),
  request: { body: optionalBody(z.strictObject({ rules: z.array(rule).min(1).optional() })) },
  responses: { 200: answer('What would go, and what would stay and why.', planView) },
});

function viewRetention({
  one: _one,
  changedAt,
  appliedAt,
  ...rest
}: RetentionRow): z.infer<typeof retentionView> {
  return { ...rest, changedAt: changedAt.toISOString(), appliedAt: appliedAt?.toISOString() ?? null };
}

function viewPlan({ partitions, ...rest }: RetentionPlan): z.infer<typeof planView> {
  return {
    ...rest,
    partitions: partitions.map(({ from, to, ...part }) => ({
      ...part,
      from: from.toISOString(),
      to: to.toISOString(),
    })),
  };
}

export function addRetentionRoutes(app: Api, deps: ApiDeps): void {
  const { db, log } = deps.database;

  function requireRules(rules: z.infer<typeof rule>[]): void {
    const refusal = refuseRules(rules);
    if (refusal !== null) throwRefusal(refusal);
  }

  app.openapi(read, async (c) => c.json(viewRetention(await getRetention(db)), 200));

  app.openapi(write, async (c) => {
    const { rules, version } = c.req.valid('json');
    requireRules(rules);
    const from = version ?? (await getRetention(db)).version;
    const opKey = `retention.change:${newId('op')}`;
    const outcome = await putRetention(db, { rules, from, actor: c.get('principal').id, opKey });
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse(
          'CONFLICT',
          `Version ${from} of the rules is not in force; read them again, then change them.`,
        ),
      );
    return c.json(viewRetention(await getRetention(db)), 200);
  });

  app.openapi(plan, async (c) => {
    const { rules = (await getRetention(db)).rules } = c.req.valid('json');
    requireRules(rules);
    return c.json(viewPlan(await planRetention(log, rules)), 200);
  });
}
