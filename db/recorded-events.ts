import type { LoggedEvent } from '../domain/events.ts';
import type { Sql } from './client.ts';
import { loggedColumns, type Position } from './events.ts';

export type RecordedWindow = { from: Date | null; to: Date | null; most: number };

const batchSize = 500;

/**
 * The newest events of a time, in the order of the log, batch by batch: payloads can be large, so never all at once.
 * `isWhole` is false when the time holds more than `most` of them.
 */
export async function recordedEvents(
  log: Sql,
  window: RecordedWindow,
): Promise<{ isWhole: boolean; batches: AsyncGenerator<LoggedEvent[]> }> {
  const within = log`
    recorded_at >= coalesce(${window.from?.toISOString() ?? null}::timestamptz, '-infinity')
    and recorded_at <= coalesce(${window.to?.toISOString() ?? null}::timestamptz, 'infinity')
    and tx < pg_snapshot_xmin(pg_current_snapshot())`;
  // The newest that is left out: everything behind it is taken.
  const [before] = await log<Position[]>`
    select tx::text as tx, seq::text as seq from events where ${within}
    order by events.tx desc, events.seq desc offset ${window.most}::int limit 1`;

  async function* read(): AsyncGenerator<LoggedEvent[]> {
    let after: Position = before ?? { tx: '0', seq: '0' };
    for (let left = window.most; left > 0;) {
      const batch = await log<LoggedEvent[]>`
        select ${loggedColumns(log)} from events
        where (tx, seq) > (${after.tx}::text::xid8, ${after.seq}::text::bigint) and ${within}
        order by events.tx, events.seq limit ${Math.min(batchSize, left)}::int`;
      const last = batch.at(-1);
      if (last === undefined) return;
      yield batch;
      left -= batch.length;
      after = { tx: last.tx, seq: last.seq };
    }
  }
  return { isWhole: before === undefined, batches: read() };
}

/** One event as a consumer sees it. */
export async function getLoggedEvent(log: Sql, id: string): Promise<LoggedEvent | null> {
  const [row] = await log<LoggedEvent[]>`select ${loggedColumns(log)} from events where id = ${id} limit 1`;
  return row ?? null;
}
