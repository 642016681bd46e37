import { asc, desc, eq, lt, ne, type SQL } from 'drizzle-orm';
import { alias } from 'drizzle-orm/pg-core';
import type { Db } from './client.ts';
import { killSwitches, principals } from './schema/index.ts';
import { countHeld, type HeldCounts } from './task-hold.ts';

export type ListedSwitch = typeof killSwitches.$inferSelect & {
  engagedByName: string | null;
  releasedByName: string | null;
  held: HeldCounts;
};

const nothing: HeldCounts = { running: 0, waiting: 0, parked: 0 };

async function readListed(db: Db, where: SQL | undefined, limit: number): Promise<ListedSwitch[]> {
  const engager = alias(principals, 'engager');
  const releaser = alias(principals, 'releaser');
  const rows = await db
    .select({ row: killSwitches, engagedByName: engager.name, releasedByName: releaser.name })
    .from(killSwitches)
    .leftJoin(engager, eq(engager.id, killSwitches.engagedBy))
    .leftJoin(releaser, eq(releaser.id, killSwitches.releasedBy))
    .where(where)
    .orderBy(desc(killSwitches.epoch), asc(killSwitches.scope))
    .limit(limit);
  const counts = await countHeld(
    db,
    rows.map(({ row }) => row.scope),
  );
  return rows.map(({ row, ...names }) => ({ ...row, ...names, held: counts.get(row.scope) ?? nothing }));
}

/** Switches with what lies under each, the newest engagement first. */
export async function listKillSwitches(
  db: Db,
  before: { epoch: number } | null,
  limit: number,
): Promise<ListedSwitch[]> {
  return readListed(db, before === null ? undefined : lt(killSwitches.epoch, before.epoch), limit);
}

/** The switch over exactly this scope; null where none was ever engaged. */
export async function getKillSwitch(db: Db, scope: string): Promise<ListedSwitch | null> {
  return (await readListed(db, eq(killSwitches.scope, scope), 1))[0] ?? null;
}

const mostShown = 200;

/** What is engaged now, for one look at the system. */
export async function listEngaged(db: Db): Promise<ListedSwitch[]> {
  return readListed(db, ne(killSwitches.level, 'dispatch'), mostShown);
}

/** What engaging a switch over this scope would stop and hold back now. */
export async function countUnder(db: Db, scope: string): Promise<HeldCounts> {
  return (await countHeld(db, [scope])).get(scope) ?? nothing;
}
