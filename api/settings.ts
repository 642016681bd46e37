import { performance } from 'node:perf_hooks';
import { listClusters, listTiers } from '../db/control.ts';
import type { Db } from '../db/client.ts';
import { type BlockRow, blocksInForce } from '../db/shield.ts';
import type { Cluster } from '../domain/control.ts';
import type { Tier } from '../domain/tier.ts';

/** What every request is checked against. */
export type Settings = {
  tiers: Tier[];
  clusters: Map<string, Cluster>;
  /** By subject, as `blockKey` writes it. */
  blocks: Map<string, BlockRow>;
};

export type SettingsCache = {
  /** At most a second old: a change acts on every process within that time. */
  current(): Promise<Settings>;
  /** The newest that was ever read, for reads while the database does not answer. */
  lastKnown(): Settings | null;
  /** After a change made here, so that the next request already sees it. */
  forget(): void;
};

const maxAgeMs = 1_000;
/** From this age on the next is fetched beside the requests, so that under load none of them waits for it. */
const renewAfterMs = 500;

export function createSettings(load: () => Promise<Settings>): SettingsCache {
  let known: { settings: Settings; at: number } | null = null;
  let loading: Promise<Settings> | null = null;

  function renew(): Promise<Settings> {
    if (loading !== null) return loading;
    const at = performance.now();
    const mine = load().then(
      (settings) => {
        // What was read before a change made here is of no use any more.
        if (loading === mine) [known, loading] = [{ settings, at }, null];
        return settings;
      },
      (error: unknown) => {
        if (loading === mine) loading = null;
        throw error;
      },
    );
    loading = mine;
    return mine;
  }

  return {
    async current() {
      const age = known === null ? Infinity : performance.now() - known.at;
      if (known === null || age > maxAgeMs) return renew();
      // A failure shows once the age is over.
      if (age > renewAfterMs) void renew().catch(() => undefined);
      return known.settings;
    },
    lastKnown: () => known?.settings ?? null,
    forget() {
      loading = null;
      if (known !== null) known.at = -Infinity;
    },
  };
}

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
