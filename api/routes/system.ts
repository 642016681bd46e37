import { createRoute, z } from '@hono/zod-openapi';
import { listEngaged } from '../../db/kill-switch-list.ts';
import { countRecords } from '../../db/status.ts';
import { countTasks } from '../../db/tasks.ts';
import { agentStates } from '../../domain/agent.ts';
import { cycleStates } from '../../domain/halo.ts';
import { haloCycleWorkflowId } from '../../domain/names.ts';
import { probeStates } from '../../domain/probe.ts';
import { taskStates } from '../../domain/task.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { createReadiness } from '../health.ts';
import { requireReach } from '../object-scope.ts';
import { killSwitchSchema, switchView } from '../switch-view.ts';
import { answer, instant, temporalLink, temporalLinkSchema } from '../schemas.ts';

const anyone = { security: [], 'x-permission': 'public' };

const alive = createRoute({
  method: 'get',
  path: '/healthz',
  tags: ['health'],
  summary: 'The process is up',
  ...anyone,
  responses: { 200: answer('It is.', z.object({ ok: z.literal(true) })) },
});

const checkSchema = z.object({ ok: z.boolean(), message: z.string() });
const readinessSchema = z.object({
  ready: z.boolean(),
  checks: z.object({ postgres: checkSchema, schema: checkSchema, temporal: checkSchema }),
  horizonAgeMs: z.number().nullable(),
});

const ready = createRoute({
  method: 'get',
  path: '/readyz',
  tags: ['health'],
  summary: 'Postgres, its schema and Temporal answer',
  ...anyone,
  responses: {
    200: answer('They do.', readinessSchema),
    503: answer('At least one does not.', readinessSchema),
  },
});

const counts = <T extends readonly [string, ...string[]]>(states: T) =>
  z.partialRecord(z.enum(states), z.number());

const status = createRoute({
  method: 'get',
  path: '/v1/status',
  tags: ['health'],
  summary: 'One look at the whole system',
  ...guard('tasks:read'),
  responses: {
    200: answer(
      'How much of what there is, and whether the servers behind it answer.',
      z.object({
        tasks: counts(taskStates),
        /** What is stopped now. */
        killSwitches: z.array(killSwitchSchema),
        openApprovals: z.number(),
        agents: counts(agentStates),
        probes: counts(probeStates),
        lastCycle: z
          .object({
            id: z.string(),
            state: z.enum(cycleStates),
            startedAt: instant,
            temporal: temporalLinkSchema,
          })
          .nullable(),
        rawSignals: z.enum(['refuse', 'accept']),
        readiness: readinessSchema,
      }),
    ),
  },
});

export function addSystemRoutes(app: Api, deps: ApiDeps): void {
  const readiness = createReadiness(deps);
  const { db } = deps.database;

  app.openapi(alive, (c) => c.json({ ok: true as const }, 200));

  app.openapi(ready, async (c) => {
    const state = await readiness();
    return c.json(state, state.ready ? 200 : 503);
  });

  app.openapi(status, async (c) => {
    // It counts what there is, for every target.
    requireReach(c.get('principal'), 'tasks:read', '*');
    const [tasks, records, engaged, state] = await Promise.all([
      countTasks(db),
      countRecords(db),
      listEngaged(db),
      readiness(),
    ]);
    const { lastCycle, ...rest } = records;
    return c.json(
      {
        tasks,
        killSwitches: engaged.map(switchView),
        ...rest,
        lastCycle:
          lastCycle === null
            ? null
            : {
                id: lastCycle.id,
                state: lastCycle.state,
                startedAt: lastCycle.startedAt.toISOString(),
                temporal: temporalLink(deps, haloCycleWorkflowId(lastCycle.id), null),
              },
        rawSignals: deps.rawSignals ? ('accept' as const) : ('refuse' as const),
        readiness: state,
      },
      200,
    );
  });
}
