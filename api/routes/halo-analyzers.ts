import { createRoute, z } from '@hono/zod-openapi';
import { lastLooks } from '../../db/halo-looks.ts';
import { checkStates, healthOf } from '../../domain/analyzers/check.ts';
import { analyzers } from '../../domain/analyzers/issue.ts';
import { analyzerRegistry, plannedAnalyzers } from '../../domain/analyzers/registry.ts';
import { cycleModes } from '../../domain/halo.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { answer, instant } from '../schemas.ts';

export const checkSchema = z.object({
  name: z.string(),
  state: z.enum(checkStates).openapi({
    description: 'failed: it could not be looked at; not-configured: nothing is named to be watched.',
  }),
  said: z.string(),
  watches: z.array(z.string()),
});

const analyzerSchema = z.object({
  name: z.enum(analyzers),
  about: z.string(),
  watches: z.string().openapi({ description: 'What it looks at, and where that is named.' }),
  modes: z.array(z.enum(cycleModes)).openapi({ description: 'The cycles that run it.' }),
  lastLook: z
    .object({
      cycleId: z.string(),
      at: instant,
      state: z.enum(['done', 'failed']),
      tookMs: z.number(),
      issues: z.number(),
    })
    .nullable()
    .openapi({ description: 'Null when none of the newest 200 cycles ran it.' }),
  checks: z.array(checkSchema).openapi({ description: 'How its checks stood at the last look.' }),
  health: z.number().nullable().openapi({
    description: 'Share of the configured checks that are green; null without any.',
  }),
});

const list = createRoute({
  method: 'get',
  path: '/v1/halo/analyzers',
  tags: ['halo'],
  summary: 'What HALO looks at, how each analyzer last did, and which are still to come',
  ...guard('halo:read'),
  responses: {
    200: answer(
      'The analyzers, in the order their results are shown.',
      z.object({
        items: z.array(analyzerSchema),
        planned: z.array(z.object({ name: z.string(), about: z.string(), comesWith: z.string() })),
      }),
    ),
  },
});

export function addHaloAnalyzerRoute(app: Api, deps: ApiDeps): void {
  app.openapi(list, async (c) => {
    const looks = await lastLooks(deps.database.db);
    const items = analyzers.map((name): z.infer<typeof analyzerSchema> => {
      const { about, watches, modes } = analyzerRegistry[name];
      const shown = { name, about, watches, modes: [...modes] };
      const look = looks.get(name);
      if (look === undefined) return { ...shown, lastLook: null, checks: [], health: null };
      const { cycleId, at, state, tookMs, issues, checks = [] } = look;
      const lastLook = { cycleId, at: at.toISOString(), state, tookMs, issues };
      return { ...shown, lastLook, checks, health: healthOf(checks) };
    });
    return c.json({ items, planned: plannedAnalyzers.map((one) => ({ ...one })) }, 200);
  });
}
