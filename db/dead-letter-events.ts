import { sql, type SQL } from 'drizzle-orm';
import { categoryOf, defaultPriority, type eventTypes } from '../domain/events.ts';

/*
 * Which dead letters a statement takes is known only inside it, so their events are made there: one for each row of an
 * earlier part of it, with `id, delivery_id, subscription, event_id, event_type, event` of the dead letter and `by`,
 * `why`, `redrive_id` of who handled it. The log's trigger wakes the consumers.
 */
export function handledEvents(
  type: typeof eventTypes.deadLetterRedriven | typeof eventTypes.deadLetterDiscarded,
  parts: { rows: SQL; keyed: SQL },
): { keys: SQL; events: SQL } {
  const { rows, keyed } = parts;
  // A dead letter is redriven once and discarded once.
  const id = sql`'evt_' || left(encode(sha256(convert_to(${type}::text || '|' || h.id, 'UTF8')), 'hex'), 32)`;
  return {
    keys: sql`
      insert into event_keys (id) select ${id} from ${rows} h on conflict do nothing returning id`,
    events: sql`
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata,
                          correlation_id, causation_id, occurred_at)
      select k.id, ${type}, ${categoryOf(type)}, 'system', h.subscription, 'info', ${defaultPriority('info')},
             jsonb_build_object(
               'deadLetterId', h.id, 'deliveryId', h.delivery_id, 'subscription', h.subscription,
               'eventId', h.event_id, 'eventType', h.event_type, 'by', h.by, 'reason', h.why,
               'redriveId', h.redrive_id),
             '{}'::jsonb, coalesce(h.event->>'correlationId', h.event_id), h.event_id, now()
      from ${rows} h join ${keyed} k on k.id = ${id}
      order by h.id
      returning id`,
  };
}
