import { and, desc, eq, inArray, or, type SQL, sql } from 'drizzle-orm';
import type { FoundLink } from '../domain/entity-link.ts';
import type { EntityLink } from '../domain/insight.ts';
import type { Db } from './client.ts';
import { entityLinks } from './schema/index.ts';

export type EntityLinkRow = typeof entityLinks.$inferSelect;

export type LinkPlace = { weight: number; from: string; to: string; kind: string };

/** Links of an entity, or all, the strongest first, behind a place. */
export async function listLinks(
  db: Db,
  { entity, kind }: { entity?: string | undefined; kind?: EntityLink['kind'] | undefined },
  after: LinkPlace | null,
  limit: number,
): Promise<EntityLinkRow[]> {
  const { weight, from, to, kind: linkKind } = entityLinks;
  return db
    .select()
    .from(entityLinks)
    .where(
      and(
        entity === undefined ? undefined : or(eq(from, entity), eq(to, entity)),
        kind === undefined ? undefined : eq(linkKind, kind),
        after === null
          ? undefined
          : sql`(-${weight}, ${from}, ${to}, ${linkKind}) > (${-after.weight}::float8, ${after.from}::text, ${after.to}::text, ${after.kind}::text)`,
      ),
    )
    .orderBy(desc(weight), from, to, linkKind)
    .limit(limit);
}

/** The strongest links that have both ends among these entities. */
export async function linksAmong(db: Db, entities: string[], limit: number): Promise<EntityLink[]> {
  const { from, to, kind, weight } = entityLinks;
  if (entities.length < 2) return [];
  return db
    .select({ from, to, kind, weight })
    .from(entityLinks)
    .where(and(inArray(from, entities), inArray(to, entities)))
    .orderBy(desc(weight), from, to, kind)
    .limit(limit);
}

/** Says of a link whether it is on record. */
export async function knownLinks(db: Db): Promise<(link: EntityLink) => boolean> {
  const { from, to, kind } = entityLinks;
  const keyOf = (link: Omit<EntityLink, 'weight'>): string => JSON.stringify([link.kind, link.from, link.to]);
  const keys = new Set((await db.select({ from, to, kind }).from(entityLinks)).map(keyOf));
  return (link) => keys.has(keyOf(link));
}

/** Parts of a change that leave on record the links that hold, and no other. */
export function replaceLinks(links: readonly FoundLink[], cycleId: string): SQL[] {
  const rows = JSON.stringify(links);
  const given = sql`jsonb_to_recordset(${rows}::text::jsonb) as l(
    "from" text, "to" text, kind text, weight float8, figures jsonb)`;
  return [
    sql`
      insert into entity_links ("from", "to", kind, weight, figures, found_by)
      select l."from", l."to", l.kind, l.weight, l.figures, ${cycleId} from changed, ${given}
      on conflict ("from", "to", kind)
      do update set weight = excluded.weight, figures = excluded.figures, updated_at = now()`,
    sql`
      delete from entity_links e using changed
      where not exists (
        select from ${given} where l."from" = e."from" and l."to" = e."to" and l.kind = e.kind)`,
  ];
}
