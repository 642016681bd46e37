import { sql } from 'drizzle-orm';
import { eventInputSchema, eventTypes } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import type { Db, Sql } from './client.ts';
import { appendEvents } from './events.ts';
import { derivedId } from './ids.ts';

/** Tells in the log that a signal came with a ticket of a wrong signature; a repetition tells it once. */
export async function tellForgedTicket(log: Sql, seen: { workflowId: string; opKey: string }): Promise<void> {
  const { workflowId, opKey } = seen;
  const told = {
    id: derivedId('evt', `${opKey}:forged`),
    type: eventTypes.ticketForged,
    source: { type: 'system', id: 'gate' },
    severity: 'warning',
    payload: { workflowId, title: `A ticket with a wrong signature reached ${workflowId}` },
  };
  await appendEvents(log, [eventInputSchema.parse(told)]);
}

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
