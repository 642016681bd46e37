import { z } from '@hono/zod-openapi';
import type { ListedSwitch } from '../db/kill-switch-list.ts';
import { switchLevels, switchState, switchStates } from '../domain/kill-switch.ts';
import { instant } from './schemas.ts';

const whoSchema = z.object({ id: z.string(), name: z.string().nullable() });

export const heldSchema = z.object({ running: z.number(), waiting: z.number(), parked: z.number() });

export const killSwitchSchema = z
  .object({
    scope: z.string(),
    state: z.enum(switchStates),
    level: z.enum(switchLevels),
    epoch: z.number(),
    reason: z.string(),
    engagedBy: whoSchema,
    engagedAt: instant,
    release: z
      .object({
        by: whoSchema,
        at: instant,
        reason: z.string(),
        perMinute: z.number(),
        /** Parked tasks let go since. */
        drained: z.number(),
      })
      .nullable(),
    held: heldSchema,
  })
  .openapi('KillSwitch');

export function switchView(row: ListedSwitch): z.infer<typeof killSwitchSchema> {
  const { releasedBy, releasedAt } = row;
  return {
    scope: row.scope,
    state: switchState(row.level, row.held.parked),
    level: row.level,
    epoch: row.epoch,
    reason: row.reason,
    engagedBy: { id: row.engagedBy, name: row.engagedByName },
    engagedAt: row.engagedAt.toISOString(),
    release:
      releasedBy === null || releasedAt === null
        ? null
        : {
            by: { id: releasedBy, name: row.releasedByName },
            at: releasedAt.toISOString(),
            reason: row.releaseReason ?? '',
            perMinute: row.releasePerMinute,
            drained: row.drained,
          },
    held: row.held,
  };
}
