import { createRoute, z } from '@hono/zod-openapi';
import {
  type Cluster,
  createCluster,
  getBridgeCluster,
  listBridgeClusters,
  removeCluster,
  rotateClusterSecret,
  setClusterEnabled,
} from '../../db/bridge.ts';
import { getHook } from '../../db/hooks.ts';
import { newId } from '../../db/ids.ts';
import { subscriptionSecret } from '../../db/signing-secret.ts';
import { clusterSealContext, clusterSubscription } from '../../domain/bridge.ts';
import { refuse } from '../../domain/refusal.ts';
import { guard } from '../auth.ts';
import { clusterInput, clusterName, clusterSchema, clusterView } from '../cluster-view.ts';
import type { Api, ApiDeps } from '../context.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import { overlapMsOf, rotation } from '../rotation.ts';
import { answer, body, optionalBody } from '../schemas.ts';

const params = z.object({ name: clusterName });
const namePlace = z.strictObject({ name: z.string().max(40) });
const withSecret = z.object({ cluster: clusterSchema, signingSecret: z.string() });

const create = createRoute({
  method: 'post',
  path: '/v1/bridge/clusters',
  tags: ['bridge'],
  summary: 'Names another DreamNet that events are sent to, by the address of a hook there',
  ...guard('bus:write', { secretAnswer: true }),
  request: { body: body(clusterInput) },
  responses: {
    201: answer(
      'The cluster, and the secret for the hook there (scheme standard-webhooks, form event), shown once.',
      withSecret,
    ),
  },
});

const list = createRoute({
  method: 'get',
  path: '/v1/bridge/clusters',
  tags: ['bridge'],
  summary: 'Clusters and how they breathe: events a minute out and in, what waits, what failed',
  ...guard('bus:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of clusters.', pageOf(clusterSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/bridge/clusters/{name}',
  tags: ['bridge'],
  summary: 'One cluster',
  ...guard('bus:read'),
  request: { params },
  responses: { 200: answer('The cluster.', clusterSchema) },
});

const rotate = createRoute({
  method: 'post',
  path: '/v1/bridge/clusters/{name}/rotate-secret',
  tags: ['bridge'],
  summary: 'Makes a new signing secret; until the overlap is over events carry a signature of each',
  ...guard('bus:write', { secretAnswer: true }),
  request: {
    params,
    body: optionalBody(rotation),
  },
  responses: { 200: answer('The cluster, and its new secret, which is shown once.', withSecret) },
});

const remove = createRoute({
  method: 'delete',
  path: '/v1/bridge/clusters/{name}',
  tags: ['bridge'],
  summary: 'Removes a cluster; what waits for it goes out when it is added again',
  ...guard('bus:write'),
  request: { params },
  responses: { 200: answer('It is gone.', z.object({ name: z.string(), deleted: z.literal(true) })) },
});

function switchRoute(action: 'enable' | 'disable') {
  return createRoute({
    method: 'post',
    path: `/v1/bridge/clusters/{name}/${action}`,
    tags: ['bridge'],
    summary:
      action === 'enable' ? 'Switches a cluster on' : 'Switches a cluster off: nothing more goes there',
    ...guard('bus:write'),
    request: { params, body: optionalBody(z.strictObject({})) },
    responses: { 200: answer('The cluster as it is now.', clusterSchema) },
  });
}

export function addBridgeRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requireCluster(name: string): Promise<Cluster> {
    return (
      (await getBridgeCluster(db, name)) ?? throwRefusal(refuse('NOT_FOUND', `There is no cluster ${name}.`))
    );
  }

  const secretOf = (name: string, version: number): string =>
    subscriptionSecret(deps.agentRoot, clusterSubscription(name), version);

  app.openapi(create, async (c) => {
    const { hookId = null, ...input } = c.req.valid('json');
    if (hookId !== null && (await getHook(db, hookId)) === null)
      throwRefusal(
        refuse('INVALID', `hookId: there is no hook ${hookId} here; leave it out, or create it first.`),
      );
    const outcome = await createCluster(db, {
      ...input,
      hookId,
      sealedUrl: deps.secretBox.seal(input.url, clusterSealContext(input.name)),
      actor: c.get('principal').id,
      opKey: `bridge-cluster.create:${input.name}:${newId('op')}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(
        refuse(
          'CONFLICT',
          `There is already a cluster ${input.name}, or another subscription ${clusterSubscription(input.name)}.`,
        ),
      );
    const cluster = clusterView(await requireCluster(input.name));
    return c.json({ cluster, signingSecret: secretOf(input.name, outcome.result.secretVersion) }, 201);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const rows = await listBridgeClusters(db, decodeCursor(cursor, namePlace)?.name ?? '', limit + 1);
    const page = cutPage(rows, limit, ({ name }) => ({ name }));
    return c.json({ items: page.rows.map(clusterView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => c.json(clusterView(await requireCluster(c.req.valid('param').name)), 200));

  app.openapi(rotate, async (c) => {
    const { name, secretVersion } = await requireCluster(c.req.valid('param').name);
    const outcome = await rotateClusterSecret(db, {
      name,
      fromVersion: secretVersion,
      overlapMs: overlapMsOf(c.req.valid('json')),
      actor: c.get('principal').id,
      opKey: `bridge-cluster.rotate-secret:${name}:${secretVersion + 1}:${newId('op')}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', 'Somebody else changed this secret just now; read the cluster again.'));
    const cluster = clusterView(await requireCluster(name));
    return c.json({ cluster, signingSecret: secretOf(name, secretVersion + 1) }, 200);
  });

  for (const action of ['enable', 'disable'] as const)
    app.openapi(switchRoute(action), async (c) => {
      const { name } = await requireCluster(c.req.valid('param').name);
      await setClusterEnabled(db, {
        name,
        enabled: action === 'enable',
        actor: c.get('principal').id,
        opKey: `bridge-cluster.${action}:${name}:${newId('op')}`,
      });
      return c.json(clusterView(await requireCluster(name)), 200);
    });

  app.openapi(remove, async (c) => {
    const { name } = await requireCluster(c.req.valid('param').name);
    const opKey = `bridge-cluster.remove:${name}:${newId('op')}`;
    await removeCluster(db, { name, actor: c.get('principal').id, opKey });
    return c.json({ name, deleted: true as const }, 200);
  });
}
