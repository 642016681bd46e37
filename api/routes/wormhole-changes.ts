import { createRoute, z } from '@hono/zod-openapi';
import { newId } from '../../db/ids.ts';
import { wormholeSecret } from '../../db/signing-secret.ts';
import { getSubscription } from '../../db/subscriptions.ts';
import {
  changeWormhole,
  createWormhole,
  disableWormhole,
  enabledWormholes,
  enableWormhole,
  maxEnabled,
  removeWormhole,
} from '../../db/wormholes.ts';
import type { Principal } from '../../domain/access.ts';
import { refuse } from '../../domain/refusal.ts';
import { forwardSealContext, type Wormhole, type WormholeAction } from '../../domain/wormhole.ts';
import { checkWormhole } from '../../domain/wormhole-check.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { requireReach } from '../object-scope.ts';
import { errorCode, throwRefusal } from '../problems.ts';
import { answer, body, idParams, optionalBody, reason } from '../schemas.ts';
import { requireMayReachPrivate } from '../web-address.ts';
import { requireWormhole } from '../wormhole-subject.ts';
import { wormholeSchema, wormholeView } from '../wormhole-view.ts';
import { type ActionParts, neededFor, partsOf, wormholeEdit, wormholeInput } from './wormhole-input.ts';

const withSecret = z.object({ wormhole: wormholeSchema, signingSecret: z.string().nullable() });

const create = createRoute({
  method: 'post',
  path: '/v1/wormholes',
  tags: ['bus'],
  summary: 'Stores a wormhole, switched off: which events it takes, and what comes of each',
  ...guard('bus:write', { secretAnswer: true }),
  request: { body: body(wormholeInput) },
  responses: {
    201: answer(
      'The wormhole. The secret that the receiver of a forward checks with is shown once.',
      withSecret,
    ),
  },
});

const edit = createRoute({
  method: 'patch',
  path: '/v1/wormholes/{id}',
  tags: ['bus'],
  summary: 'Writes the next version of a wormhole, which is switched off until it is enabled',
  ...guard('bus:write', { secretAnswer: true }),
  request: { params: idParams, body: body(wormholeEdit) },
  responses: {
    200: answer(
      'The wormhole as it is now; a signing secret where it now forwards to an address.',
      withSecret,
    ),
  },
});

const remove = createRoute({
  method: 'delete',
  path: '/v1/wormholes/{id}',
  tags: ['bus'],
  summary: 'Removes a wormhole; its results stay until they are old',
  ...guard('bus:write'),
  request: { params: idParams },
  responses: { 200: answer('It is gone.', z.object({ id: z.string(), removed: z.literal(true) })) },
});

const enable = createRoute({
  method: 'post',
  path: '/v1/wormholes/{id}/enable',
  tags: ['bus'],
  summary: 'Switches a version on that was back-tested in the last hour, or with a reason why not',
  ...guard('bus:write'),
  request: {
    params: idParams,
    body: optionalBody(
      z
        .strictObject({ withoutBackTest: z.literal(true).optional(), reason: reason.optional() })
        .refine(({ withoutBackTest, reason: why }) => (withoutBackTest === true) === (why !== undefined), {
          message: 'withoutBackTest and reason belong together',
        }),
    ),
  },
  responses: { 200: answer('The wormhole as it is now.', wormholeSchema) },
});

const disable = createRoute({
  method: 'post',
  path: '/v1/wormholes/{id}/disable',
  tags: ['bus'],
  summary: 'Switches a wormhole off: the next event passes it by',
  ...guard('bus:write'),
  request: { params: idParams, body: optionalBody(z.strictObject({})) },
  responses: { 200: answer('The wormhole as it is now.', wormholeSchema) },
});

/** Whatever makes a wormhole another one, or switches it. */
export function addWormholeChangeRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;
  const taken = (name: string) => refuse('CONFLICT', `There is already a wormhole named ${name}.`);
  const moved = refuse('CONFLICT', 'Somebody else changed this wormhole just now; read it again.');

  /** Whoever writes or enables a wormhole may do what it does: it acts on their behalf. */
  async function requireSound(
    principal: Principal,
    draft: Pick<Wormhole, 'name' | 'match' | 'action'>,
  ): Promise<void> {
    const refusal = checkWormhole(draft);
    if (refusal !== null) throwRefusal(refusal);
    const { action } = draft;
    const permission = neededFor[action.kind];
    if (permission !== null) requireReach(principal, permission);
    if (action.kind === 'forward') await requireTarget(principal, action.to);
  }

  async function requireTarget(
    principal: Principal,
    to: Extract<WormholeAction, { kind: 'forward' }>['to'],
  ): Promise<void> {
    if (to.kind === 'webhook') return requireMayReachPrivate(principal, to, 'wormhole');
    const target = await getSubscription(db, to.subscription);
    if (target === null || target.owner === null)
      throwRefusal(
        refuse(
          'INVALID',
          `action.to.subscription: there is no subscription ${to.subscription} of anybody's own.`,
        ),
      );
  }

  const seal = (id: string, { url }: ActionParts): string | null =>
    url === null ? null : deps.secretBox.seal(url, forwardSealContext(id));
  const secretOf = (id: string, version: number): string => wormholeSecret(deps.agentRoot, id, version);

  app.openapi(create, async (c) => {
    const { action: given, ...input } = c.req.valid('json');
    const parts = partsOf(given);
    const principal = c.get('principal');
    await requireSound(principal, { ...input, action: parts.action });
    const id = newId('whl');
    const outcome = await createWormhole(db, {
      ...input,
      ...{ id, action: parts.action, sealed: seal(id, parts) },
      actor: principal.id,
      opKey: `wormhole.create:${id}`,
    });
    if (outcome.status === 'unchanged') throwRefusal(taken(input.name));
    const wormhole = wormholeView(deps, await requireWormhole(deps, id));
    return c.json({ wormhole, signingSecret: parts.url === null ? null : secretOf(id, 1) }, 201);
  });

  app.openapi(edit, async (c) => {
    const { action: given, ...plain } = c.req.valid('json');
    const row = await requireWormhole(deps, c.req.valid('param').id);
    const parts = given === undefined ? null : partsOf(given);
    const principal = c.get('principal');
    const changes = {
      ...(plain.name === undefined ? {} : { name: plain.name }),
      ...(plain.description === undefined ? {} : { description: plain.description }),
      ...(plain.match === undefined ? {} : { match: plain.match }),
      ...(plain.maxHops === undefined ? {} : { maxHops: plain.maxHops }),
      ...(parts === null ? {} : { action: parts.action, sealed: seal(row.id, parts) }),
    };
    await requireSound(principal, { ...row, ...changes });
    const outcome = await changeWormhole(db, {
      ...{ id: row.id, seen: row.version, edit: changes },
      actor: principal.id,
      opKey: `wormhole.change:${row.id}:${newId('op')}`,
    }).catch((error: unknown) => {
      if (errorCode(error) === '23505') throwRefusal(taken(plain.name ?? row.name));
      throw error;
    });
    if (outcome.status === 'unchanged') throwRefusal(moved);
    const isNew = parts !== null && parts.url !== null && row.sealed === null;
    const wormhole = wormholeView(deps, await requireWormhole(deps, row.id));
    return c.json({ wormhole, signingSecret: isNew ? secretOf(row.id, row.secretVersion) : null }, 200);
  });

  app.openapi(remove, async (c) => {
    const { id } = await requireWormhole(deps, c.req.valid('param').id);
    const opKey = `wormhole.remove:${id}`;
    await removeWormhole(db, { id, actor: c.get('principal').id, opKey });
    return c.json({ id, removed: true as const }, 200);
  });

  app.openapi(enable, async (c) => {
    const { reason: why } = c.req.valid('json');
    const row = await requireWormhole(deps, c.req.valid('param').id);
    const principal = c.get('principal');
    if (row.enabled) return c.json(wormholeView(deps, row), 200);
    await requireSound(principal, row);
    if ((await enabledWormholes(db)).length >= maxEnabled)
      throwRefusal(
        refuse('LIMIT', `${maxEnabled} wormholes are enabled, which is the most; disable one first.`),
      );
    const outcome = await enableWormhole(db, {
      ...{ id: row.id, version: row.version, withoutBackTest: why ?? null },
      actor: principal.id,
      opKey: `wormhole.enable:${row.id}:${newId('op')}`,
    });
    const now = await requireWormhole(deps, row.id);
    if (outcome.status === 'unchanged' && now.version === row.version && !now.enabled)
      throwRefusal(
        refuse(
          'CONFLICT',
          `Version ${row.version} was not run over the recorded log in the last hour: back-test it ` +
            `(dreamnet wormhole back-test ${row.name}), or enable it withoutBackTest and give a reason.`,
          { version: row.version },
        ),
      );
    if (outcome.status === 'unchanged' && !now.enabled) throwRefusal(moved);
    return c.json(wormholeView(deps, now), 200);
  });

  app.openapi(disable, async (c) => {
    const { id } = await requireWormhole(deps, c.req.valid('param').id);
    await disableWormhole(db, {
      ...{ id, actor: c.get('principal').id },
      opKey: `wormhole.disable:${id}:${newId('op')}`,
    });
    return c.json(wormholeView(deps, await requireWormhole(deps, id)), 200);
  });
}
