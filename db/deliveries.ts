import { sql, type SQL } from 'drizzle-orm';
import type { Sql } from './client.ts';
import { derivedId } from './ids.ts';

/** The one delivery of an event to a subscription, or to a part of its handler; each replay makes another. */
export function deliveryId(of: {
  subscription: string;
  eventId: string;
  part?: string;
  replayId?: string | null;
}): string {
  return derivedId('dlv', [of.subscription, of.eventId, of.part ?? '', of.replayId ?? ''].join('|'));
}

/**
 * A part of a `change` (db/change.ts): queues the deliveries that `source` selects, of the columns id, subscription,
 * event_id, event_recorded_at, part, replay_id, side_effects and due_at. One that has ended begins anew, with its
 * attempts at zero and without a deadline; one that is on its way stays as it is. The consumers are told by a trigger.
 */
export function queueDeliveries(source: SQL): SQL {
  return sql`
    insert into deliveries as d (id, subscription, event_id, event_recorded_at, part, replay_id, side_effects, state, due_at)
    select q.id, q.subscription, q.event_id, q.event_recorded_at, q.part, q.replay_id, q.side_effects, 'pending', q.due_at
    from (${source}) as q (id, subscription, event_id, event_recorded_at, part, replay_id, side_effects, due_at)
    order by q.id
    on conflict (id) do update
    set state = 'pending', attempts = 0, due_at = excluded.due_at, deadline_at = null, claimed_until = null,
        last_error = null, previews = null, ended_at = null
    where d.state in ('completed', 'failed')
    returning d.id`;
}

/** Deletes what ended so many days ago, some at a time; what an open dead letter or a running replay needs stays. */
export async function deleteEndedDeliveries(log: Sql, days: number, limit: number): Promise<number> {
  const rows = await log`
    delete from deliveries where id in (
      select d.id from deliveries d
      where d.ended_at < now() - make_interval(days => ${days}::int)
        and not exists (select from dead_letters x where x.delivery_id = d.id and x.state = 'open')
        and not exists (select from replays r where r.id = d.replay_id and r.state = 'running')
      order by d.ended_at limit ${limit}::int)
    returning id`;
  return rows.length;
}
