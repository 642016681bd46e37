import { z } from '@hono/zod-openapi';
import type { ChannelRow } from '../db/channels.ts';
import type { NotificationRow } from '../db/notifications.ts';
import { channelHealth, channelKinds } from '../domain/channel.ts';
import { severities } from '../domain/events.ts';
import { notificationStates } from '../domain/notification.ts';
import type { ApiDeps } from './context.ts';
import { anyObject, instant, temporalLink, temporalLinkSchema } from './schemas.ts';

export const channelSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(channelKinds),
    config: anyObject,
    hasSecret: z.boolean(),
    topics: z.array(z.string()),
    minSeverity: z.enum(severities),
    cooldownMs: z.number(),
    enabled: z.boolean(),
    health: z.enum(['unknown', 'ok', 'failing']),
    previousSecretUntil: instant.nullable(),
    createdBy: z.string(),
    lastSentAt: instant.nullable(),
    lastFailedAt: instant.nullable(),
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Channel');

/** A channel without anything that authenticates, sealed or not. */
export function channelView(row: ChannelRow): z.infer<typeof channelSchema> {
  const { id, name, kind, config, topics, minSeverity, cooldownMs, enabled, createdBy } = row;
  return {
    ...{ id, name, kind, config, topics, minSeverity, cooldownMs, enabled, createdBy },
    hasSecret: row.sealed !== null,
    health: channelHealth(row),
    previousSecretUntil: row.previousSecretUntil?.toISOString() ?? null,
    lastSentAt: row.lastSentAt?.toISOString() ?? null,
    lastFailedAt: row.lastFailedAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

export const notificationSchema = z
  .object({
    id: z.string(),
    channelId: z.string(),
    eventId: z.string(),
    topic: z.string(),
    severity: z.enum(severities),
    title: z.string(),
    text: z.string(),
    fields: z.array(z.object({ name: z.string(), value: z.string() })),
    link: z.string().nullable(),
    state: z.enum(notificationStates),
    suppressedBecause: z.string().nullable(),
    foldedInto: z.string().nullable(),
    more: z.number(),
    attempts: z.number(),
    receipt: z.object({ status: z.string(), at: z.string(), messageId: z.string().nullable() }).nullable(),
    error: z.string().nullable(),
    createdAt: instant,
    endedAt: instant.nullable(),
    temporal: temporalLinkSchema,
  })
  .openapi('Notification');

export function notificationView(deps: ApiDeps, row: NotificationRow): z.infer<typeof notificationSchema> {
  const { dedupeKey: _key, workflowId, runId, createdAt, endedAt, receipt, ...shown } = row;
  return {
    ...shown,
    receipt: receipt ?? null,
    createdAt: createdAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    temporal: temporalLink(deps, workflowId, runId),
  };
}
