import { createRoute, z } from '@hono/zod-openapi';
import { type Cluster, findBridgeClusters, listBridgeClusters } from '../../db/bridge.ts';
import { type BroadcastTarget, storeBroadcast } from '../../db/broadcasts.ts';
import { newId } from '../../db/ids.ts';
import { createInstallation } from '../../db/installation.ts';
import { clusterStates } from '../../domain/bridge.ts';
import { eventType, severities } from '../../domain/events.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import { clusterName } from '../cluster-view.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { isTooLarge, payloadTooLarge } from '../event-input.ts';
import { requireOpenType } from '../hook-input.ts';
import { ProblemError, throwRefusal } from '../problems.ts';
import { answer, body, jsonObject } from '../schemas.ts';

const maxClusters = 100;

const targetSchema = z.object({
  cluster: z.string(),
  state: z.enum(clusterStates),
  backlog: z.number(),
  backlogLimit: z.number(),
  eventId: z.string().nullable(),
});

const broadcast = createRoute({
  method: 'post',
  path: '/v1/broadcasts',
  tags: ['bridge'],
  summary:
    'Sends one event to several clusters: to all of them or, with `partial`, to those that take it now',
  ...guard('bus:operate'),
  request: {
    body: body(
      z.strictObject({
        clusters: z.union([z.literal('all'), z.array(clusterName).min(1).max(maxClusters)]),
        type: eventType,
        payload: jsonObject.default({}),
        severity: z.enum(severities).default('info'),
        correlationId: z.string().min(1).max(200).optional(),
        partial: z.boolean().default(false),
      }),
    ),
  },
  responses: {
    202: answer(
      'Written for every cluster that shows an event id.',
      z.object({ id: z.string(), clusters: z.array(targetSchema) }),
    ),
  },
});

type Shown = Pick<Cluster, 'name' | 'state' | 'backlog' | 'backlogLimit'>;

export function addBroadcastRoute(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;
  const installation = createInstallation(db);

  /** The clusters that are meant, each of which there is; `all` are those that are not switched off. */
  async function meant(said: 'all' | string[]): Promise<Cluster[]> {
    if (said !== 'all') {
      const known = await findBridgeClusters(db, said);
      const missing = said.filter((name) => !known.some((each) => each.name === name));
      if (missing.length === 0) return known;
      throwRefusal(refuse('NOT_FOUND', `There is no cluster ${missing.join(', ')}; nothing was sent.`));
    }
    const open = (await listBridgeClusters(db, '', 1000)).filter(({ state }) => state !== 'off');
    if (open.length === 0)
      throwRefusal(refuse('CONFLICT', 'There is no cluster that is switched on; nothing was sent.'));
    if (open.length > maxClusters)
      throwRefusal(refuse('INVALID', `There are more than ${maxClusters} clusters; name those you mean.`));
    return open;
  }

  app.openapi(broadcast, async (c) => {
    const { clusters, partial, correlationId, ...event } = c.req.valid('json');
    requireOpenType(event.type);
    if (isTooLarge(event)) throw payloadTooLarge();
    const names = (await meant(clusters)).map(({ name }) => name);
    const id = newId('brc');
    const outcome = await storeBroadcast(db, {
      ...event,
      ...{ id, clusters: names, partial, correlationId: correlationId ?? null },
      ...{ place: await installation.place(), actor: c.get('principal').id },
    });
    if (outcome.status === 'unchanged') throw refusalOf(c, await meant(names));
    return c.json({ id, clusters: outcome.result.targets.map(targetView) }, 202);
  });
}

function targetView({ name, state, eventId, ...counts }: BroadcastTarget): z.infer<typeof targetSchema> {
  return { cluster: name, state, ...counts, eventId: state === 'open' ? eventId : null };
}

function refusalOf(c: ApiContext, clusters: Shown[]): ProblemError {
  const details = {
    clusters: clusters.map(({ name, state, backlog, backlogLimit }) => ({
      name,
      state,
      backlog,
      backlogLimit,
    })),
  };
  const closed = clusters.filter(({ state }) => state !== 'open');
  const named = closed.map(({ name, state }) => `${name} (${state})`).join(', ');
  const isOff = closed.length > 0 && closed.every(({ state }) => state === 'off');
  if (!isOff) c.header('Retry-After', '10');
  return new ProblemError(
    isOff ? 'CONFLICT' : 'LIMIT',
    `Nothing was sent, as not all clusters take it: ${named || 'one was full a moment ago'}. Try again later, or send it with "partial": true to those that do.`,
    { details },
  );
}
