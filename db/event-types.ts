import type { JsonObject } from '../domain/json.ts';
import type { Sql } from './client.ts';

export type SeenType = { type: string; count: number; firstSeen: Date; lastSeen: Date };

/** How many of the newest events are looked at, however large the log is. */
export const mostLookedAt = 100_000;

/** The types among the newest events of the last hours, the most frequent first. */
export async function recentTypes(
  log: Sql,
  asked: { hours: number; limit: number },
): Promise<{ types: SeenType[]; looked: number }> {
  const rows = await log<(SeenType & { looked: number })[]>`
    with newest as (
      select type, recorded_at from events
      where recorded_at > now() - make_interval(hours => ${asked.hours}::int)
      order by events.tx desc, events.seq desc
      limit ${mostLookedAt}
    )
    select type, count(*)::int as count, min(recorded_at) as "firstSeen", max(recorded_at) as "lastSeen",
           (select count(*)::int from newest) as looked
    from newest group by type order by count(*) desc, type limit ${asked.limit}`;
  return {
    types: rows.map(({ looked: _looked, ...seen }) => seen),
    looked: rows[0]?.looked ?? 0,
  };
}

/** The newest payloads of a type, newest first. */
export async function recentPayloads(
  log: Sql,
  type: string,
  limit: number,
): Promise<{ id: string; payload: JsonObject }[]> {
  return log<{ id: string; payload: JsonObject }[]>`
    select id, payload from events where type = ${type} order by recorded_at desc, seq desc limit ${limit}`;
}
