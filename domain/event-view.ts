import { categoryOf, type LoggedEvent } from './events.ts';
import type { JsonObject } from './json.ts';

/** An event as others see it: what `GET /v1/events/{id}` says of it, without its place in the log. */
export function publicEvent(event: LoggedEvent): JsonObject {
  return {
    id: event.id,
    type: event.type,
    category: categoryOf(event.type),
    source: { type: event.sourceType, id: event.sourceId },
    destination: event.destination,
    severity: event.severity,
    priority: event.priority,
    payload: event.payload,
    metadata: event.metadata,
    correlationId: event.correlationId,
    causationId: event.causationId,
    path: event.path,
    occurredAt: event.occurredAt,
    recordedAt: event.recordedAt,
  };
}
