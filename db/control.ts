import { asc, sql } from 'drizzle-orm';
import type { Cluster } from '../domain/control.ts';
import { eventTypes } from '../domain/events.ts';
import type { Tier } from '../domain/tier.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db } from './client.ts';
import { clusters, tiers } from './schema/index.ts';

export async function listTiers(db: Db): Promise<Tier[]> {
  const { name, perMinute, eventsPerMinute, bytesPerMinute, features } = tiers;
  return db
    .select({ name, perMinute, eventsPerMinute, bytesPerMinute, features })
    .from(tiers)
    .orderBy(sql`${perMinute} asc nulls last`, asc(name))
    .limit(200);
}

/** The clusters somebody said something about. */
export async function listClusters(db: Db): Promise<Cluster[]> {
  const { name, enabled, requiredFeature, perMinute, reason, updatedBy } = clusters;
  return db
    .select({ name, enabled, requiredFeature, perMinute, reason, updatedBy })
    .from(clusters)
    .orderBy(asc(name))
    .limit(200);
}

type By = { actor: string; opKey: string };

/** Makes a tier, or changes the one of this name. */
export async function putTier(db: Db, tier: Tier & By): Promise<ChangeOutcome<{ name: string }>> {
  const { actor, opKey, name, ...limits } = tier;
  return change(db, {
    opKey,
    write: db
      .insert(tiers)
      .values({ name, ...limits, updatedBy: actor })
      .onConflictDoUpdate({ target: tiers.name, set: { ...limits, updatedBy: actor, updatedAt: sql`now()` } })
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.controlChanged,
        source: { type: 'system', id: 'control' },
        payload: { tier: name, ...limits, by: actor },
      },
    ],
    audit: { actor, action: 'tier.put', subjectKind: 'tier', subjectId: name, detail: limits },
    result: sql`jsonb_build_object('name', changed.name)`,
  });
}

/** Says how a cluster is to be from now on. */
export async function putCluster(
  db: Db,
  cluster: Omit<Cluster, 'updatedBy'> & By,
): Promise<ChangeOutcome<{ name: string }>> {
  const { actor, opKey, name, ...wanted } = cluster;
  return change(db, {
    opKey,
    write: db
      .insert(clusters)
      .values({ name, ...wanted, updatedBy: actor })
      .onConflictDoUpdate({
        target: clusters.name,
        set: { ...wanted, updatedBy: actor, updatedAt: sql`now()` },
      })
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.controlChanged,
        source: { type: 'system', id: 'control' },
        severity: wanted.enabled ? 'info' : 'warning',
        payload: { cluster: name, ...wanted, by: actor },
      },
    ],
    audit: { actor, action: 'control.put', subjectKind: 'cluster', subjectId: name, detail: wanted },
    result: sql`jsonb_build_object('name', changed.name)`,
  });
}
