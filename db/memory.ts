import { historyKept, keptPerDay, type Move, neutral } from '../domain/memory.ts';
import type { Sql } from './client.ts';

/**
 * The moves with the entity of each, as `found`: of a task they find who worked on the attempt. An event moves a trait of
 * an entity once, also where a batch has it twice.
 */
function findEntities(log: Sql, moves: Move[]) {
  const rows = moves.map(({ eventId, cause, entity, taskId, attempt, who, trait, delta }, place) => ({
    ...{ place, cause, entity, attempt, who, trait, delta },
    ...{ event_id: eventId, task_id: taskId },
  }));
  return log`
    stated as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as s(
        place int, event_id text, cause text, entity text, task_id text, attempt int, who text, trait text,
        delta double precision)
    ),
    named as (
      select s.place, s.event_id, s.cause, s.trait, s.delta,
             case when s.task_id is null then s.entity
                  when s.who = 'squad' then 'squad:' || t.squad
                  else 'agent:' || a.agent_id end as entity
      from stated s
      left join tasks t on t.id = s.task_id
      left join task_attempts a on a.key = s.task_id || ':' || coalesce(s.attempt, t.attempt)
    ),
    found as (
      select distinct on (event_id, entity, trait) * from named where entity is not null
      order by event_id, entity, trait, place
    )`;
}

/**
 * Moves traits by a batch of events in one statement: an event that was counted before, here or in a batch at the same
 * time, moves nothing. Moves of one trait follow each other, each from where the one before left it.
 */
export async function countMoves(log: Sql, moves: Move[]): Promise<{ counted: number }> {
  if (moves.length === 0) return { counted: 0 };
  const [row] = await log<{ counted: number }[]>`
    with ${findEntities(log, moves)},
    marked as (
      insert into memory_marks (event_id) select distinct event_id from stated order by event_id
      on conflict do nothing returning event_id
    ),
    meant as (select f.* from found f join marked using (event_id)),
    recorded as (
      insert into memory_records (entity, kind)
      select distinct entity, split_part(entity, ':', 1) from meant order by entity
      on conflict (entity) do update set updated_at = now()
      returning entity
    ),
    held as (
      select t.entity, t.trait, memory_aged(t.value, t.updated_at, ${keptPerDay}::double precision) as value
      from memory_traits t where t.entity in (select entity from recorded)
      order by t.entity, t.trait for update
    ),
    steps as (
      select m.*, coalesce(h.value, ${neutral}::double precision) as base,
             memory_fold(m.delta) over (
               partition by m.entity, m.trait order by m.place rows between unbounded preceding and 1 preceding) as before,
             memory_fold(m.delta) over (
               partition by m.entity, m.trait order by m.place rows unbounded preceding) as after
      from meant m left join held h using (entity, trait)
    ),
    last as (
      select distinct on (entity, trait) entity, trait, after from steps order by entity, trait, place desc
    ),
    valued as (
      insert into memory_traits as t (entity, trait, value)
      select entity, trait, memory_apply(${neutral}::double precision, after) from last order by entity, trait
      on conflict (entity, trait) do update
      set value = memory_apply(
            memory_aged(t.value, t.updated_at, ${keptPerDay}::double precision),
            (select l.after from last l where l.entity = excluded.entity and l.trait = excluded.trait)),
          updated_at = now()
    ),
    lines as (
      select entity, event_id, cause, min(place) as place,
             jsonb_object_agg(trait, jsonb_build_object(
               'from', memory_apply(base, before), 'to', memory_apply(base, after))) as moves,
             row_number() over (partition by entity order by min(place) desc) as nth
      from steps group by entity, event_id, cause
    ),
    told as (
      insert into memory_history (entity, cause, event_id, moves)
      select entity, cause, event_id, moves from lines where nth <= ${historyKept} order by place, entity
      returning entity
    ),
    pruned as (
      delete from memory_history where id in (
        select id from (
          select h.id, n.count + row_number() over (partition by h.entity order by h.id desc) as nth
          from memory_history h join (select entity, count(*) as count from told group by entity) n using (entity)
        ) x where x.nth > ${historyKept})
    )
    select count(*)::int as counted from marked`;
  return { counted: row?.counted ?? 0 };
}

export type PreviewedMove = {
  eventId: string;
  counted: boolean;
  entity: string;
  trait: string;
  delta: number;
};

/** What a batch would move, and which of its events were counted before; nothing is written. */
export async function previewMoves(log: Sql, moves: Move[]): Promise<PreviewedMove[]> {
  if (moves.length === 0) return [];
  return log<PreviewedMove[]>`
    with ${findEntities(log, moves)}
    select f.event_id as "eventId", m.event_id is not null as counted, f.entity, f.trait, f.delta
    from found f left join memory_marks m on m.event_id = f.event_id
    order by f.place`;
}

/**
 * Brings traits nearer to the neutral by the time that passed since each was last written, so many at most: a run that
 * was missed is made up by the next. Answers how many moved.
 */
export async function ageMemory(log: Sql, limit: number): Promise<number> {
  const rows = await log`
    with due as (
      select entity, trait from memory_traits
      where updated_at < now() - interval '1 hour' and value <> ${neutral}::double precision
      order by entity, trait limit ${limit}::int for update skip locked
    )
    update memory_traits t
    set value = memory_aged(t.value, t.updated_at, ${keptPerDay}::double precision), updated_at = now()
    from due where t.entity = due.entity and t.trait = due.trait
    returning 1`;
  return rows.length;
}

/**
 * Forgets marks of events whose id the log has forgotten, the oldest first: as long as it knows the id, the event can be
 * delivered again. Answers how many went.
 */
export async function pruneMarks(log: Sql, limit: number): Promise<number> {
  const rows = await log`
    with oldest as (
      select event_id from memory_marks where at < now() - interval '1 day' order by at limit ${limit}::int
    )
    delete from memory_marks m using oldest o
    where m.event_id = o.event_id and not exists (select from event_keys k where k.id = o.event_id)
    returning 1`;
  return rows.length;
}
