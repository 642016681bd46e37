import { z } from '@hono/zod-openapi';
import type { ReplayRow } from '../db/replays.ts';
import { sourceTypes } from '../domain/events.ts';
import { type ReplayCounts, type ReplaySelection, replayStates } from '../domain/replay.ts';
import type { ApiDeps } from './context.ts';
import { idParams, instant, queryText, temporalLink, temporalLinkSchema } from './schemas.ts';

const time = z.iso.datetime({ offset: true });
const mostIds = 1_000;

/** A `*` alone is none: to take everything is to leave it out. */
export const selectedType = z
  .string()
  .max(120)
  .regex(/^[a-z0-9.-]+\*?$/, 'is a type, or the beginning of one with a * behind it');

/** Which events of the log; the members are combined with "and". */
export const selectionShape = {
  ids: z.array(idParams.shape.id).min(1).max(mostIds, `may name at most ${mostIds} events`).optional(),
  correlationId: queryText(200).optional(),
  type: selectedType.optional(),
  sourceType: z.enum(sourceTypes).optional(),
  sourceId: queryText(200).optional(),
  from: time.optional(),
  to: time.optional(),
};

/** A parsed selection without the members that were not given. */
export function toSelection(said: {
  [K in keyof ReplaySelection]?: ReplaySelection[K] | undefined;
}): ReplaySelection {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}

const found = z.object({ id: z.string(), type: z.string(), recordedAt: instant }).nullable();

export const foundSchema = z.object({
  count: z.number(),
  more: z.boolean(),
  first: found,
  last: found,
  types: z.array(z.object({ type: z.string(), count: z.number() })),
});

export const replaySchema = z
  .object({
    id: z.string(),
    subscription: z.string(),
    select: z.object({ ...selectionShape, sourceType: z.string().optional() }),
    onlyMatching: z.boolean(),
    sideEffects: z.boolean(),
    perMinute: z.number(),
    maximum: z.number(),
    state: z.enum(replayStates),
    progress: z.object({
      selected: z.number(),
      notMatching: z.number(),
      queued: z.number(),
      allQueued: z.boolean(),
      pending: z.number(),
      processing: z.number(),
      completed: z.number(),
      failed: z.number(),
      withdrawn: z.number(),
    }),
    because: z.string().nullable(),
    reason: z.string(),
    requestedBy: z.string(),
    createdAt: instant,
    endedAt: instant.nullable(),
    temporal: temporalLinkSchema,
  })
  .openapi('Replay');

export function replayView(
  deps: ApiDeps,
  row: ReplayRow,
  counts: ReplayCounts,
): z.infer<typeof replaySchema> {
  const { id, subscription, onlyMatching, sideEffects, perMinute, maximum, state, because, reason } = row;
  return {
    ...{ id, subscription, select: row.selection, onlyMatching, sideEffects, perMinute, maximum, state },
    progress: {
      selected: row.matched,
      notMatching: row.skipped,
      queued: row.queued,
      allQueued: row.queuedAt !== null,
      ...counts,
      withdrawn: row.withdrawn,
    },
    ...{ because, reason, requestedBy: row.requestedBy },
    createdAt: row.createdAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
    temporal: temporalLink(deps, row.workflowId, row.runId),
  };
}
