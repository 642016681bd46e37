import type { LoggedEvent } from '../domain/events.ts';
import { type ReplaySelection, replayPageSize } from '../domain/replay.ts';
import type { Sql } from './client.ts';
import { loggedColumns, type Position } from './events.ts';

const startOfLog: Position = { tx: '0', seq: '0' };

/** Recorded events to read: a selection, of transactions before `untilTx`, and of one of these types where some are named. */
export type Recorded = { selection: ReplaySelection; untilTx: string; types?: readonly string[] };

/** Nothing that an open transaction can still slip in front of: below the horizon the order is final (DESIGN 4). */
function selected(log: Sql, { selection, untilTx, types }: Recorded, after: Position) {
  const { ids, correlationId, type, sourceType, sourceId, from, to } = selection;
  const none = log``;
  return log`
    (events.tx, events.seq) > (${after.tx}::text::xid8, ${after.seq}::text::bigint)
    and events.tx < ${untilTx}::text::xid8 and events.tx < pg_snapshot_xmin(pg_current_snapshot())
    ${
      ids === undefined
        ? none
        : log`and events.id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))`
    }
    ${
      types === undefined
        ? none
        : log`and exists (
            select from jsonb_array_elements_text(${JSON.stringify(types)}::text::jsonb) as wanted(type)
            where wanted.type = events.type
               or (right(wanted.type, 1) = '*' and starts_with(events.type, left(wanted.type, -1))))`
    }
    ${correlationId === undefined ? none : log`and events.correlation_id = ${correlationId}`}
    ${
      type === undefined
        ? none
        : type.endsWith('*')
          ? log`and starts_with(events.type, ${type.slice(0, -1)})`
          : log`and events.type = ${type}`
    }
    ${sourceType === undefined ? none : log`and events.source_type = ${sourceType}`}
    ${sourceId === undefined ? none : log`and events.source_id = ${sourceId}`}
    ${from === undefined ? none : log`and events.recorded_at >= ${from}::text::timestamptz`}
    ${to === undefined ? none : log`and events.recorded_at <= ${to}::text::timestamptz`}`;
}

/** The next selected events behind a position, in the order in which they were committed. */
export async function readSelected(
  log: Sql,
  recorded: Recorded,
  after: Position,
  limit: number,
): Promise<LoggedEvent[]> {
  return log<LoggedEvent[]>`
    select ${loggedColumns(log)} from events where ${selected(log, recorded, after)}
    order by events.tx, events.seq limit ${limit}`;
}

/** All selected events page by page, at most so many; only one page is in memory at a time. */
export async function* selectedPages(
  log: Sql,
  recorded: Recorded,
  most: number,
): AsyncGenerator<LoggedEvent[]> {
  let after = startOfLog;
  for (let read = 0; read < most;) {
    const limit = Math.min(replayPageSize, most - read);
    const page = await readSelected(log, recorded, after, limit);
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    if (page.length < limit) return;
    read += page.length;
    after = { tx: last.tx, seq: last.seq };
  }
}

/** True once no transaction that is older than this one is open: what lies before it is all there. */
export async function isSettled(log: Sql, untilTx: string): Promise<boolean> {
  const [row] = await log<{ settled: boolean }[]>`
    select pg_snapshot_xmin(pg_current_snapshot()) >= ${untilTx}::text::xid8 as settled`;
  return row?.settled === true;
}

/**
 * True once a window will never look different: no transaction that began by its end is open, as what it adds is
 * recorded inside, and no event of it lies above the horizon.
 */
export async function isClosed(log: Sql, { from, to }: { from: string; to: string }): Promise<boolean> {
  const [row] = await log<{ closed: boolean }[]>`
    select not exists (
        select from pg_stat_activity
        where backend_xid is not null and datname = current_database() and xact_start <= ${to}::text::timestamptz
      ) and not exists (
        select from events
        where tx >= pg_snapshot_xmin(pg_current_snapshot())
          and recorded_at between ${from}::text::timestamptz and ${to}::text::timestamptz
      ) as closed`;
  return row?.closed === true;
}

export type FoundEvent = { id: string; type: string; recordedAt: string };
export type FoundEvents = {
  count: number;
  /** There are more than were counted. */
  more: boolean;
  first: FoundEvent | null;
  last: FoundEvent | null;
  types: { type: string; count: number }[];
};

/** What a selection would be about, counted up to a maximum. */
export async function countSelected(log: Sql, recorded: Recorded, most: number): Promise<FoundEvents> {
  const [row] = await log<(Omit<FoundEvents, 'count' | 'more'> & { found: number })[]>`
    with found as (
      select events.tx, events.seq, events.id, events.type,
             to_char(events.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as "recordedAt"
      from events where ${selected(log, recorded, startOfLog)}
      order by events.tx, events.seq limit ${most + 1}
    ),
    kept as (select * from found order by tx, seq limit ${most})
    select (select count(*)::int from found) as found,
           (select jsonb_build_object('id', id, 'type', type, 'recordedAt', "recordedAt")
            from kept order by tx, seq limit 1) as first,
           (select jsonb_build_object('id', id, 'type', type, 'recordedAt', "recordedAt")
            from kept order by tx desc, seq desc limit 1) as last,
           coalesce((select jsonb_agg(jsonb_build_object('type', t.type, 'count', t.n) order by t.n desc, t.type)
                     from (select type, count(*)::int as n from kept group by type order by n desc, type limit 20) t),
                    '[]'::jsonb) as types`;
  const { found, first, last, types } = row ?? { found: 0, first: null, last: null, types: [] };
  return { count: Math.min(found, most), more: found > most, first, last, types };
}
