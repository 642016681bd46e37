import { createRoute } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { subscriptionSecret } from '../../db/signing-secret.ts';
import { rotateSubscriptionSecret } from '../../db/subscription-change.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { throwRefusal } from '../problems.ts';
import { overlapMsOf, rotation } from '../rotation.ts';
import { answer, optionalBody } from '../schemas.ts';
import { keyParams, requireOwn, subscriptionNow, withSecret } from './subscriptions.ts';

const rotate = createRoute({
  method: 'post',
  path: '/v1/subscriptions/{key}/secret',
  tags: ['subscriptions'],
  summary: 'Makes a new signing secret; until the overlap is over requests carry a signature of each',
  ...guard('bus:write', { secretAnswer: true }),
  request: { params: keyParams, body: optionalBody(rotation) },
  responses: { 200: answer('The subscription, and its new secret, which is shown once.', withSecret) },
});

export function addSubscriptionSecretRoute(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  app.openapi(rotate, async (c) => {
    const { key } = c.req.valid('param');
    const { handler, secretVersion } = await requireOwn(deps, key);
    if (handler !== 'webhook')
      throwRefusal(refuse('CONFLICT', `Subscription ${key} sends ${handler}s, which carry no signature.`));
    const outcome = await rotateSubscriptionSecret(db, {
      key,
      fromVersion: secretVersion,
      overlapMs: overlapMsOf(c.req.valid('json')),
      actor: c.get('principal').id,
      opKey: `subscription.rotate-secret:${key}:${secretVersion + 1}:${newId('op')}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', 'Somebody else rotated this secret just now.'));
    const signingSecret = subscriptionSecret(deps.agentRoot, key, secretVersion + 1);
    return c.json({ subscription: await subscriptionNow(deps, key), signingSecret }, 200);
  });
}
