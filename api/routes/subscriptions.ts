import { createRoute, z } from '@hono/zod-openapi';
import { isReached } from '../../db/backlog.ts';
import type { Position } from '../../db/events.ts';
import { newId } from '../../db/ids.ts';
import { subscriptionSecret } from '../../db/signing-secret.ts';
import {
  countOwned,
  createSubscription,
  editSubscription,
  pageSubscriptions,
  removeSubscription,
  type SubscriptionParts,
} from '../../db/subscription-change.ts';
import { getSubscription, type SubscriptionRow } from '../../db/subscriptions.ts';
import type { Principal } from '../../domain/access.ts';
import type { JsonObject } from '../../domain/json.ts';
import { refuse } from '../../domain/refusal.ts';
import { isReservedKey, sealContext } from '../../domain/subscription-request.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, logPlace, pageOf, pageQuery } from '../paging.ts';
import { describeError, throwRefusal } from '../problems.ts';
import { answer, body } from '../schemas.ts';
import { requireMayReachPrivate } from '../web-address.ts';
import { subscriptionSchema, subscriptionViews, type SubscriptionView } from '../subscription-views.ts';
import {
  checkHandler,
  checkRouting,
  consumersOf,
  type HandlerInput,
  keyPlace,
  keyText,
  matchOf,
  retryOf,
  subscriptionEdit,
  subscriptionInput,
} from './subscription-input.ts';

export const withSecret = z.object({
  subscription: subscriptionSchema,
  signingSecret: z.string().nullable(),
});
export const keyParams = z.object({ key: keyText });

const create = createRoute({
  method: 'post',
  path: '/v1/subscriptions',
  tags: ['subscriptions'],
  summary: 'Hands matching events on to a signed webhook, or as signals to a workflow',
  ...guard('bus:write', { secretAnswer: true }),
  request: { body: body(subscriptionInput) },
  responses: {
    201: answer(
      'The subscription. The secret that the receiver of a webhook checks our signatures with is shown once.',
      withSecret,
    ),
  },
});

const list = createRoute({
  method: 'get',
  path: '/v1/subscriptions',
  tags: ['subscriptions'],
  summary: 'Subscriptions, built-in and removed ones too, and where they stand',
  ...guard('bus:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of subscriptions.', pageOf(subscriptionSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/subscriptions/{key}',
  tags: ['subscriptions'],
  summary: 'One subscription, and where it stands',
  ...guard('bus:read'),
  request: { params: keyParams },
  responses: { 200: answer('The subscription.', subscriptionSchema) },
});

const edit = createRoute({
  method: 'patch',
  path: '/v1/subscriptions/{key}',
  tags: ['subscriptions'],
  summary:
    'Changes the version of a subscription that the caller saw; handler, match and retry are given whole',
  ...guard('bus:write'),
  request: { params: keyParams, body: body(subscriptionEdit) },
  responses: { 200: answer('The subscription as it is now.', subscriptionSchema) },
});

const remove = createRoute({
  method: 'delete',
  path: '/v1/subscriptions/{key}',
  tags: ['subscriptions'],
  summary: 'Switches a subscription off for good; its key and its history stay',
  ...guard('bus:write'),
  request: { params: keyParams },
  responses: { 200: answer('The subscription as it is now.', subscriptionSchema) },
});

/** Each subscription is a run, a consumer and a share of every event. */
const maxSubscriptions = 200;

export async function requireSubscription(deps: ApiDeps, key: string): Promise<SubscriptionRow> {
  return (
    (await getSubscription(deps.database.db, key)) ??
    throwRefusal(refuse('NOT_FOUND', `There is no subscription ${key}.`))
  );
}

export async function subscriptionNow(deps: ApiDeps, key: string): Promise<SubscriptionView> {
  const [view] = await subscriptionViews(deps, [await requireSubscription(deps, key)]);
  return view ?? throwRefusal(refuse('NOT_FOUND', `There is no subscription ${key}.`));
}

/** A subscription that somebody made for itself and that is not switched off. */
export async function requireOwn(deps: ApiDeps, key: string): Promise<SubscriptionRow> {
  const row = await requireSubscription(deps, key);
  if (row.owner === null)
    throwRefusal(
      refuse(
        'FORBIDDEN',
        `Subscription ${key} is a part of this system; it can be paused, resumed and rewound, nothing else.`,
      ),
    );
  if (isReservedKey(key))
    throwRefusal(
      refuse(
        'FORBIDDEN',
        `Subscription ${key} belongs to a cluster, which is changed under /v1/bridge/clusters; here it can be paused, resumed and rewound, nothing else.`,
      ),
    );
  if (!row.enabled)
    throwRefusal(refuse('CONFLICT', `Subscription ${key} was removed; create it again under the same key.`));
  return row;
}

/** A place of the log, as a cursor gives it; one that the log has not reached is refused. */
export async function placeOf(deps: ApiDeps, text: string): Promise<Position> {
  const place = text === 'start' ? { tx: '0', seq: '0' } : decodeCursor(text, logPlace);
  if (place === null || !(await isReached(deps.database.log, place)))
    throwRefusal(refuse('INVALID', 'This place lies behind the end of the log; `now` is its end.'));
  return place;
}

export function addSubscriptionRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  function checkNetwork(principal: Principal, given: HandlerInput): void {
    if (given.kind === 'webhook') requireMayReachPrivate(principal, given, 'subscription');
  }

  /** An address can be all it takes to post there, as with those of chat services: it is sealed. */
  function configOf(key: string, given: HandlerInput): { handler: string; config: JsonObject } {
    const { kind } = given;
    if (kind === 'signal')
      return { handler: kind, config: { workflowId: given.workflowId, signal: given.signal } };
    const { url, allowPrivateNetwork, timeoutMs } = given;
    const sealedUrl = deps.secretBox.seal(url, sealContext(key));
    return {
      handler: kind,
      config: { origin: new URL(url).origin, sealedUrl, allowPrivateNetwork, timeoutMs },
    };
  }

  async function start(key: string): Promise<void> {
    try {
      await deps.temporal.startSubscription(key);
    } catch (error) {
      deps.log.warn({ err: describeError(error), key }, 'a subscription was not started; the relay will');
    }
  }

  app.openapi(create, async (c) => {
    const { key, from, handler: given, ...input } = c.req.valid('json');
    checkNetwork(c.get('principal'), given);
    checkHandler(given);
    const { description, strategy, deadlineMs } = input;
    const parts: SubscriptionParts = {
      ...{ description, strategy, deadlineMs },
      match: matchOf(input.match),
      consumers: consumersOf(strategy, input.consumers),
      retry: retryOf(input.retry),
      ...configOf(key, given),
    };
    checkRouting(parts);
    const taken = refuse('CONFLICT', `There is already a subscription ${key}.`);
    if (isReservedKey(key)) throwRefusal(taken);
    if ((await countOwned(db)) >= maxSubscriptions)
      throwRefusal(refuse('LIMIT', `There are ${maxSubscriptions} subscriptions; remove one first.`));
    const outcome = await createSubscription(db, {
      ...parts,
      key,
      from: from === 'now' ? from : await placeOf(deps, from),
      actor: c.get('principal').id,
      opKey: `subscription.create:${key}:${newId('op')}`,
    });
    if (outcome.status === 'unchanged') throwRefusal(taken);
    await start(key);
    const { secretVersion } = outcome.result;
    const signingSecret =
      parts.handler === 'webhook' ? subscriptionSecret(deps.agentRoot, key, secretVersion) : null;
    return c.json({ subscription: await subscriptionNow(deps, key), signingSecret }, 201);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const rows = await pageSubscriptions(db, decodeCursor(cursor, keyPlace)?.key ?? '', limit + 1);
    const page = cutPage(rows, limit, ({ key }) => ({ key }));
    return c.json({ items: await subscriptionViews(deps, page.rows), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => c.json(await subscriptionNow(deps, c.req.valid('param').key), 200));

  app.openapi(edit, async (c) => {
    const { key } = c.req.valid('param');
    const {
      version,
      match,
      strategy,
      consumers,
      handler: given,
      retry,
      description,
      deadlineMs,
    } = c.req.valid('json');
    const row = await requireOwn(deps, key);
    if (given !== undefined) {
      checkNetwork(c.get('principal'), given);
      checkHandler(given);
    }
    const then = {
      match: match === undefined ? row.match : matchOf(match),
      strategy: strategy ?? row.strategy,
    };
    const kept = row.strategy === 'balanced' && then.strategy === 'balanced' ? row.consumers : undefined;
    const shared = consumersOf(then.strategy, consumers ?? kept);
    checkRouting(then);
    const outcome = await editSubscription(db, {
      key,
      seenVersion: version,
      edit: {
        ...(description === undefined ? {} : { description }),
        ...(match === undefined ? {} : { match: then.match }),
        ...(strategy === undefined ? {} : { strategy }),
        ...(shared === row.consumers ? {} : { consumers: shared }),
        ...(given === undefined ? {} : configOf(key, given)),
        ...(retry === undefined ? {} : { retry: retryOf(retry) }),
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
      },
      actor: c.get('principal').id,
      opKey: `subscription.change:${key}:${version}:${newId('op')}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse(
          'STALE',
          `Subscription ${key} is no longer at version ${version}; read it again, then change it.`,
        ),
      );
    return c.json(await subscriptionNow(deps, key), 200);
  });

  app.openapi(remove, async (c) => {
    const { key } = c.req.valid('param');
    await requireOwn(deps, key);
    await removeSubscription(db, {
      key,
      actor: c.get('principal').id,
      opKey: `subscription.remove:${key}:${newId('op')}`,
    });
    return c.json(await subscriptionNow(deps, key), 200);
  });
}
