import { createRoute, z } from '@hono/zod-openapi';
import {
  type ChannelRow,
  createChannel,
  editChannel,
  getChannel,
  listChannels,
  rotateChannelSecret,
  setChannelEnabled,
} from '../../db/channels.ts';
import { newId } from '../../db/ids.ts';
import { channelSecret } from '../../db/signing-secret.ts';
import { type ChannelSecret, sealContext } from '../../domain/channel.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import { channelSchema, channelView } from '../channel-views.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, idPlace, pageOf, pageQuery } from '../paging.ts';
import { errorCode, throwRefusal } from '../problems.ts';
import { overlapMsOf, rotation } from '../rotation.ts';
import { answer, body, idParams, optionalBody } from '../schemas.ts';
import { requireMayReachPrivate } from '../web-address.ts';
import { channelEdit, channelInput, partsOf } from './channel-input.ts';

const withSecret = z.object({ channel: channelSchema, signingSecret: z.string().nullable() });

const create = createRoute({
  method: 'post',
  path: '/v1/channels',
  tags: ['notifications'],
  summary:
    'Stores a channel that people are told through: a signed webhook, mail, or a Discord-compatible webhook',
  ...guard('channels:write'),
  request: { body: body(channelInput) },
  responses: {
    201: answer(
      'The channel. The secret that the receiver of a webhook checks our signatures with is shown once.',
      withSecret,
    ),
  },
});

const list = createRoute({
  method: 'get',
  path: '/v1/channels',
  tags: ['notifications'],
  summary: 'Channels, and how their newest receipt was',
  ...guard('channels:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of channels.', pageOf(channelSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/channels/{id}',
  tags: ['notifications'],
  summary: 'One channel',
  ...guard('channels:read'),
  request: { params: idParams },
  responses: { 200: answer('The channel.', channelSchema) },
});

const edit = createRoute({
  method: 'patch',
  path: '/v1/channels/{id}',
  tags: ['notifications'],
  summary: 'Changes a channel; a configuration is given whole, with its address or password',
  ...guard('channels:write'),
  request: { params: idParams, body: body(channelEdit) },
  responses: { 200: answer('The channel as it is now.', channelSchema) },
});

const rotate = createRoute({
  method: 'post',
  path: '/v1/channels/{id}/rotate-secret',
  tags: ['notifications'],
  summary: 'Makes a new signing secret; until the overlap is over messages carry a signature of each',
  ...guard('channels:write'),
  request: { params: idParams, body: optionalBody(rotation) },
  responses: { 200: answer('The channel, and its new secret, which is shown once.', withSecret) },
});

function switchRoute(action: 'enable' | 'disable') {
  return createRoute({
    method: 'post',
    path: `/v1/channels/{id}/${action}`,
    tags: ['notifications'],
    summary: action === 'enable' ? 'Switches a channel on' : 'Switches a channel off: nothing more is sent',
    ...guard('channels:write'),
    request: { params: idParams, body: optionalBody(z.strictObject({})) },
    responses: { 200: answer('The channel as it is now.', channelSchema) },
  });
}

export async function requireChannel(deps: ApiDeps, id: string): Promise<ChannelRow> {
  return (
    (await getChannel(deps.database.db, id)) ??
    throwRefusal(refuse('NOT_FOUND', `There is no channel ${id}.`))
  );
}

export function addChannelRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;
  const taken = (name: string) => refuse('CONFLICT', `There is already a channel named ${name}.`);

  function seal(id: string, secret: ChannelSecret | null): string | null {
    return secret === null ? null : deps.secretBox.seal(JSON.stringify(secret), sealContext(id));
  }

  app.openapi(create, async (c) => {
    const { config: given, ...input } = c.req.valid('json');
    const parts = partsOf(input.kind, given);
    requireMayReachPrivate(c.get('principal'), parts.config, 'channel');
    const id = newId('chn');
    const outcome = await createChannel(db, {
      ...input,
      id,
      config: parts.config,
      sealed: seal(id, parts.secret),
      actor: c.get('principal').id,
      opKey: `channel.create:${id}`,
    });
    if (outcome.status === 'unchanged') throwRefusal(taken(input.name));
    const channel = await requireChannel(deps, id);
    const signingSecret = input.kind === 'webhook' ? channelSecret(deps.agentRoot, id, 1) : null;
    return c.json({ channel: channelView(channel), signingSecret }, 201);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const rows = await listChannels(db, decodeCursor(cursor, idPlace)?.id ?? '', limit + 1);
    const page = cutPage(rows, limit, (row) => ({ id: row.id }));
    return c.json({ items: page.rows.map(channelView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) =>
    c.json(channelView(await requireChannel(deps, c.req.valid('param').id)), 200),
  );

  app.openapi(edit, async (c) => {
    const { config: given, name, topics, minSeverity, cooldownMs } = c.req.valid('json');
    const channel = await requireChannel(deps, c.req.valid('param').id);
    const parts = given === undefined ? null : partsOf(channel.kind, given);
    if (parts !== null) requireMayReachPrivate(c.get('principal'), parts.config, 'channel');
    const outcome = await editChannel(db, {
      id: channel.id,
      seen: channel.updatedAt,
      edit: {
        ...(name === undefined ? {} : { name }),
        ...(topics === undefined ? {} : { topics }),
        ...(minSeverity === undefined ? {} : { minSeverity }),
        ...(cooldownMs === undefined ? {} : { cooldownMs }),
        ...(parts === null ? {} : { config: parts.config, sealed: seal(channel.id, parts.secret) }),
      },
      actor: c.get('principal').id,
      opKey: `channel.change:${channel.id}:${newId('op')}`,
    }).catch((error: unknown) => {
      if (errorCode(error) === '23505') throwRefusal(taken(name ?? channel.name));
      throw error;
    });
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse('CONFLICT', 'Somebody else changed this channel just now; read it again, then change it.'),
      );
    return c.json(channelView(await requireChannel(deps, channel.id)), 200);
  });

  app.openapi(rotate, async (c) => {
    const { id, kind, secretVersion } = await requireChannel(deps, c.req.valid('param').id);
    if (kind !== 'webhook')
      throwRefusal(
        refuse(
          'CONFLICT',
          `A channel of kind ${kind} has no signing secret; change its config to give it a new one.`,
        ),
      );
    const outcome = await rotateChannelSecret(db, {
      id,
      fromVersion: secretVersion,
      overlapMs: overlapMsOf(c.req.valid('json')),
      actor: c.get('principal').id,
      opKey: `channel.rotate-secret:${id}:${secretVersion + 1}:${newId('op')}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', 'Somebody else rotated this secret just now.'));
    const signingSecret = channelSecret(deps.agentRoot, id, secretVersion + 1);
    return c.json({ channel: channelView(await requireChannel(deps, id)), signingSecret }, 200);
  });

  for (const action of ['enable', 'disable'] as const)
    app.openapi(switchRoute(action), async (c) => {
      const { id } = await requireChannel(deps, c.req.valid('param').id);
      await setChannelEnabled(db, {
        id,
        enabled: action === 'enable',
        actor: c.get('principal').id,
        opKey: `channel.${action}:${id}:${newId('op')}`,
      });
      return c.json(channelView(await requireChannel(deps, id)), 200);
    });
}
