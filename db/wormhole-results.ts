import { and, desc, eq, inArray, lt, ne, or, type SQL, sql } from 'drizzle-orm';
import type { EmittedEvent } from '../domain/wormhole-effect.ts';
import type { EventWindow } from '../domain/event-window.ts';
import { categoryOf } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import type { WormholeOutcome } from '../domain/wormhole.ts';
import type { Db, Sql } from './client.ts';
import { deliveryId } from './deliveries.ts';
import { derivedId } from './ids.ts';
import { wormholeResults, wormholeWindows } from './schema/index.ts';

export type WormholeResultRow = typeof wormholeResults.$inferSelect;

/** An event at a wormhole, once for itself and once for each replay. */
export type ResultKey = { wormhole: string; eventId: string; replay: string };
export type NewResult = ResultKey & {
  version: number;
  outcome: WormholeOutcome;
  detail: JsonObject;
  /** An event to write with the result. */
  emit?: EmittedEvent;
  /** A subscription to hand the event to, with the time it was recorded. */
  handTo?: { subscription: string; recordedAt: string };
};

const textOf = ({ wormhole, eventId, replay }: ResultKey): string => [wormhole, eventId, replay].join('|');

/** The id of the event that a wormhole emits for an event: the same however often it is tried. */
export function emittedId(key: ResultKey): string {
  return derivedId('evt', `wormhole:${textOf(key)}`);
}

/** Which of these were acted on or folded before; what failed may be tried again. */
export async function settledResults(db: Db, keys: ResultKey[]): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  const rows = await db
    .select({
      wormhole: wormholeResults.wormhole,
      eventId: wormholeResults.eventId,
      replay: wormholeResults.replay,
    })
    .from(wormholeResults)
    .where(
      and(
        inArray(wormholeResults.wormhole, [...new Set(keys.map(({ wormhole }) => wormhole))]),
        inArray(wormholeResults.eventId, [...new Set(keys.map(({ eventId }) => eventId))]),
        ne(wormholeResults.outcome, 'failed'),
      ),
    );
  return new Set(rows.map(textOf));
}

export function isSettled(settled: Set<string>, key: ResultKey): boolean {
  return settled.has(textOf(key));
}

function rowsOf(results: NewResult[]): string {
  const unique = new Map(results.map((result) => [textOf(result), result]));
  const rows = [...unique.values()].map((result, place) => {
    const { wormhole, eventId, replay, version, outcome, detail, emit, handTo } = result;
    return {
      ...{ place, wormhole, event_id: eventId, replay, version, outcome, detail },
      emit: emit === undefined ? null : emitRow(emit, emittedId(result)),
      ...(handTo !== undefined && {
        hand_to: handTo.subscription,
        hand_at: handTo.recordedAt,
        hand_id: deliveryId({ subscription: handTo.subscription, eventId, replayId: replay }),
      }),
    };
  });
  return JSON.stringify(rows);
}

function emitRow(event: EmittedEvent, id: string): JsonObject {
  return {
    ...{ id, type: event.type, category: categoryOf(event.type) },
    ...{ source_type: event.sourceType, source_id: event.sourceId, destination: event.destination },
    ...{ severity: event.severity, priority: event.priority, payload: event.payload, path: event.path },
    ...{ correlation_id: event.correlationId, causation_id: event.causationId },
  };
}

/** Rows for a statement: `jsonb_to_recordset` over the text that `rowsOf` makes. */
function statedResults(log: Sql, results: NewResult[]) {
  return log`
    select * from jsonb_to_recordset(${rowsOf(results)}::text::jsonb) as s(
      place int, wormhole text, event_id text, replay text, version int, outcome text, detail jsonb, emit jsonb,
      hand_to text, hand_at timestamptz, hand_id text)`;
}

/** The statement's end: results, and with those that are new the events and deliveries they cause. */
function writeResults(log: Sql) {
  return log`
    fresh as (
      insert into wormhole_results (wormhole, event_id, replay, version, outcome, detail)
      select wormhole, event_id, replay, version, outcome, detail from stated order by wormhole, event_id, replay
      on conflict (wormhole, event_id, replay) do update
      set version = excluded.version, outcome = excluded.outcome, detail = excluded.detail, at = now()
      where wormhole_results.outcome = 'failed'
      returning wormhole, event_id, replay
    ),
    emitted as (
      select s.place, e.* from stated s join fresh using (wormhole, event_id, replay),
        jsonb_to_record(s.emit) as e(
          id text, type text, category text, source_type text, source_id text, destination text, severity text,
          priority text, payload jsonb, path jsonb, correlation_id text, causation_id text)
      where jsonb_typeof(s.emit) = 'object'
    ),
    keyed as (insert into event_keys (id) select id from emitted order by id on conflict do nothing returning id),
    logged as (
      insert into events (id, type, category, source_type, source_id, destination, severity, priority, payload,
                          metadata, path, correlation_id, causation_id, occurred_at)
      select e.id, e.type, e.category, e.source_type, e.source_id, e.destination, e.severity, e.priority, e.payload,
             '{}'::jsonb, e.path, e.correlation_id, e.causation_id, now()
      from emitted e join keyed using (id) order by e.place
      returning 1
    ),
    handed as (
      insert into deliveries (id, subscription, event_id, event_recorded_at, replay_id, state, due_at)
      select s.hand_id, s.hand_to, s.event_id, s.hand_at, nullif(s.replay, ''), 'pending', now()
      from stated s join fresh using (wormhole, event_id, replay)
      join subscriptions t on t.key = s.hand_to and t.enabled
      on conflict (id) do nothing
      returning 1
    )
    select wormhole, event_id as "eventId", replay from fresh`;
}

/** Writes results with what they cause as one statement; answers with those that were new. */
export async function recordResults(log: Sql, results: NewResult[]): Promise<ResultKey[]> {
  if (results.length === 0) return [];
  return log<ResultKey[]>`with stated as (${statedResults(log, results)}), ${writeResults(log)}`;
}

/** Results as a part of another statement that changes a row, for `change`. */
export function resultsWith(results: NewResult[], taskId: SQL): SQL {
  return sql`
    insert into wormhole_results (wormhole, event_id, replay, version, outcome, detail)
    select s.wormhole, s.event_id, s.replay, s.version, s.outcome, s.detail || jsonb_build_object('taskId', ${taskId})
    from changed, jsonb_to_recordset(${rowsOf(results)}::text::jsonb) as s(
      wormhole text, event_id text, replay text, version int, outcome text, detail jsonb)
    on conflict (wormhole, event_id, replay) do update
    set version = excluded.version, outcome = excluded.outcome, detail = excluded.detail, at = now()
    where wormhole_results.outcome = 'failed'`;
}

export type WindowKey = { wormhole: string; key: string; replay: string };
export type StoredWindow = { revision: number; state: EventWindow };

export async function readWindow(db: Db, { wormhole, key, replay }: WindowKey): Promise<StoredWindow | null> {
  const [row] = await db
    .select({ revision: wormholeWindows.revision, state: wormholeWindows.state })
    .from(wormholeWindows)
    .where(
      and(
        eq(wormholeWindows.wormhole, wormhole),
        eq(wormholeWindows.key, key),
        eq(wormholeWindows.replay, replay),
      ),
    );
  return row ?? null;
}

/** Writes a count with the results it was made of; false when another consumer counted since it was read. */
export async function saveWindow(
  log: Sql,
  input: WindowKey & { seen: number; state: EventWindow; results: NewResult[] },
): Promise<boolean> {
  const { wormhole, key, replay, seen, state, results } = input;
  const rows = await log`
    with saved as (
      insert into wormhole_windows (wormhole, key, replay, revision, state, ends_at)
      values (${wormhole}, ${key}, ${replay}, ${seen + 1}::int, ${JSON.stringify(state)}::text::jsonb, ${state.endsAt}::timestamptz)
      on conflict (wormhole, key, replay) do update
      set revision = excluded.revision, state = excluded.state, ends_at = excluded.ends_at
      where wormhole_windows.revision = ${seen}::int
      returning 1
    ),
    stated as (select s.* from (${statedResults(log, results)}) s, saved),
    ${writeResults(log)}`;
  return rows.length > 0;
}

/** Newest first, before a place in the list. */
export async function listResults(
  db: Db,
  input: {
    wormhole: string;
    outcome?: WormholeOutcome | undefined;
    before: { at: Date; id: string } | null;
    limit: number;
  },
): Promise<WormholeResultRow[]> {
  const { at, eventId } = wormholeResults;
  const { before } = input;
  return db
    .select()
    .from(wormholeResults)
    .where(
      and(
        eq(wormholeResults.wormhole, input.wormhole),
        input.outcome === undefined ? undefined : eq(wormholeResults.outcome, input.outcome),
        before === null ? undefined : or(lt(at, before.at), and(eq(at, before.at), lt(eventId, before.id))),
      ),
    )
    .orderBy(desc(at), desc(eventId))
    .limit(input.limit);
}

/** What a wormhole did with these events when they happened. */
export async function resultsOf(
  db: Db,
  wormhole: string,
  eventIds: string[],
): Promise<Map<string, WormholeOutcome>> {
  if (eventIds.length === 0) return new Map();
  const rows = await db
    .select({ eventId: wormholeResults.eventId, outcome: wormholeResults.outcome })
    .from(wormholeResults)
    .where(
      and(
        eq(wormholeResults.wormhole, wormhole),
        eq(wormholeResults.replay, ''),
        inArray(wormholeResults.eventId, eventIds),
      ),
    );
  return new Map(rows.map(({ eventId, outcome }) => [eventId, outcome]));
}

const keptDays = 7;
const deletedAtOnce = 5_000;

/** Deletes one batch of old results and ended counts; the number says whether there may be more. */
export async function deleteOldResults(db: Db, days = keptDays): Promise<number> {
  const rows = await db.execute(sql`
    with old as (
      select wormhole, event_id, replay from wormhole_results
      where at < now() - make_interval(days => ${days}::int) limit ${deletedAtOnce}
    ),
    gone as (
      delete from wormhole_results r using old
      where (r.wormhole, r.event_id, r.replay) = (old.wormhole, old.event_id, old.replay) returning 1
    ),
    ended as (
      delete from wormhole_windows where ends_at < now() - make_interval(days => ${days}::int) returning 1
    )
    select count(*)::int as count from gone`);
  return Number(rows[0]?.count ?? 0);
}

const mostBatches = 200;

/** Deletes what is old, batch by batch, so that none of the statements is long. */
export async function deleteAllOldResults(db: Db): Promise<void> {
  for (let batch = 0; batch < mostBatches; batch += 1) {
    if ((await deleteOldResults(db)) < deletedAtOnce) return;
  }
}
