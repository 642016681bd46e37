import { and, asc, sql } from 'drizzle-orm';
import type { Db, Sql } from './client.ts';
import type { EventRow, Position } from './events.ts';
import { events } from './schema/index.ts';

export const startOfLog: Position = { tx: '0', seq: '0' };

export function isAfter(one: Position, other: Position): boolean {
  const [tx, than] = [BigInt(one.tx), BigInt(other.tx)];
  return tx === than ? BigInt(one.seq) > BigInt(other.seq) : tx > than;
}

/** The next rows after a position in commit order, none of which an open transaction can still slip in front of. */
export async function listEventsAfter(db: Db, after: Position, limit: number): Promise<EventRow[]> {
  return db
    .select()
    .from(events)
    .where(
      and(
        sql`(${events.tx}, ${events.seq}) > (${after.tx}::text::xid8, ${after.seq}::text::bigint)`,
        sql`${events.tx} < pg_snapshot_xmin(pg_current_snapshot())`,
      ),
    )
    .orderBy(asc(events.tx), asc(events.seq))
    .limit(limit);
}

/**
 * The position behind which everything is new to a reader that starts now: the last row below the horizon. The horizon
 * itself would not do: after a crash Postgres gives numbers again that no commit had used, and a reader would pass them.
 */
export async function endOfLog(log: Sql): Promise<Position> {
  const [row] = await log<Position[]>`
    select tx::text as tx, seq::text as seq from events
    where tx < pg_snapshot_xmin(pg_current_snapshot())
    order by events.tx desc, events.seq desc limit 1`;
  return row === undefined ? startOfLog : { tx: row.tx, seq: row.seq };
}

/** The first transaction that may still be open: all before it have ended, and what they wrote stays as it is. */
export async function horizonOf(log: Sql): Promise<string> {
  const [row] = await log<{ tx: string }[]>`select pg_snapshot_xmin(pg_current_snapshot())::text as tx`;
  return row?.tx ?? '0';
}

/** How a position that somebody kept lies to the log as it is now. */
export async function lookAtPosition(
  log: Sql,
  position: Position,
): Promise<{ isAhead: boolean; first: Position | null }> {
  const [row] = await log<{ ahead: boolean; tx: string | null; seq: string | null }[]>`
    select ${position.tx}::text::xid8 > pg_snapshot_xmin(pg_current_snapshot()) as ahead, f.tx, f.seq
    from (values (1)) as one
    left join (
      select tx::text, seq::text from events order by events.tx, events.seq limit 1
    ) as f on true`;
  const { ahead = false, tx = null, seq = null } = row ?? {};
  return { isAhead: ahead, first: tx === null || seq === null ? null : { tx, seq } };
}
