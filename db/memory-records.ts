import { and, asc, desc, eq, gt, gte, inArray, lte, type SQL, sql } from 'drizzle-orm';
import type { EntityKind } from '../domain/insight.ts';
import { historyKept } from '../domain/memory.ts';
import type { Db } from './client.ts';
import { memoryHistory, memoryRecords, memoryTraits } from './schema/index.ts';

export type MemoryRow = typeof memoryRecords.$inferSelect & { traits: Record<string, number> };
export type MemoryHistoryRow = typeof memoryHistory.$inferSelect;

export type MemoryFilter = {
  kind?: EntityKind | undefined;
  tag?: string | undefined;
  /** Records that have this trait between these values. */
  trait?: string | undefined;
  min?: number | undefined;
  max?: number | undefined;
};

const columns = {
  entity: memoryRecords.entity,
  kind: memoryRecords.kind,
  tags: memoryRecords.tags,
  parent: memoryRecords.parent,
  createdAt: memoryRecords.createdAt,
  updatedAt: memoryRecords.updatedAt,
  // Named in full: drizzle writes a column of a single table without its table.
  traits: sql<Record<string, number>>`coalesce((
    select jsonb_object_agg(t.trait, t.value) from memory_traits t where t.entity = memory_records.entity), '{}')`,
};

/** Records in the order of their entities, behind one of them. */
export async function listMemory(
  db: Db,
  { kind, tag, trait, min, max }: MemoryFilter,
  after: string,
  limit: number,
): Promise<MemoryRow[]> {
  const within: SQL | undefined =
    trait === undefined
      ? undefined
      : inArray(
          memoryRecords.entity,
          db
            .select({ entity: memoryTraits.entity })
            .from(memoryTraits)
            .where(
              and(
                eq(memoryTraits.trait, trait),
                min === undefined ? undefined : gte(memoryTraits.value, min),
                max === undefined ? undefined : lte(memoryTraits.value, max),
              ),
            ),
        );
  return db
    .select(columns)
    .from(memoryRecords)
    .where(
      and(
        gt(memoryRecords.entity, after),
        kind === undefined ? undefined : eq(memoryRecords.kind, kind),
        tag === undefined ? undefined : sql`${memoryRecords.tags} ? ${tag}::text`,
        within,
      ),
    )
    .orderBy(asc(memoryRecords.entity))
    .limit(limit);
}

/** The records of these entities, of those that have one. */
export async function readMemory(db: Db, entities: string[]): Promise<MemoryRow[]> {
  return db.select(columns).from(memoryRecords).where(inArray(memoryRecords.entity, entities));
}

/** What moved the traits of an entity, the newest first. */
export async function readMemoryHistory(db: Db, entity: string): Promise<MemoryHistoryRow[]> {
  return db
    .select()
    .from(memoryHistory)
    .where(eq(memoryHistory.entity, entity))
    .orderBy(desc(memoryHistory.id))
    .limit(historyKept);
}
