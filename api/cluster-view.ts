import { z } from '@hono/zod-openapi';
import type { Cluster } from '../db/bridge.ts';
import { clusterNameShape, clusterStates, clusterSubscription } from '../domain/bridge.ts';
import { instant } from './schemas.ts';
import { httpUrl, isHttpsUnlessPrivate } from './web-address.ts';

export const clusterName = z
  .string()
  .max(40)
  .regex(clusterNameShape, 'must be lower-case words with - between, such as eu-west');

// It is shown to everybody who may read: an address with a query could hold a secret.
function isDoor(text: string): boolean {
  const { pathname, search, hash } = new URL(text);
  return /\/v1\/hooks\/hok_[0-9a-z]{16}\/events$/.test(pathname) && search === '' && hash === '';
}

export const clusterInput = z
  .strictObject({
    name: clusterName,
    url: httpUrl.refine(
      isDoor,
      'must be the address of a hook of another DreamNet: .../v1/hooks/hok_.../events, without a query',
    ),
    allowPrivateNetwork: z.boolean().default(false),
    backlogLimit: z.number().int().min(1).max(1_000_000).default(10_000),
    hookId: z
      .string()
      .regex(/^hok_[0-9a-z]{16}$/, 'must be the id of a hook here')
      .optional(),
  })
  .refine(isHttpsUnlessPrivate, {
    path: ['url'],
    message: 'must be https; http is for private addresses only (allowPrivateNetwork)',
  });

export const clusterSchema = z
  .object({
    name: z.string(),
    url: z.string(),
    allowPrivateNetwork: z.boolean(),
    state: z.enum(clusterStates),
    paused: z.boolean(),
    backlog: z.number(),
    backlogLimit: z.number(),
    outboundPerMinute: z.number(),
    inboundPerMinute: z.number().nullable(),
    failedAcks: z.number(),
    lastAckAt: instant.nullable(),
    hookId: z.string().nullable(),
    subscription: z.string(),
    previousSecretUntil: instant.nullable(),
    owner: z.string(),
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('BridgeCluster');

/** A cluster and how it breathes; what nobody measured is null, not nought. */
export function clusterView(cluster: Cluster): z.infer<typeof clusterSchema> {
  const { secretVersion: _version, createdAt, updatedAt, lastAckAt, previousSecretUntil, ...shown } = cluster;
  return {
    ...shown,
    subscription: clusterSubscription(cluster.name),
    previousSecretUntil: previousSecretUntil?.toISOString() ?? null,
    lastAckAt: lastAckAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}
