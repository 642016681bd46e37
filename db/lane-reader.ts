import type { LoggedEvent } from '../domain/events.ts';
import type { Sql } from './client.ts';
import { loggedColumns, type Position, readAfter } from './events.ts';

/** The next events of a lane, and how far the log was looked through for them; null when there is nothing after `after`. */
export type LaneBatch = { events: LoggedEvent[]; end: Position } | null;

/** Rows looked through at once for the events of one share. */
const maxWindow = 4_000;

/**
 * Reads a lane below the horizon. The rare priorities have an index of their own; of the others' lanes a window of the log is
 * looked through, whose end the cursor can move to even when nothing in it was for this lane.
 */
export async function readLane(
  log: Sql,
  input: { lane: string; lanes: number; after: Position; limit: number },
): Promise<LaneBatch> {
  const { lane, lanes, after, limit } = input;
  if (lane === 'all') return batchOf(await readAfter(log, after, limit));
  // Each of these is a text of its own: the planner takes the partial index only when it sees the priority.
  if (lane === 'critical') return readRare(log, log`events.priority = 'critical'`, after, limit);
  if (lane === 'high') return readRare(log, log`events.priority = 'high'`, after, limit);
  if (lane === 'low') return readRare(log, log`events.priority = 'low'`, after, limit);
  if (lane === 'normal') return readWindow(log, log`events.priority = 'normal'`, after, limit);
  const window = Math.min(maxWindow, limit * lanes);
  return readWindow(log, log`mod(${shareNumber(log)}, ${lanes}::int) = ${Number(lane)}::int`, after, window);
}

/** The number that decides an event's share, before the division: one thread of events stays in one share, and so in order. */
export function shareNumber(log: Sql) {
  return log`('x' || left(md5(coalesce(events.correlation_id, events.source_id)), 7))::bit(28)::int`;
}

function batchOf(events: LoggedEvent[]): LaneBatch {
  const last = events.at(-1);
  return last === undefined ? null : { events, end: { tx: last.tx, seq: last.seq } };
}

type Fragment = ReturnType<typeof loggedColumns>;

async function readRare(log: Sql, isMine: Fragment, after: Position, limit: number): Promise<LaneBatch> {
  return batchOf(
    await log<LoggedEvent[]>`
      select ${loggedColumns(log)} from events
      where ${isMine} and ${isNext(log, after)}
      order by events.tx, events.seq
      limit ${limit}`,
  );
}

async function readWindow(log: Sql, isMine: Fragment, after: Position, window: number): Promise<LaneBatch> {
  const rows = await log<(LoggedEvent & { isMine: boolean })[]>`
    select ${loggedColumns(log)}, events.is_mine as "isMine"
    from (
      select events.*, ${isMine} as is_mine, lead(events.seq) over (order by events.tx, events.seq) is null as is_last
      from (
        select * from events where ${isNext(log, after)} order by events.tx, events.seq limit ${window}
      ) events
    ) events
    where events.is_mine or events.is_last
    order by events.tx, events.seq`;
  const last = rows.at(-1);
  if (last === undefined) return null;
  const events = rows.filter((row) => row.isMine).map(({ isMine: _, ...event }): LoggedEvent => event);
  return { events, end: { tx: last.tx, seq: last.seq } };
}

function isNext(log: Sql, after: Position) {
  return log`(events.tx, events.seq) > (${after.tx}::text::xid8, ${after.seq}::text::bigint)
             and events.tx < pg_snapshot_xmin(pg_current_snapshot())`;
}
