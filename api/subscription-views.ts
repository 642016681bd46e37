import { z } from '@hono/zod-openapi';
import { backlogWindow, type LaneBacklog, readStanding } from '../db/backlog.ts';
import type { SubscriptionRow } from '../db/subscriptions.ts';
import { strategies } from '../domain/delivery.ts';
import { severities } from '../domain/events.ts';
import { subscriptionWorkflowId } from '../domain/names.ts';
import { subscriptionState, subscriptionStates } from '../domain/subscription-request.ts';
import type { ApiDeps } from './context.ts';
import { encodeCursor } from './paging.ts';
import { anyObject, instant, temporalLink, temporalLinkSchema } from './schemas.ts';

const backlogSchema = z.object({ events: z.number(), isMore: z.boolean() }).openapi({
  description: `Events that wait, looked for in the next ${backlogWindow} of the log; by type, source, severity and destination, not by filter.`,
});

const laneSchema = z.object({
  lane: z.string(),
  cursor: z.string(),
  backlog: backlogSchema,
  lagSeconds: z.number(),
  delivered: z.number(),
  lastDeliveredAt: instant.nullable(),
});

export const subscriptionSchema = z
  .object({
    key: z.string(),
    description: z.string(),
    state: z.enum(subscriptionStates),
    builtIn: z.boolean(),
    owner: z.string().nullable(),
    handler: anyObject,
    match: z.object({
      types: z.array(z.string()),
      minSeverity: z.enum(severities),
      excludeSourceTypes: z.array(z.string()),
      sources: z.array(z.string()).optional(),
      destination: z.string().optional(),
      filter: z.string().optional(),
    }),
    strategy: z.enum(strategies),
    consumers: z.number(),
    retry: z.object({ maxAttempts: z.number(), backoffMs: z.number(), maxBackoffMs: z.number() }),
    deadlineMs: z.number().nullable(),
    pause: z.object({ at: instant, by: z.string().nullable(), reason: z.string().nullable() }).nullable(),
    lanes: z.array(laneSchema),
    backlog: backlogSchema,
    lagSeconds: z.number(),
    delivered: z.number(),
    pendingDeliveries: z.number(),
    openDeadLetters: z.number(),
    version: z.number(),
    previousSecretUntil: instant.nullable(),
    createdAt: instant,
    updatedAt: instant,
    temporal: temporalLinkSchema,
  })
  .openapi('Subscription');
export type SubscriptionView = z.infer<typeof subscriptionSchema>;

const seconds = (ms: number): number => Math.round(ms / 100) / 10;

function laneView(lane: LaneBacklog): z.infer<typeof laneSchema> {
  return {
    lane: lane.lane,
    cursor: encodeCursor(lane.cursor),
    backlog: { events: lane.waiting, isMore: lane.isMore },
    lagSeconds: seconds(lane.lagMs),
    delivered: lane.delivered,
    lastDeliveredAt: lane.lastDeliveredAt,
  };
}

/** The configuration of a handler as people may see it: an address of a webhook is sealed. */
function handlerView({ handler, config }: SubscriptionRow): Record<string, unknown> {
  const { sealedUrl: _sealed, ...shown } = config;
  return { kind: handler, ...shown };
}

/** Subscriptions with where they stand now, by two statements whatever their number. */
export async function subscriptionViews(deps: ApiDeps, rows: SubscriptionRow[]): Promise<SubscriptionView[]> {
  const { log } = deps.database;
  const keys = rows.map(({ key }) => key);
  const standingOf = await readStanding(log, keys);
  return rows.map((row) => {
    const { key, description, owner, match, strategy, consumers, deadlineMs, version, pausedAt } = row;
    const { maxAttempts, backoffMs, maxBackoffMs } = row;
    const { lanes, waiting, isMore, lagMs, delivered, pending, openDeadLetters } = standingOf(key);
    return {
      ...{ key, description, owner, match, strategy, consumers, deadlineMs, version },
      state: subscriptionState(row),
      builtIn: owner === null,
      handler: handlerView(row),
      retry: { maxAttempts, backoffMs, maxBackoffMs },
      pause:
        pausedAt === null ? null : { at: pausedAt.toISOString(), by: row.pausedBy, reason: row.pauseReason },
      lanes: lanes.map(laneView),
      backlog: { events: waiting, isMore },
      lagSeconds: seconds(lagMs),
      ...{ delivered, openDeadLetters, pendingDeliveries: pending },
      previousSecretUntil: row.previousSecretUntil?.toISOString() ?? null,
      createdAt: row.createdAt.toISOString(),
      updatedAt: row.updatedAt.toISOString(),
      temporal: temporalLink(deps, subscriptionWorkflowId(key), null),
    };
  });
}
