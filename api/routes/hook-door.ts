import { createRoute, z } from '@hono/zod-openapi';
import { appendEvents } from '../../db/events.ts';
import { getHook, type HookRow } from '../../db/hooks.ts';
import { derivedId, newId } from '../../db/ids.ts';
import { createInstallation } from '../../db/installation.ts';
import { eventOfMessage, hookSealContext } from '../../domain/hook.ts';
import type { JsonObject } from '../../domain/json.ts';
import { isRefusal, refuse } from '../../domain/refusal.ts';
import { isTooLarge, payloadTooLarge } from '../event-input.ts';
import type { EventSchemas } from '../event-schemas.ts';
import { defaultMaxBytes } from '../body.ts';
import { readBytes } from '../body-bytes.ts';
import { type Chain, settingsFor } from '../chain.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { createHookCounts } from '../hook-counts.ts';
import { mintHookSecret, requireOpenType } from '../hook-input.ts';
import { type Verified, verifyMessage } from '../hook-signature.ts';
import { describeError, ProblemError, throwRefusal } from '../problems.ts';
import { overLimit, showLimit } from '../quota.ts';
import { decodeText, parseJson } from '../json-text.ts';
import { readRelayed } from '../relayed.ts';
import { answer } from '../schemas.ts';

const door = createRoute({
  method: 'post',
  path: '/v1/hooks/{id}/events',
  tags: ['hooks'],
  summary:
    'Takes a signed message as an event, once for each message id; the body is a JSON object, signed as the scheme of the hook says',
  security: [],
  'x-permission': 'signature',
  'x-max-bytes': defaultMaxBytes,
  request: { params: z.object({ id: z.string() }) },
  responses: {
    202: answer('Stored, or stored before.', z.object({ id: z.string(), duplicate: z.boolean() })),
  },
});

const idShape = /^hok_[0-9a-z]{16}$/;

/**
 * The one way in without a key. Whoever asks learns nothing of which hooks there are: an unknown one takes the same work
 * and gets the same answer as a wrong signature. It stands before the steps that want a principal.
 */
export function addHookDoor(
  app: Api,
  deps: ApiDeps,
  { chain, schemas }: { chain: Chain; schemas: EventSchemas },
): void {
  const { db, log } = deps.database;
  const counts = createHookCounts(deps);
  const installation = createInstallation(db);
  const decoyId = newId('hok');
  const decoy: Pick<HookRow, 'id' | 'scheme' | 'sealed' | 'previousSealed' | 'previousSecretUntil'> = {
    ...{ id: decoyId, scheme: 'standard-webhooks', previousSealed: null, previousSecretUntil: null },
    sealed: deps.secretBox.seal(mintHookSecret('standard-webhooks'), hookSealContext(decoyId)),
  };

  /** Always two, so that a hook with one secret takes as long as one with two. */
  function secretsOf({ id, sealed, previousSealed, previousSecretUntil }: typeof decoy): string[] {
    const isOverlap = (previousSecretUntil?.getTime() ?? 0) > deps.now();
    const before = isOverlap ? (previousSealed ?? sealed) : sealed;
    try {
      return [sealed, before].map((each) => deps.secretBox.open(each, hookSealContext(id)));
    } catch (error) {
      deps.log.error({ err: describeError(error), hookId: id }, 'the secret of a hook cannot be opened');
      return [];
    }
  }

  async function verify(
    c: ApiContext,
    id: string,
    bytes: Uint8Array,
  ): Promise<{ hook: HookRow; message: Verified }> {
    const hook = idShape.test(id) ? await getHook(db, id) : null;
    const { scheme, ...sealed } = hook ?? decoy;
    const message = verifyMessage(scheme, secretsOf({ ...sealed, scheme }), {
      header: (name) => c.req.header(name),
      body: bytes,
      nowMs: deps.now(),
    });
    if (hook !== null && message !== null) return { hook, message };
    if (hook !== null) counts.note(hook.id, 'refused');
    throw new ProblemError(
      'UNAUTHENTICATED',
      'There is no such hook, or the message is not signed with its secret within the last 5 minutes.',
    );
  }

  /** From here on the sender is known, so it may learn why it is refused. */
  async function admit(c: ApiContext, hook: HookRow): Promise<void> {
    c.set('hookId', hook.id);
    if (!hook.enabled)
      throwRefusal(refuse('FORBIDDEN', `The hook ${hook.name} is switched off; an admin switches it on.`));
    const counted = await chain.quota.add(`hook:${hook.id}`, 1, { mayFail: false });
    showLimit(c, hook.perMinute, counted);
    if (counted.count > hook.perMinute)
      throw overLimit(
        c,
        `The hook ${hook.name} takes ${hook.perMinute} messages a minute.`,
        counted.resetMs,
        {
          limitPerMinute: hook.perMinute,
        },
      );
  }

  async function requireOpen(c: ApiContext): Promise<void> {
    const { clusters } = await settingsFor(c, chain, deps);
    if (clusters.get('hooks')?.enabled === false)
      throw new ProblemError('UNAVAILABLE', 'Hooks are switched off right now; send it again later.');
  }

  async function inputOf(c: ApiContext, hook: HookRow, message: Verified, body: JsonObject) {
    const { messageId } = message;
    const pathHeader = c.req.header('x-dreamnet-path');
    const event =
      hook.form === 'event'
        ? readRelayed(hook, { messageId, body, pathHeader }, await installation.place())
        : eventOfMessage(hook, { ...message, body });
    if (isTooLarge(event)) throw payloadTooLarge();
    requireOpenType(event.type);
    // Derived, so that a repetition is known as one as long as the log knows the event, also after a restart.
    const judged = (await schemas.judge())({
      ...event,
      id: derivedId('evt', `hook:${hook.id}|${messageId}`),
    });
    return isRefusal(judged) ? throwRefusal(judged) : judged;
  }

  app.openapi(door, async (c) => {
    await requireOpen(c);
    const bytes = await readBytes(c, defaultMaxBytes);
    const { hook, message } = await verify(c, c.req.valid('param').id, bytes);
    await admit(c, hook);
    const [stored] = await appendEvents(log, [await inputOf(c, hook, message, objectIn(c, bytes))]);
    if (stored === undefined) throw new Error('the log answered for no event');
    counts.note(hook.id, 'received');
    return c.json(stored, 202);
  });
}

function objectIn(c: ApiContext, bytes: Uint8Array): JsonObject {
  const type = (c.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json')
    throw new ProblemError('UNSUPPORTED_MEDIA_TYPE', 'Send the message as application/json.');
  const value = parseJson(decodeText(bytes));
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  return throwRefusal(refuse('INVALID', 'The message has to be a JSON object.'));
}
