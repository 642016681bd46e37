import { z } from '@hono/zod-openapi';
import { backTestValidMs, type WormholeRow } from '../db/wormholes.ts';
import type { ApiDeps } from './context.ts';
import { anyObject, instant } from './schemas.ts';

export const wormholeSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string(),
    match: anyObject,
    action: anyObject,
    maxHops: z.number(),
    enabled: z.boolean(),
    version: z.number(),
    owner: z.string().nullable(),
    enabledBy: z.string().nullable(),
    enabledAt: instant.nullable(),
    backTest: z.object({ version: z.number(), at: instant, countsForEnabling: z.boolean() }).nullable(),
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Wormhole');

export function wormholeView(deps: Pick<ApiDeps, 'now'>, row: WormholeRow): z.infer<typeof wormholeSchema> {
  const { id, name, description, match, action, maxHops, enabled, version, owner, enabledBy } = row;
  return {
    ...{ id, name, description, match, action, maxHops, enabled, version, owner, enabledBy },
    enabledAt: row.enabledAt?.toISOString() ?? null,
    backTest: backTestOf(row, deps.now()),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

function backTestOf({ backTestedVersion, backTestedAt, version }: WormholeRow, now: number) {
  if (backTestedVersion === null || backTestedAt === null) return null;
  const isFresh = now - backTestedAt.getTime() < backTestValidMs;
  return {
    version: backTestedVersion,
    at: backTestedAt.toISOString(),
    countsForEnabling: backTestedVersion === version && isFresh,
  };
}
