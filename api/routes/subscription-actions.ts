import { createRoute, z } from '@hono/zod-openapi';
import { placeAt, placeBefore } from '../../db/backlog.ts';
import { listLanes } from '../../db/subscriptions.ts';
import { refuse } from '../../domain/refusal.ts';
import {
  type RewindTo,
  type SubscriptionAction,
  subscriptionActions,
  subscriptionState,
} from '../../domain/subscription-request.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { askerOf } from '../decide.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, deliveringSchema, optionalBody, reason } from '../schemas.ts';
import { askSubscription } from '../subscription-requests.ts';
import { subscriptionSchema } from '../subscription-views.ts';
import { placeText } from './subscription-input.ts';
import { keyParams, placeOf, requireSubscription, subscriptionNow } from './subscriptions.ts';

const summaries: Record<SubscriptionAction, string> = {
  pause: 'Hands over no more events until a resume; they wait in the log',
  resume: 'Goes on where a pause stopped',
  rewind: 'Hands over again what lies behind a place of the log; handlers know an event they have seen',
};

const handedOverAgain =
  'Events behind this place are handed over again, also those that were handled before. Handlers are idempotent by subscription and event id: a webhook gets them under the same webhook-id.';

const done = z.object({
  status: z.literal('done'),
  requestId: z.string(),
  subscription: subscriptionSchema,
  note: z.string().nullable(),
});
const onItsWay = deliveringSchema.extend({ note: z.string().nullable() });

const rewindTo = placeText.openapi({
  description:
    '`start`, a cursor of the log, a time (RFC 3339), or the id of the first event to hand over again.',
});

function actionRoute(action: Exclude<SubscriptionAction, 'rewind'>) {
  return createRoute({
    method: 'post',
    path: `/v1/subscriptions/{key}/${action}`,
    tags: ['subscriptions'],
    summary: summaries[action],
    ...guard('bus:operate'),
    request: { params: keyParams, body: optionalBody(z.strictObject({ reason: reason.optional() })) },
    responses: {
      200: answer('The subscription as it is now.', done),
      202: answer('The request is stored and on its way to the subscription.', onItsWay),
    },
  });
}

const rewindRoute = createRoute({
  method: 'post',
  path: '/v1/subscriptions/{key}/rewind',
  tags: ['subscriptions'],
  summary: summaries.rewind,
  ...guard('bus:operate'),
  request: { params: keyParams, body: body(z.strictObject({ to: rewindTo, reason: reason.optional() })) },
  responses: {
    200: answer('The subscription as it is now.', done),
    202: answer('The request is stored and on its way to the subscription.', onItsWay),
  },
});

const isInstant = z.iso.datetime({ offset: true });
const isEventId = z.string().regex(/^[A-Za-z0-9_.:-]{1,100}$/);

export function addSubscriptionActionRoutes(app: Api, deps: ApiDeps): void {
  const { db, log } = deps.database;

  /** A cursor is JSON in base64, which begins with `eyJ`; an event's id may be nearly anything else. */
  async function placeNamed(to: string): Promise<RewindTo> {
    if (to === 'start' || to.startsWith('eyJ')) return placeOf(deps, to);
    if (isInstant.safeParse(to).success) return placeAt(log, new Date(to));
    if (!isEventId.safeParse(to).success)
      throwRefusal(refuse('INVALID', 'to: is none of `start`, a cursor, a time, or the id of an event.'));
    return (
      (await placeBefore(log, to)) ??
      throwRefusal(refuse('NOT_FOUND', `There is no event ${to} in the log (any more).`))
    );
  }

  async function requirePossible(
    key: string,
    action: SubscriptionAction,
    to: RewindTo | null,
  ): Promise<void> {
    const state = subscriptionState(await requireSubscription(deps, key));
    const impossible: Record<SubscriptionAction, boolean> = {
      pause: state === 'paused',
      resume: state === 'active',
      rewind: false,
    };
    if (state === 'removed' || impossible[action])
      throwRefusal(refuse('CONFLICT', `Subscription ${key} is ${state}; there is nothing to ${action}.`));
    if (to === null) return;
    const isBehind = ({ cursorTx, cursorSeq }: { cursorTx: string; cursorSeq: string }): boolean =>
      BigInt(cursorTx) > BigInt(to.tx) || (cursorTx === to.tx && BigInt(cursorSeq) > BigInt(to.seq));
    if (!(await listLanes(db, key)).some(isBehind))
      throwRefusal(
        refuse('CONFLICT', `Subscription ${key} has not come further than that; a rewind only goes back.`),
      );
  }

  async function act(
    c: ApiContext,
    key: string,
    action: SubscriptionAction,
    wish: { reason?: string | undefined; to: RewindTo | null },
  ) {
    await requirePossible(key, action, wish.to);
    const asked = await askSubscription(deps, askerOf(c), {
      key,
      action,
      reason: wish.reason ?? null,
      rewindTo: wish.to,
    });
    const subscription = await subscriptionNow(deps, key);
    return { ...asked, subscription, note: action === 'rewind' ? handedOverAgain : null };
  }

  type Acted = Awaited<ReturnType<typeof act>>;
  const whole = ({ requestId, subscription, note }: Acted) => ({
    status: 'done' as const,
    requestId,
    subscription,
    note,
  });
  const later = ({ requestId, subscription, note }: Acted) => ({
    status: 'accepted-for-delivery' as const,
    requestId,
    temporal: subscription.temporal,
    note,
  });

  for (const action of subscriptionActions) {
    if (action === 'rewind') continue;
    app.openapi(actionRoute(action), async (c) => {
      const { reason: why } = c.req.valid('json');
      const acted = await act(c, c.req.valid('param').key, action, { reason: why, to: null });
      return acted.delivered ? c.json(whole(acted), 200) : c.json(later(acted), 202);
    });
  }

  app.openapi(rewindRoute, async (c) => {
    const { key } = c.req.valid('param');
    const { to, reason: why } = c.req.valid('json');
    await requireSubscription(deps, key);
    const acted = await act(c, key, 'rewind', { reason: why, to: await placeNamed(to) });
    return acted.delivered ? c.json(whole(acted), 200) : c.json(later(acted), 202);
  });
}
