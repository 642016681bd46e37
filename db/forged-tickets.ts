import { sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Db } from './client.ts';

/** How many tickets with a wrong signature came within a window, and to which runs. */
export async function forgedTickets(
  db: Db,
  windowMs: number,
): Promise<{ count: number; evidence: JsonObject }> {
  const [row] = await db.execute<{ count: number; runs: string[] }>(sql`
    select count(*)::int as count, 
      to_jsonb(coalesce((array_agg(distinct payload->>'workflowId'))[1:20], '{}')) as runs
    from events
    where type = ${eventTypes.ticketForged}
      and recorded_at > now() - make_interval(secs => ${windowMs / 1000}::double precision)`);
  return { count: row?.count ?? 0, evidence: { runs: row?.runs ?? [] } };
}
