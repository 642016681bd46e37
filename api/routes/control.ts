import { createRoute, z } from '@hono/zod-openapi';
import { listClusters, listTiers, putCluster, putTier } from '../../db/control.ts';
import { newId } from '../../db/ids.ts';
import { alwaysOn, type Cluster, openCluster } from '../../domain/control.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import type { Chain } from '../chain.ts';
import type { Api, ApiDeps } from '../context.ts';
import { clusterNames } from '../operations.ts';
import { throwRefusal } from '../problems.ts';
import { answer, body, reason } from '../schemas.ts';

const name = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/);
const perMinute = z.number().int().min(1).max(1_000_000).nullable();

const clusterSchema = z
  .object({
    name: z.string(),
    enabled: z.boolean(),
    requiredFeature: z.string().nullable(),
    perMinute: z.number().nullable(),
    reason: z.string().nullable(),
    updatedBy: z.string().nullable(),
    alwaysOn: z.boolean(),
  })
  .openapi('Cluster');

const tierSchema = z
  .object({
    name: z.string(),
    perMinute: z.number().nullable(),
    eventsPerMinute: z.number().nullable(),
    bytesPerMinute: z.number().nullable(),
    features: z.array(z.string()),
  })
  .openapi('Tier');

const list = createRoute({
  method: 'get',
  path: '/v1/control',
  tags: ['control'],
  summary: 'The parts of the API, and which of them are switched off, kept for a feature or limited',
  ...guard('control:read'),
  responses: { 200: answer('All of them.', z.object({ items: z.array(clusterSchema) })) },
});

const set = createRoute({
  method: 'patch',
  path: '/v1/control/{cluster}',
  tags: ['control'],
  summary: 'Switches a part of the API off or on, keeps it for a feature, or limits it; acts within a second',
  ...guard('control:write'),
  request: {
    params: z.object({ cluster: name }),
    body: body(
      z.strictObject({
        enabled: z.boolean().optional(),
        requiredFeature: name.nullable().optional(),
        perMinute: perMinute.optional(),
        reason,
      }),
    ),
  },
  responses: { 200: answer('As it is from now on.', clusterSchema) },
});

const tiersRoute = createRoute({
  method: 'get',
  path: '/v1/tiers',
  tags: ['control'],
  summary: 'The tiers: what a principal may use in a minute, and the features open to it',
  ...guard('control:read'),
  responses: { 200: answer('All tiers, lowest first.', z.object({ items: z.array(tierSchema) })) },
});

const putTierRoute = createRoute({
  method: 'put',
  path: '/v1/tiers/{name}',
  tags: ['control'],
  summary: 'Makes a tier or changes it; null is not limited. Acts within a second',
  ...guard('control:write'),
  request: {
    params: z.object({ name }),
    body: body(
      z.strictObject({
        perMinute,
        eventsPerMinute: z.number().int().min(1).max(10_000_000).nullable(),
        bytesPerMinute: z.number().int().min(1).max(1_000_000_000).nullable(),
        features: z.array(name).max(50),
      }),
    ),
  },
  responses: { 200: answer('As it is from now on.', tierSchema) },
});

function view(cluster: Cluster): z.infer<typeof clusterSchema> {
  return { ...cluster, alwaysOn: alwaysOn.includes(cluster.name) };
}

export function addControlRoutes(app: Api, deps: ApiDeps, chain: Chain): void {
  const { db } = deps.database;

  async function allClusters(): Promise<Cluster[]> {
    const said = new Map((await listClusters(db)).map((cluster) => [cluster.name, cluster]));
    return clusterNames(app).map((each) => said.get(each) ?? openCluster(each));
  }

  app.openapi(list, async (c) => c.json({ items: (await allClusters()).map(view) }, 200));

  app.openapi(set, async (c) => {
    const { cluster: wanted } = c.req.valid('param');
    const { reason: why, ...changes } = c.req.valid('json');
    const all = await allClusters();
    const cluster = all.find((each) => each.name === wanted);
    if (cluster === undefined)
      throwRefusal(
        refuse(
          'NOT_FOUND',
          `There is no part "${wanted}"; there are: ${all.map((each) => each.name).join(', ')}.`,
        ),
      );
    if (alwaysOn.includes(wanted))
      throwRefusal(
        refuse(
          'FORBIDDEN',
          `${wanted} is always open, to everyone who may use it: without it nothing could be switched on again or stopped.`,
        ),
      );
    const actor = c.get('principal').id;
    const next = { ...openCluster(wanted), ...cluster, ...changes, reason: why };
    const { updatedBy: _before, ...values } = next;
    await putCluster(db, { ...values, actor, opKey: `control.put:${newId('op')}` });
    chain.settings.forget();
    return c.json(view({ ...values, updatedBy: actor }), 200);
  });

  app.openapi(tiersRoute, async (c) => c.json({ items: await listTiers(db) }, 200));

  app.openapi(putTierRoute, async (c) => {
    const tier = { name: c.req.valid('param').name, ...c.req.valid('json') };
    await putTier(db, { ...tier, actor: c.get('principal').id, opKey: `tier.put:${newId('op')}` });
    chain.settings.forget();
    return c.json(tier, 200);
  });
}
