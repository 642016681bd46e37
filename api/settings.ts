import { listClusters, listTiers } from '../db/control.ts';
import type { Db } from '../db/client.ts';
import { type BlockRow, blocksInForce } from '../db/shield.ts';
import type { Cluster } from '../domain/control.ts';
import type { Tier } from '../domain/tier.ts';
import type { Cache } from './cache.ts';

/** What every request is checked against. */
export type Settings = {
  tiers: Tier[];
  clusters: Map<string, Cluster>;
  /** By subject, as `blockKey` writes it. */
  blocks: Map<string, BlockRow>;
};

export type SettingsCache = Cache<Settings>;

export function blockKey(kind: BlockRow['subjectKind'], id: string, address: string | null): string {
  return JSON.stringify([kind, id, address]);
}

export async function readSettings(db: Db): Promise<Settings> {
  const [tiers, clusters, blocks] = await Promise.all([listTiers(db), listClusters(db), blocksInForce(db)]);
  return {
    tiers,
    clusters: new Map(clusters.map((cluster) => [cluster.name, cluster])),
    blocks: new Map(
      blocks.map((block) => [blockKey(block.subjectKind, block.subjectId, block.address), block]),
    ),
  };
}
