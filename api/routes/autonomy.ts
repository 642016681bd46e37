import { createRoute, z } from '@hono/zod-openapi';
import { type AutonomyRow, grantAutonomy, listAutonomy, withdrawAutonomy } from '../../db/autonomy.ts';
import { auditRefusal } from '../../db/change.ts';
import { newId } from '../../db/ids.ts';
import { autonomyStates, isInForce, pairOf } from '../../domain/autonomy.ts';
import { isRefusal } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, instant, line } from '../schemas.ts';

const autonomySchema = z
  .object({
    action: z.string(),
    targetClass: z.string(),
    helped: z.number().int(),
    failed: z.number().int(),
    streak: z.number().int().openapi({ description: 'Helped in a row since the last one that failed' }),
    state: z.enum(autonomyStates),
    inForce: z.boolean().openapi({ description: 'Granted, and its time is not over' }),
    version: z.number().int(),
    grantedBy: z.string().nullable(),
    reason: z.string().nullable(),
    grantedAt: instant.nullable(),
    expiresAt: instant.nullable(),
    withdrawnBecause: z.string().nullable(),
    updatedAt: instant,
  })
  .openapi('Autonomy');

const pairParams = z.object({
  action: z.string().regex(/^[a-z0-9.-]{1,120}$/),
  class: z.string().regex(/^[A-Za-z0-9_.-]{1,60}$/),
});
const maxExpirySeconds = 365 * 86_400;

const list = createRoute({
  method: 'get',
  path: '/v1/autonomy',
  tags: ['halo'],
  summary: 'How far each action on each class of targets has earned to go without a question each time',
  ...guard('autonomy:read'),
  responses: { 200: answer('All of them.', z.object({ items: z.array(autonomySchema) })) },
});

const grant = createRoute({
  method: 'post',
  path: '/v1/autonomy/{action}/{class}/grant',
  tags: ['halo'],
  summary: 'A person lets a suggested pair go; one repair that does not help ends it',
  ...guard('autonomy:grant'),
  request: {
    params: pairParams,
    body: body(
      z.strictObject({
        version: z.number().int().min(1).openapi({ description: 'As it was read' }),
        reason: line(500),
        expiresInSeconds: z.number().int().min(60).max(maxExpirySeconds).optional(),
      }),
    ),
  },
  responses: { 200: answer('The pair as it is now.', autonomySchema) },
});

const withdraw = createRoute({
  method: 'post',
  path: '/v1/autonomy/{action}/{class}/withdraw',
  tags: ['halo'],
  summary: 'Puts a pair back to manual; what was counted in a row begins anew',
  ...guard('halo:run'),
  request: { params: pairParams, body: body(z.strictObject({ reason: line(500) })) },
  responses: { 200: answer('The pair as it is now.', autonomySchema) },
});

function autonomyView(row: AutonomyRow, nowMs: number): z.infer<typeof autonomySchema> {
  return {
    ...row,
    inForce: isInForce({ state: row.state, expiresAtMs: row.expiresAt?.getTime() ?? null }, nowMs),
    grantedAt: row.grantedAt?.toISOString() ?? null,
    expiresAt: row.expiresAt?.toISOString() ?? null,
    updatedAt: row.updatedAt.toISOString(),
  };
}

export function addAutonomyRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;
  const pairIn = (given: { action: string; class: string }) => ({
    action: given.action,
    targetClass: given.class,
  });

  async function settled(
    c: ApiContext,
    action: 'autonomy.grant' | 'autonomy.withdraw',
    pair: string,
    outcome: Awaited<ReturnType<typeof grantAutonomy>>,
  ): Promise<AutonomyRow> {
    if (!isRefusal(outcome)) return outcome;
    if (outcome.refused === 'FORBIDDEN') {
      const audit = { actor: c.get('principal').id, action, subjectKind: 'autonomy', subjectId: pair };
      await auditRefusal(db, `${action}:${newId('op')}`, audit, outcome);
    }
    return throwRefusal(outcome);
  }

  app.openapi(list, async (c) => {
    const rows = await listAutonomy(db);
    return c.json({ items: rows.map((row) => autonomyView(row, deps.now())) }, 200);
  });

  app.openapi(grant, async (c) => {
    const pair = pairIn(c.req.valid('param'));
    const { version, reason, expiresInSeconds } = c.req.valid('json');
    const outcome = await grantAutonomy(db, {
      ...{ ...pair, version, reason, person: c.get('principal') },
      expiresInMs: expiresInSeconds === undefined ? null : expiresInSeconds * 1000,
      opKey: `autonomy.grant:${newId('op')}`,
    });
    const row = await settled(c, 'autonomy.grant', pairOf(pair.action, pair.targetClass), outcome);
    return c.json(autonomyView(row, deps.now()), 200);
  });

  app.openapi(withdraw, async (c) => {
    const pair = pairIn(c.req.valid('param'));
    const outcome = await withdrawAutonomy(db, {
      ...{ ...pair, reason: c.req.valid('json').reason, person: c.get('principal') },
      opKey: `autonomy.withdraw:${newId('op')}`,
    });
    const row = await settled(c, 'autonomy.withdraw', pairOf(pair.action, pair.targetClass), outcome);
    return c.json(autonomyView(row, deps.now()), 200);
  });
}
