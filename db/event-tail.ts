import { and, asc, sql } from 'drizzle-orm';
import type { Db, Sql } from './client.ts';
import type { EventRow, Position } from './events.ts';
import { events } from './schema/index.ts';

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

/** The position behind which everything is new to a reader that starts now. */
export async function endOfLog(log: Sql): Promise<Position> {
  const [row] = await log<{ tx: string }[]>`select pg_snapshot_xmin(pg_current_snapshot())::text as tx`;
  return { tx: row?.tx ?? '0', seq: '0' };
}
