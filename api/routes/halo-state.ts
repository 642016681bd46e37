import { createRoute, z } from '@hono/zod-openapi';
import { listHaloCounters } from '../../db/halo-counters.ts';
import { cycleModes } from '../../domain/halo.ts';
import { budgetLeft, emptyHaloLoop, nextStart } from '../../domain/halo-loop.ts';
import { haloWorkflowId } from '../../domain/names.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { answer, instant, temporalLink, temporalLinkSchema } from '../schemas.ts';

const counts = z.record(z.string(), z.number());
const counter = z.object({
  name: z.string(),
  count: z.number(),
  threshold: z.number().openapi({ description: 'How many trigger a cycle; 0 is off.' }),
  since: instant.nullable(),
  reached: z.number().openapi({ description: 'How often the threshold was reached.' }),
});

const pending = z.object({
  cycleId: z.string(),
  mode: z.enum(cycleModes),
  since: instant,
  triggers: counts.openapi({ description: 'How often each trigger asked while this cycle waited.' }),
  startsAt: instant.nullable().openapi({ description: 'At the earliest; null while nobody knows.' }),
  because: z.string().openapi({ description: 'What it waits for.' }),
});

const loop = createRoute({
  method: 'get',
  path: '/v1/halo',
  tags: ['halo'],
  summary: 'Where the loop stands, what waits and for what, and what triggers the next cycle',
  ...guard('halo:read'),
  responses: {
    200: answer(
      'The state of the loop; null members while it does not run.',
      z.object({
        running: z.boolean(),
        paused: z.boolean().nullable(),
        pending: pending.nullable(),
        runningCycleId: z.string().nullable(),
        lastEndedAt: instant.nullable(),
        startsInLastHour: z.number().nullable(),
        budgetLeft: z.number().openapi({ description: 'Cycles that may still start within this hour.' }),
        cycles: z.number().nullable(),
        limits: z.object({
          cooldownMs: z.number(),
          errorWindowMs: z.number(),
          cyclesPerHour: z.number(),
          settleMs: z.number().optional().openapi({
            description: 'How old a first sign is before a cycle that nobody asked for proposes.',
          }),
          intervalMs: z.number().openapi({ description: 'How often HALO looks by itself; 0 is off.' }),
        }),
        counters: z.array(counter),
        lastTickAt: instant.nullable().openapi({ description: 'When the schedule last asked for a cycle.' }),
        temporal: temporalLinkSchema,
      }),
    ),
  },
});

const instantOf = (ms: number | null | undefined): string | null =>
  typeof ms === 'number' ? new Date(ms).toISOString() : null;

export function addHaloStateRoute(app: Api, deps: ApiDeps): void {
  const { limits, triggers } = deps.halo;

  async function countersNow(): Promise<z.infer<typeof counter>[]> {
    const rows = await listHaloCounters(deps.database.db);
    return (['requests', 'errors'] as const).map((name) => {
      const row = rows.find((one) => one.name === name);
      const threshold = triggers[name];
      if (row === undefined) return { name, count: 0, threshold, since: null, reached: 0 };
      return { name, count: row.count, threshold, since: row.since.toISOString(), reached: row.reached };
    });
  }

  app.openapi(loop, async (c) => {
    const [state, counters] = await Promise.all([deps.temporal.haloState(), countersNow()]);
    const now = deps.now();
    const left = budgetLeft(state ?? emptyHaloLoop(), limits, now);
    const start = state === null ? null : nextStart(state, limits, now);
    const waiting = state?.pending ?? null;
    return c.json(
      {
        running: state !== null,
        paused: state?.paused ?? null,
        pending:
          waiting === null
            ? null
            : {
                cycleId: waiting.cycleId,
                mode: waiting.mode,
                since: new Date(waiting.sinceMs).toISOString(),
                triggers: Object.fromEntries(
                  Object.entries(waiting.triggers).filter(([, times]) => times > 0),
                ),
                startsAt: instantOf(start?.atMs),
                because: start?.because ?? '',
              },
        runningCycleId: state?.runningCycleId ?? null,
        lastEndedAt: instantOf(state?.lastEndedMs),
        startsInLastHour: state?.startsMs.filter((at) => at > now - 3_600_000).length ?? null,
        budgetLeft: left,
        cycles: state?.cycles ?? null,
        limits: { ...limits, intervalMs: triggers.intervalMs },
        counters,
        lastTickAt: instantOf(state?.askedMs?.time),
        temporal: temporalLink(deps, haloWorkflowId, null),
      },
      200,
    );
  });
}
