import { categoryOf, defaultPriority, eventTypes, type LoggedEvent } from '../domain/events.ts';
import { isToldWhenFailed } from '../domain/delivery.ts';
import type { Sql } from './client.ts';
import { newId } from './ids.ts';

/** A delivery that failed for the first time, or that was given up. */
export type FailureNote = {
  deliveryId: string;
  event: LoggedEvent;
  part: string;
  attempts: number;
  cause: string;
  error: string;
  deadLettered: boolean;
};

/**
 * The end of a statement whose part `written` has the delivery rows it wrote: a dead letter for what was given up, and
 * the news of both, never about news of failures nor about what HALO says (LEDGER 5.4).
 */
export function noteFailures(log: Sql, subscription: string, notes: FailureNote[]) {
  return log`
    noted as (
      select * from jsonb_to_recordset(${JSON.stringify(notes.map((note) => rowOf(subscription, note)))}::text::jsonb)
        as n(delivery_id text, letter_id text, event jsonb, cause text, error text, news jsonb)
    ),
    buried as (
      insert into dead_letters (id, delivery_id, subscription, part, event_id, event_type, event, cause, error, history,
                                attempts)
      select n.letter_id, w.id, w.subscription, w.part, w.event_id, n.event->>'type', n.event, n.cause, n.error, w.history,
             w.attempts
      from noted n join written w on w.id = n.delivery_id
      where n.letter_id is not null
      returning id
    ),
    stated as (
      select s.* from noted n join written w on w.id = n.delivery_id
      cross join lateral jsonb_to_record(n.news) as s(
        id text, type text, category text, source_type text, source_id text, severity text, priority text, payload jsonb,
        correlation_id text, causation_id text)
      where n.news is not null
    ),
    keyed as (insert into event_keys (id) select id from stated order by id on conflict do nothing returning id),
    logged as (
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata,
                          correlation_id, causation_id, occurred_at)
      select s.id, s.type, s.category, s.source_type, s.source_id, s.severity, s.priority, s.payload, '{}'::jsonb,
             s.correlation_id, s.causation_id, now()
      from stated s join keyed using (id)
      returning seq
    )`;
}

function rowOf(subscription: string, note: FailureNote) {
  return {
    delivery_id: note.deliveryId,
    letter_id: note.deadLettered ? newId('dlt') : null,
    event: note.deadLettered ? note.event : null,
    cause: note.cause,
    error: note.error,
    news: isToldWhenFailed(note.event) ? newsOf(subscription, note) : null,
  };
}

function newsOf(subscription: string, note: FailureNote) {
  const { event, part, attempts, cause, error, deadLettered } = note;
  const severity = deadLettered ? 'error' : 'warning';
  return {
    id: newId('evt'),
    type: eventTypes.processingFailed,
    category: categoryOf(eventTypes.processingFailed),
    source_type: 'system',
    source_id: `subscription:${subscription}`,
    severity,
    priority: defaultPriority(severity),
    payload: {
      ...{ subscription, eventId: event.id, eventType: event.type, part, attempts, cause, error },
      deadLettered,
    },
    correlation_id: event.correlationId,
    causation_id: event.id,
  };
}
