import { createRoute, z } from '@hono/zod-openapi';
import {
  createHook,
  getHook,
  type HookRow,
  listHooks,
  removeHook,
  rotateHookSecret,
  setHookEnabled,
} from '../../db/hooks.ts';
import { newId } from '../../db/ids.ts';
import { hookSealContext } from '../../domain/hook.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import {
  checkHookSecret,
  hookInput,
  hookRotation,
  hookSchema,
  hookView,
  mintHookSecret,
  requireOpenType,
} from '../hook-input.ts';
import { cutPage, decodeCursor, idPlace, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { overlapMsOf } from '../rotation.ts';
import { answer, body, idParams, optionalBody } from '../schemas.ts';

const withSecret = z.object({ hook: hookSchema, secret: z.string().nullable() });

const create = createRoute({
  method: 'post',
  path: '/v1/hooks',
  tags: ['hooks'],
  summary: 'Opens a door for signed messages of others, each of which becomes an event',
  ...guard('bus:write', { secretAnswer: true }),
  request: { body: body(hookInput) },
  responses: {
    201: answer(
      'The hook. A secret that was made here is shown once; one that was given is not.',
      withSecret,
    ),
  },
});

const list = createRoute({
  method: 'get',
  path: '/v1/hooks',
  tags: ['hooks'],
  summary: 'Hooks, and what they took and refused',
  ...guard('bus:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of hooks.', pageOf(hookSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/hooks/{id}',
  tags: ['hooks'],
  summary: 'One hook',
  ...guard('bus:read'),
  request: { params: idParams },
  responses: { 200: answer('The hook.', hookSchema) },
});

const rotate = createRoute({
  method: 'post',
  path: '/v1/hooks/{id}/rotate-secret',
  tags: ['hooks'],
  summary: 'Gives a hook a new secret; until the overlap is over messages with the old one are taken too',
  ...guard('bus:write', { secretAnswer: true }),
  request: { params: idParams, body: optionalBody(hookRotation) },
  responses: {
    200: answer('The hook, and its secret when it was made here, which is shown once.', withSecret),
  },
});

const remove = createRoute({
  method: 'delete',
  path: '/v1/hooks/{id}',
  tags: ['hooks'],
  summary: 'Removes a hook; its events stay',
  ...guard('bus:write'),
  request: { params: idParams },
  responses: { 200: answer('It is gone.', z.object({ id: z.string(), deleted: z.literal(true) })) },
});

function switchRoute(action: 'enable' | 'disable') {
  return createRoute({
    method: 'post',
    path: `/v1/hooks/{id}/${action}`,
    tags: ['hooks'],
    summary: action === 'enable' ? 'Switches a hook on' : 'Switches a hook off: nothing more is taken',
    ...guard('bus:write'),
    request: { params: idParams, body: optionalBody(z.strictObject({})) },
    responses: { 200: answer('The hook as it is now.', hookSchema) },
  });
}

export function addHookRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requireHook(id: string): Promise<HookRow> {
    return (await getHook(db, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no hook ${id}.`));
  }

  app.openapi(create, async (c) => {
    const { secret: given, ...input } = c.req.valid('json');
    // Also with something behind it: `security` would become `security.x`.
    requireOpenType(`${input.eventType}.any`);
    requireOpenType(input.eventType);
    const id = newId('hok');
    const secret = given === undefined ? mintHookSecret(input.scheme) : checkHookSecret(input.scheme, given);
    const outcome = await createHook(db, {
      ...input,
      id,
      sealed: deps.secretBox.seal(secret, hookSealContext(id)),
      actor: c.get('principal').id,
      opKey: `hook.create:${id}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', `There is already a hook named ${input.name}.`));
    const hook = hookView(await requireHook(id));
    return c.json({ hook, secret: given === undefined ? secret : null }, 201);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const rows = await listHooks(db, decodeCursor(cursor, idPlace)?.id ?? '', limit + 1);
    const page = cutPage(rows, limit, (row) => ({ id: row.id }));
    return c.json({ items: page.rows.map(hookView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => c.json(hookView(await requireHook(c.req.valid('param').id)), 200));

  app.openapi(rotate, async (c) => {
    const { secret: given } = c.req.valid('json');
    const { id, scheme, secretVersion } = await requireHook(c.req.valid('param').id);
    const secret = given === undefined ? mintHookSecret(scheme) : checkHookSecret(scheme, given);
    const outcome = await rotateHookSecret(db, {
      id,
      fromVersion: secretVersion,
      sealed: deps.secretBox.seal(secret, hookSealContext(id)),
      overlapMs: overlapMsOf(c.req.valid('json')),
      actor: c.get('principal').id,
      opKey: `hook.rotate-secret:${id}:${secretVersion + 1}:${newId('op')}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', 'Somebody else changed this secret just now; read the hook again.'));
    return c.json(
      { hook: hookView(await requireHook(id)), secret: given === undefined ? secret : null },
      200,
    );
  });

  for (const action of ['enable', 'disable'] as const)
    app.openapi(switchRoute(action), async (c) => {
      const { id } = await requireHook(c.req.valid('param').id);
      await setHookEnabled(db, {
        id,
        enabled: action === 'enable',
        actor: c.get('principal').id,
        opKey: `hook.${action}:${id}:${newId('op')}`,
      });
      return c.json(hookView(await requireHook(id)), 200);
    });

  app.openapi(remove, async (c) => {
    const { id } = await requireHook(c.req.valid('param').id);
    await removeHook(db, { id, actor: c.get('principal').id, opKey: `hook.remove:${id}:${newId('op')}` });
    return c.json({ id, deleted: true as const }, 200);
  });
}
