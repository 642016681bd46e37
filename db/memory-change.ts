import { eq, sql, type SQL } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { keptPerDay } from '../domain/memory.ts';
import { inheritedShare, inheritedTag, kindOf, type MemoryGenes } from '../domain/memory-record.ts';
import { change, type Change, type ChangeOutcome, databaseError } from './change.ts';
import type { Db } from './client.ts';
import { memoryRecords } from './schema/index.ts';

type By = { actor: string; opKey: string };
type Outcome = Promise<ChangeOutcome<JsonObject>>;

function recordOf(
  { actor, opKey }: By,
  what: string,
  subjectId: string,
  detail: JsonObject,
): Pick<Change, 'opKey' | 'events' | 'audit'> {
  return {
    opKey,
    events: [
      {
        type: eventTypes.memoryChanged,
        source: { type: 'halo', id: 'memory' },
        payload: { subject: subjectId, change: what, by: actor, ...detail },
      },
    ],
    audit: { actor, action: `memory.${what}`, subjectKind: 'memory', subjectId, detail },
  };
}

/** Puts other tags in the place of all; unchanged when nothing is remembered of the entity. */
export async function setMemoryTags(db: Db, input: By & { entity: string; tags: string[] }): Outcome {
  const { entity, tags } = input;
  return change(db, {
    ...recordOf(input, 'tag', entity, { tags }),
    write: db
      .update(memoryRecords)
      .set({ tags, updatedAt: sql`now()` })
      .where(eq(memoryRecords.entity, entity))
      .returning()
      .getSQL(),
  });
}

/** A value of the parent as it is now. */
const present: SQL = sql`memory_aged(p.value, p.updated_at, ${keptPerDay}::double precision)`;

/** Begins a record with the traits of another; unchanged when there is one already, or when the parent has none. */
export async function inheritMemory(
  db: Db,
  input: By & { entity: string; parent: string; reason: string },
): Outcome {
  const { entity, parent, reason } = input;
  return change(db, {
    ...recordOf(input, 'inherit', entity, { parent, reason }),
    write: sql`
      insert into memory_records (entity, kind, tags, parent)
      select ${entity}::text, ${kindOf(entity)}::text, ${JSON.stringify([inheritedTag])}::text::jsonb, r.entity
      from memory_records r where r.entity = ${parent}
      on conflict do nothing returning *`,
    also: [
      sql`
        insert into memory_traits (entity, trait, value)
        select changed.entity, p.trait, ${inheritedShare}::double precision * ${present}
        from changed join memory_traits p on p.entity = changed.parent
        on conflict (entity, trait) do update set value = excluded.value, updated_at = now()`,
      sql`
        insert into memory_history (entity, cause, moves)
        select changed.entity, 'inherit ' || changed.parent, (
          select coalesce(jsonb_object_agg(p.trait, jsonb_build_object(
            'from', 0.5, 'to', ${inheritedShare}::double precision * ${present})), '{}')
          from memory_traits p where p.entity = changed.parent)
        from changed`,
    ],
  });
}

/** Forgets an entity for good; its events were counted and are not counted again. Unchanged when nothing is remembered. */
export async function forgetMemory(db: Db, input: By & { entity: string; reason: string }): Outcome {
  const { entity, reason } = input;
  return change(db, {
    ...recordOf(input, 'forget', entity, { reason }),
    write: db.delete(memoryRecords).where(eq(memoryRecords.entity, entity)).returning().getSQL(),
  });
}

/**
 * Writes all these records or none. `created` must not be there yet: unchanged when somebody else made one meanwhile.
 * Those of `replaced` lose the traits that the new record does not name.
 */
export async function importMemory(
  db: Db,
  input: By & { created: MemoryGenes[]; replaced: MemoryGenes[]; reason: string },
): Outcome {
  const { created, replaced, reason } = input;
  const names = {
    created: created.map(({ entity }) => entity),
    replaced: replaced.map(({ entity }) => entity),
  };
  const rows = (records: MemoryGenes[]): SQL => sql`
    jsonb_to_recordset(${JSON.stringify(records.map((one) => ({ ...one, kind: kindOf(one.entity) })))}::text::jsonb)
      as n(entity text, kind text, tags jsonb, parent text, traits jsonb)`;
  const all = rows([...created, ...replaced]);
  try {
    return await change(db, {
      ...recordOf(input, 'import', 'records', { ...names, reason }),
      // Without a row of its own: what it writes are the rows below.
      write: sql`select ${created.length + replaced.length}::int as records`,
      also: [
        sql`
          insert into memory_records (entity, kind, tags, parent)
          select n.entity, n.kind, n.tags, n.parent from changed, ${rows(created)} order by n.entity`,
        sql`
          insert into memory_records (entity, kind, tags, parent)
          select n.entity, n.kind, n.tags, n.parent from changed, ${rows(replaced)} order by n.entity
          on conflict (entity) do update set tags = excluded.tags, parent = excluded.parent, updated_at = now()`,
        sql`
          delete from memory_traits t using changed, ${rows(replaced)}
          where t.entity = n.entity and not n.traits ? t.trait`,
        sql`
          insert into memory_traits (entity, trait, value)
          select n.entity, v.key, v.value::double precision from changed, ${all}, jsonb_each_text(n.traits) v
          order by 1, 2
          on conflict (entity, trait) do update set value = excluded.value, updated_at = now()`,
        sql`
          insert into memory_history (entity, cause, moves)
          select n.entity, 'import', (
            select coalesce(jsonb_object_agg(v.key, jsonb_build_object(
              'from', coalesce(t.value, 0.5), 'to', v.value::double precision)), '{}')
            from jsonb_each_text(n.traits) v left join memory_traits t on t.entity = n.entity and t.trait = v.key)
          from changed, ${all} order by n.entity`,
      ],
      result: sql`jsonb_build_object('records', changed.records)`,
    });
  } catch (error) {
    if (databaseError(error)?.constraint_name === 'memory_records_pkey') return { status: 'unchanged' };
    throw error;
  }
}
