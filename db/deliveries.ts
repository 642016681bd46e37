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

/** A delivery to be made, from now on or from a moment on. */
export type QueuedDelivery = {
  id: string;
  subscription: string;
  eventId: string;
  /** As a `LoggedEvent` has it: finds the event's partition. */
  eventRecordedAt: string;
  part?: string;
  replayId?: string | null;
  /** False makes the consumer ask for a preview and do nothing. */
  sideEffects?: boolean;
  dueAt?: string | null;
};

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

/** Rows for `queueDeliveries` from values, as many as wanted in one statement. */
export function deliveryRows(rows: QueuedDelivery[]): SQL {
  return sql`
    select r.id, r.subscription, r.event_id, r.event_recorded_at, coalesce(r.part, ''), r.replay_id,
           coalesce(r.side_effects, true), coalesce(r.due_at, now())
    from jsonb_to_recordset(${JSON.stringify(rows.map(rowOf))}::text::jsonb) as r(
      id text, subscription text, event_id text, event_recorded_at timestamptz, part text, replay_id text,
      side_effects boolean, due_at timestamptz)`;
}

function rowOf(row: QueuedDelivery) {
  return {
    id: row.id,
    subscription: row.subscription,
    event_id: row.eventId,
    event_recorded_at: row.eventRecordedAt,
    part: row.part,
    replay_id: row.replayId,
    side_effects: row.sideEffects,
    due_at: row.dueAt,
  };
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
