import { and, eq, gt, lt, sql } from 'drizzle-orm';
import type { Db } from './client.ts';
import { haloCounters } from './schema/index.ts';

export type HaloCounterRow = typeof haloCounters.$inferSelect;
export type HaloCounterName = HaloCounterRow['name'];
export type ReachedCounter = Pick<HaloCounterRow, 'name' | 'reached'>;

/**
 * Adds to a counter. Whose addition reaches the threshold resets it in the same statement and is the only one to learn of
 * it, so any number of API processes trigger HALO once.
 */
export async function countForHalo(
  db: Db,
  { name, add, threshold }: { name: HaloCounterName; add: number; threshold: number },
): Promise<ReachedCounter | null> {
  const total = sql`${haloCounters.count} + ${add}::bigint`;
  const isReached = sql`${total} >= ${threshold}::bigint`;
  const atOnce = add >= threshold;
  const [row] = await db
    .insert(haloCounters)
    .values({
      ...{ name, count: atOnce ? 0 : add, reached: atOnce ? 1 : 0 },
      ...(atOnce ? { reachedAt: sql`now()` } : {}),
    })
    .onConflictDoUpdate({
      target: haloCounters.name,
      set: {
        count: sql`case when ${isReached} then 0 else ${total} end`,
        since: sql`case when ${isReached} then now() else ${haloCounters.since} end`,
        reached: sql`${haloCounters.reached} + case when ${isReached} then 1 else 0 end`,
        reachedAt: sql`case when ${isReached} then now() else ${haloCounters.reachedAt} end`,
      },
    })
    .returning({ name: haloCounters.name, count: haloCounters.count, reached: haloCounters.reached });
  // Something was added, so that only a reset leaves nothing.
  return row?.count === 0 ? { name: row.name, reached: row.reached } : null;
}

/** HALO has heard of it; what was reached since is still to be told. */
export async function settleCounter(db: Db, { name, reached }: ReachedCounter): Promise<void> {
  await db
    .update(haloCounters)
    .set({ told: reached })
    .where(and(eq(haloCounters.name, name), lt(haloCounters.told, reached)));
}

/** Counters that reached their threshold and whose trigger was lost on its way to HALO. */
export async function listUntoldCounters(db: Db, graceMs: number): Promise<ReachedCounter[]> {
  return db
    .select({ name: haloCounters.name, reached: haloCounters.reached })
    .from(haloCounters)
    .where(
      and(
        gt(haloCounters.reached, haloCounters.told),
        lt(haloCounters.reachedAt, sql`now() - ${graceMs}::float8 * interval '1 millisecond'`),
      ),
    );
}

export async function listHaloCounters(db: Db): Promise<HaloCounterRow[]> {
  return db.select().from(haloCounters).orderBy(haloCounters.name);
}
