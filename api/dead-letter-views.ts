import { z } from '@hono/zod-openapi';
import type { DeadLetterFilter, DeadLetterItem, DeadLetterWhole } from '../db/dead-letter-list.ts';
import type { RedriveRow } from '../db/redrives.ts';
import { deadLetterStates } from '../db/schema/bus.ts';
import { deliveryStates } from '../domain/delivery.ts';
import { redriveItemStates, redriveStates, type RedriveCounts } from '../domain/redrive.ts';
import type { ApiDeps } from './context.ts';
import { typeSearch } from './event-view.ts';
import { anyObject, idParams, instant, queryText, temporalLink, temporalLinkSchema } from './schemas.ts';

/** What dead letters can be filtered by, in a query and in the body of a redrive or a discard alike. */
export const deadLetterFilterShape = {
  subscription: queryText(100).optional(),
  cause: queryText(100).optional(),
  type: typeSearch.optional(),
  eventId: idParams.shape.id.optional(),
  text: queryText(200).optional(),
  from: z.iso.datetime({ offset: true }).optional(),
  to: z.iso.datetime({ offset: true }).optional(),
};
type FilterInput = z.infer<z.ZodObject<typeof deadLetterFilterShape>>;

export function toDeadLetterFilter({ from, to, ...filter }: FilterInput): DeadLetterFilter {
  const date = (text: string | undefined) => (text === undefined ? undefined : new Date(text));
  return { ...filter, from: date(from), to: date(to) };
}

export const deadLetterSchema = z
  .object({
    id: z.string(),
    deliveryId: z.string(),
    subscription: z.string(),
    part: z.string(),
    eventId: z.string(),
    eventType: z.string(),
    cause: z.string(),
    error: z.string(),
    attempts: z.number(),
    state: z.enum(deadLetterStates),
    handledBy: z.string().nullable(),
    reason: z.string().nullable(),
    handledAt: instant.nullable(),
    redriveId: z.string().nullable(),
    createdAt: instant,
  })
  .openapi('DeadLetter');

/** A dead letter as lists show it: without its event and history, which can be large. */
export function deadLetterView(row: DeadLetterItem): z.infer<typeof deadLetterSchema> {
  return {
    ...{ id: row.id, deliveryId: row.deliveryId, subscription: row.subscription, part: row.part },
    ...{ eventId: row.eventId, eventType: row.eventType, cause: row.cause, error: row.error },
    ...{ attempts: row.attempts, state: row.state, handledBy: row.handledBy, reason: row.reason },
    handledAt: row.handledAt?.toISOString() ?? null,
    redriveId: row.redriveId,
    createdAt: row.createdAt.toISOString(),
  };
}

const attempt = z.object({ at: z.string(), cause: z.string(), error: z.string() });

export const deadLetterWholeSchema = deadLetterSchema
  .extend({
    event: anyObject,
    history: z.array(attempt),
    delivery: z
      .object({
        state: z.enum(deliveryStates),
        attempts: z.number(),
        dueAt: instant,
        endedAt: instant.nullable(),
        history: z.array(attempt),
      })
      .nullable(),
    occurrences: z.array(
      z.object({
        id: z.string(),
        state: z.enum(deadLetterStates),
        cause: z.string(),
        redriveId: z.string().nullable(),
        createdAt: instant,
      }),
    ),
  })
  .openapi('DeadLetterWhole');

export function deadLetterWhole(whole: DeadLetterWhole): z.infer<typeof deadLetterWholeSchema> {
  const { deadLetter, delivery, occurrences } = whole;
  return {
    ...deadLetterView(deadLetter),
    event: deadLetter.event,
    history: deadLetter.history,
    delivery:
      delivery === null
        ? null
        : {
            ...{ state: delivery.state, attempts: delivery.attempts, history: delivery.history },
            dueAt: delivery.dueAt.toISOString(),
            endedAt: delivery.endedAt?.toISOString() ?? null,
          },
    occurrences: occurrences.map((each) => ({ ...each, createdAt: each.createdAt.toISOString() })),
  };
}

export const redriveSchema = z
  .object({
    id: z.string(),
    state: z.enum(redriveStates),
    requestedBy: z.string(),
    reason: z.string().nullable(),
    filter: anyObject.nullable(),
    canary: z.boolean(),
    perMinute: z.number(),
    total: z.number(),
    counts: z.object({
      waiting: z.number(),
      released: z.number(),
      completed: z.number(),
      failed: z.number(),
      leftOut: z.number(),
    }),
    endedBecause: z.string().nullable(),
    cancelledBy: z.string().nullable(),
    createdAt: instant,
    endedAt: instant.nullable(),
    temporal: temporalLinkSchema,
  })
  .openapi('Redrive');

export const redriveWholeSchema = redriveSchema
  .extend({
    odd: z.array(
      z.object({
        deadLetterId: z.string(),
        state: z.enum(redriveItemStates),
        because: z.string().nullable(),
      }),
    ),
  })
  .openapi('RedriveWhole');

export function redriveView(
  deps: ApiDeps,
  row: RedriveRow,
  counts: RedriveCounts,
): z.infer<typeof redriveSchema> {
  return {
    ...{ id: row.id, state: row.state, requestedBy: row.requestedBy, reason: row.reason, filter: row.filter },
    ...{ canary: row.canary, perMinute: row.perMinute, total: row.total, counts },
    ...{ endedBecause: row.endedBecause, cancelledBy: row.cancelledBy },
    createdAt: row.createdAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
    temporal: temporalLink(deps, row.workflowId, row.runId),
  };
}
