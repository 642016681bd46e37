import { setTimeout as sleep } from 'node:timers/promises';
import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { getDelivery, sendTest } from '../../db/subscription-test.ts';
import { deliveryStates } from '../../domain/delivery.ts';
import { subscriptionWorkflowId } from '../../domain/names.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { throwRefusal } from '../problems.ts';
import { answer, instant, optionalBody, temporalLink, temporalLinkSchema } from '../schemas.ts';
import { keyParams, requireOwn } from './subscriptions.ts';

/** One try of a webhook that takes its time, and some more. */
const waitMs = 15_000;
const lookEveryMs = 100;

const test = createRoute({
  method: 'post',
  path: '/v1/subscriptions/{key}/test',
  tags: ['subscriptions'],
  summary:
    'Sends one test event to the webhook, the way every event goes, and waits some seconds for its receipt',
  ...guard('bus:write'),
  request: { params: keyParams, body: optionalBody(z.strictObject({})) },
  responses: {
    200: answer(
      'How the delivery stands: completed, failed for good, or pending: then it is tried again, as every event.',
      z.object({
        eventId: z.string(),
        deliveryId: z.string(),
        state: z.enum(deliveryStates),
        attempts: z.number(),
        error: z.string().nullable(),
        endedAt: instant.nullable(),
        temporal: temporalLinkSchema,
      }),
    ),
  },
});

export function addSubscriptionTestRoute(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(test, async (c) => {
    const { key } = c.req.valid('param');
    const { handler, pausedAt } = await requireOwn(deps, key);
    if (handler !== 'webhook')
      throwRefusal(
        refuse('CONFLICT', `Subscription ${key} sends ${handler}s; only webhooks can be tried out.`),
      );
    const paused = refuse('CONFLICT', `Subscription ${key} is paused; resume it, then try it out.`);
    if (pausedAt !== null) throwRefusal(paused);
    const opKey = `subscription.test:${key}:${newId('op')}`;
    const outcome = await sendTest(db, { key, actor: c.get('principal').id, opKey });
    if (outcome.status === 'unchanged') throwRefusal(paused);
    const { deliveryId, eventId } = outcome.result;
    const until = deps.now() + waitMs;
    for (;;) {
      const row = await getDelivery(db, deliveryId);
      const isTold = row !== null && (row.endedAt !== null || row.attempts > 0);
      if (isTold || deps.now() >= until)
        return c.json(
          {
            ...{ eventId, deliveryId, state: row?.state ?? 'pending', attempts: row?.attempts ?? 0 },
            error: row?.lastError ?? null,
            endedAt: row?.endedAt?.toISOString() ?? null,
            temporal: temporalLink(deps, subscriptionWorkflowId(key), null),
          },
          200,
        );
      await sleep(lookEveryMs);
    }
  });
}
