import { z } from '@hono/zod-openapi';
import type { DeliveryRow, RoutedEvent, Traces } from '../db/envelopes.ts';
import type { Position } from '../db/events.ts';
import type { SubscriptionRow } from '../db/subscriptions.ts';
import { deliveryStates, strategies } from '../domain/delivery.ts';
import type { LoggedEvent } from '../domain/events.ts';
import { isRefusal } from '../domain/refusal.ts';
import { routableOf } from '../domain/routable.ts';
import { reasonAgainst } from '../domain/routing.ts';
import { anyObject, instant } from './schemas.ts';

export const envelopeSchema = z
  .object({
    subscription: z.string(),
    part: z.string(),
    routing: z.object({
      path: z.array(z.string()),
      hops: z.number(),
      strategy: z.enum(strategies),
      lane: z.string().nullable(),
      routedAt: instant,
    }),
    processing: z.object({
      state: z.enum(deliveryStates),
      attempts: z.number(),
      deadline: instant.nullable(),
      dueAt: instant.nullable(),
      endedAt: instant.nullable(),
      lastError: z.string().nullable(),
      deadLetterId: z.string().nullable(),
    }),
    metadata: z.object({
      deliveryId: z.string().nullable(),
      replayId: z.string().nullable(),
      sideEffects: z.boolean(),
    }),
    previews: z.array(anyObject).nullable(),
  })
  .openapi('Envelope');
export type Envelope = z.infer<typeof envelopeSchema>;

const isAtOrBehind = (cursor: Position, place: Position): boolean =>
  BigInt(cursor.tx) > BigInt(place.tx) || (cursor.tx === place.tx && BigInt(cursor.seq) >= BigInt(place.seq));

function laneOf({ strategy, consumers }: SubscriptionRow, { event, share }: RoutedEvent): string {
  if (strategy === 'priority') return event.priority;
  return strategy === 'balanced' ? String(share % consumers) : 'all';
}

/**
 * The envelopes of an event for one subscription (BUS-038 to BUS-042). A delivery of its own says how it stands; without
 * one the cursor does: an event behind it was handed over at once and well, one in front of it waits.
 */
export function envelopesOf(row: SubscriptionRow, routed: RoutedEvent, traces: Traces): Envelope[] {
  const own = traces.deliveries.filter(({ subscription }) => subscription === row.key);
  const envelopes = own.map((delivery) => ofDelivery(row, routed, delivery, traces));
  if (own.some(({ replayId, part }) => replayId === null && part === '')) return envelopes;
  const passed = ofCursor(row, routed, traces);
  return passed === null ? envelopes : [passed, ...envelopes];
}

function routing(row: SubscriptionRow, routed: RoutedEvent, routedAt: string): Envelope['routing'] {
  const { path } = routed.event;
  return { path, hops: path.length, strategy: row.strategy, lane: laneOf(row, routed), routedAt };
}

function ofDelivery(
  row: SubscriptionRow,
  routed: RoutedEvent,
  delivery: DeliveryRow,
  traces: Traces,
): Envelope {
  const { state, attempts, lastError, part, replayId, sideEffects, id } = delivery;
  const letter = traces.deadLetters.find(({ deliveryId }) => deliveryId === id);
  return {
    subscription: row.key,
    part,
    routing: routing(row, routed, delivery.createdAt.toISOString()),
    processing: {
      ...{ state, attempts, lastError },
      deadline: delivery.deadlineAt?.toISOString() ?? null,
      dueAt: state === 'pending' ? delivery.dueAt.toISOString() : null,
      endedAt: delivery.endedAt?.toISOString() ?? null,
      deadLetterId: letter?.id ?? null,
    },
    metadata: { deliveryId: id, replayId, sideEffects },
    previews: delivery.previews,
  };
}

/** Before this nothing was ever routed to the subscription. */
function startsBehind(row: SubscriptionRow, event: LoggedEvent, start: Position | undefined): boolean {
  if (start !== undefined) return isAtOrBehind(start, event);
  return row.createdAt.getTime() > Date.parse(event.recordedAt);
}

function ofCursor(row: SubscriptionRow, routed: RoutedEvent, { lanes, starts }: Traces): Envelope | null {
  const { event } = routed;
  // What was passed before a removal was routed all the same.
  const routable = routableOf({ ...row, enabled: true });
  if (isRefusal(routable) || reasonAgainst(routable, event) !== null) return null;
  if (startsBehind(row, event, starts.get(row.key))) return null;
  const name = laneOf(row, routed);
  const lane = lanes.find((one) => one.subscription === row.key && one.lane === name);
  if (lane === undefined) return null;
  const isPassed = isAtOrBehind({ tx: lane.cursorTx, seq: lane.cursorSeq }, event);
  if (!isPassed && !row.enabled) return null;
  const from = Math.max(Date.parse(event.recordedAt), Date.parse(event.deliverAt ?? event.recordedAt));
  return {
    subscription: row.key,
    part: '',
    // The log is the route: with the commit it is settled who gets an event.
    routing: routing(row, routed, event.recordedAt),
    processing: {
      state: isPassed ? 'completed' : 'pending',
      attempts: isPassed ? 1 : 0,
      deadline: row.deadlineMs === null ? null : new Date(from + row.deadlineMs).toISOString(),
      dueAt: isPassed ? null : event.deliverAt,
      endedAt: null,
      lastError: null,
      deadLetterId: null,
    },
    metadata: { deliveryId: null, replayId: null, sideEffects: true },
    previews: null,
  };
}
