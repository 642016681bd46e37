import { z } from '@hono/zod-openapi';
import type { EventFilter, EventRow } from '../db/events.ts';
import { isAtLeast, priorities, severities, sourceTypes } from '../domain/events.ts';
import { encodeCursor } from './paging.ts';
import { anyObject, instant, queryText } from './schemas.ts';

export const eventSchema = z
  .object({
    id: z.string(),
    type: z.string(),
    category: z.string(),
    source: z.object({ type: z.enum(sourceTypes), id: z.string() }),
    destination: z.string().nullable(),
    severity: z.enum(severities),
    priority: z.enum(priorities),
    payload: anyObject,
    metadata: anyObject,
    correlationId: z.string().nullable(),
    causationId: z.string().nullable(),
    path: z
      .array(z.string())
      .openapi({ description: 'Wormholes and clusters it came through, oldest first.' }),
    schemaVersion: z
      .number()
      .int()
      .nullable()
      .openapi({ description: 'The version of the schema of its type that it was checked against.' }),
    occurredAt: instant,
    recordedAt: instant,
    deliverAt: instant.nullable().openapi({ description: 'Not handed to its subscribers before.' }),
    cursor: z.string(),
  })
  .openapi('Event');

/** Looser than a pattern that something is stored under: what begins no type finds nothing. */
export const typeSearch = z
  .string()
  .max(120)
  .regex(/^[a-z0-9.-]*\*?$/, 'must be an event type, or the beginning of one with a * behind it');

export const eventTypeQuery = typeSearch
  .optional()
  .openapi({ description: 'A type, or how it begins, with * at the end.' });

/** Query members that choose events; combined with "and". */
export const eventFilterQuery = {
  type: eventTypeQuery,
  category: queryText(120).optional(),
  sourceType: z.enum(sourceTypes).optional(),
  sourceId: queryText(200).optional(),
  destination: queryText(200).optional(),
  severity: z.enum(severities).optional(),
  minSeverity: z.enum(severities).optional(),
  correlationId: queryText(200).optional(),
};

export function placeOf(row: EventRow): { tx: string; seq: string } {
  return { tx: row.tx, seq: String(row.seq) };
}

export function eventView(row: EventRow): z.infer<typeof eventSchema> {
  return {
    id: row.id,
    type: row.type,
    category: row.category,
    source: { type: row.sourceType, id: row.sourceId },
    destination: row.destination,
    severity: row.severity,
    priority: row.priority,
    payload: row.payload,
    metadata: row.metadata,
    correlationId: row.correlationId,
    causationId: row.causationId,
    path: row.path,
    schemaVersion: row.schemaVersion === 0 ? null : row.schemaVersion,
    occurredAt: row.occurredAt.toISOString(),
    recordedAt: row.recordedAt.toISOString(),
    deliverAt: row.deliverAt?.toISOString() ?? null,
    cursor: encodeCursor(placeOf(row)),
  };
}

/** The same choice as `listEvents` makes in SQL, for rows that were read already. */
export function fits(row: EventRow, filter: EventFilter): boolean {
  const { type } = filter;
  const isType = type?.endsWith('*') ? row.type.startsWith(type.slice(0, -1)) : row.type === type;
  return (
    (type === undefined || isType) &&
    (filter.category === undefined || row.category === filter.category) &&
    (filter.sourceType === undefined || row.sourceType === filter.sourceType) &&
    (filter.sourceId === undefined || row.sourceId === filter.sourceId) &&
    (filter.destination === undefined || row.destination === filter.destination) &&
    (filter.severity === undefined || row.severity === filter.severity) &&
    (filter.minSeverity === undefined || isAtLeast(row.severity, filter.minSeverity)) &&
    (filter.correlationId === undefined || row.correlationId === filter.correlationId) &&
    (filter.from === undefined || row.recordedAt >= filter.from) &&
    (filter.to === undefined || row.recordedAt <= filter.to)
  );
}
