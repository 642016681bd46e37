import { createRoute, z } from '@hono/zod-openapi';
import {
  getHaloCycle,
  type HaloCycleRow,
  listHaloCycles,
  listHaloIssues,
  listProposals,
} from '../../db/halo.ts';
import { supersededBy } from '../../db/superseded.ts';
import { analyzers, issueSeverities } from '../../domain/analyzers/issue.ts';
import { cycleModes, cycleStates } from '../../domain/halo.ts';
import { haloCycleWorkflowId, haloWorkflowId } from '../../domain/names.ts';
import { refuse } from '../../domain/refusal.ts';
import { risks, taskStates } from '../../domain/task.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { askerOf } from '../decide.ts';
import { askPause } from '../halo-pause.ts';
import { cutPage, decodeCursor, pageOf, pageQuery, timePlace } from '../paging.ts';
import { throwRefusal } from '../problems.ts';
import {
  answer,
  anyObject,
  idParams,
  instant,
  optionalBody,
  temporalLink,
  temporalLinkSchema,
} from '../schemas.ts';
import { checkSchema } from './halo-analyzers.ts';

const cycleSchema = z
  .object({
    id: z.string(),
    mode: z.enum(cycleModes),
    state: z.enum(cycleStates),
    trigger: anyObject,
    weakPoints: z.array(z.object({ id: z.string(), severity: z.enum(issueSeverities), title: z.string() })),
    taskIds: z.array(z.string()),
    insightsUsed: z.array(z.string()).openapi({ description: 'Ids of those that changed what it found' }),
    error: z.string().nullable(),
    startedAt: instant,
    endedAt: instant.nullable(),
    temporal: temporalLinkSchema,
  })
  .openapi('HaloCycle');

const supersededSchema = z.object({
  taskId: z.string(),
  title: z.string(),
  target: z.string(),
  state: z.enum(taskStates),
  because: z.string(),
});

/** What one cycle did, beside its issues. */
const workSchema = z.object({
  analyses: z.array(
    z.object({
      analyzer: z.enum(analyzers),
      state: z.enum(['done', 'failed']),
      tookMs: z.number(),
      issues: z.number(),
      checks: z.array(checkSchema).optional(),
    }),
  ),
  incidents: z.array(
    z.object({ root: z.string(), name: z.string(), members: z.array(z.string()), because: z.string() }),
  ),
  learningErrors: z.array(z.string()),
  leftOut: z.array(z.object({ title: z.string(), target: z.string(), because: z.string() })),
  superseded: z.array(supersededSchema),
  proposals: z.array(
    z.object({
      taskId: z.string(),
      title: z.string(),
      target: z.string(),
      risk: z.enum(risks),
      state: z.enum(taskStates),
      blastRadius: z.number(),
    }),
  ),
});

const issueSchema = z.object({
  id: z.string(),
  analyzer: z.enum(analyzers),
  key: z.string(),
  entityKind: z.string(),
  entityId: z.string(),
  severity: z.enum(issueSeverities),
  title: z.string(),
  evidence: z.array(z.string()),
  /** The figures that show it. */
  observed: anyObject,
});

const request = createRoute({
  method: 'post',
  path: '/v1/halo/cycles',
  tags: ['halo'],
  summary: 'Asks for a cycle now; requests that wait for the same cycle share it',
  ...guard('halo:run'),
  request: { body: optionalBody(z.strictObject({ mode: z.enum(cycleModes).optional() })) },
  responses: {
    202: answer(
      'The loop has taken the request.',
      z.object({
        cycleId: z.string(),
        because: z.string(),
        temporal: temporalLinkSchema,
        loop: temporalLinkSchema,
      }),
    ),
  },
});

const list = createRoute({
  method: 'get',
  path: '/v1/halo/cycles',
  tags: ['halo'],
  summary: 'Cycles, newest first',
  ...guard('halo:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of cycles.', pageOf(cycleSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/halo/cycles/{id}',
  tags: ['halo'],
  summary: 'One cycle with the issues it found, and the earlier proposals that it superseded',
  ...guard('halo:read'),
  request: { params: idParams },
  responses: {
    200: answer('The cycle.', cycleSchema.extend({ ...workSchema.shape, issues: z.array(issueSchema) })),
  },
});

const pauseAnswer = z.object({ paused: z.boolean(), temporal: temporalLinkSchema });

function switchRoute(action: 'pause' | 'resume') {
  return createRoute({
    method: 'post',
    path: `/v1/halo/${action}`,
    tags: ['halo'],
    summary: action === 'pause' ? 'No cycle starts until a resume' : 'Cycles start again',
    ...guard('halo:run'),
    request: { body: optionalBody(z.strictObject({})) },
    responses: { 200: answer('Done.', pauseAnswer) },
  });
}

function cycleView(deps: ApiDeps, row: HaloCycleRow): z.infer<typeof cycleSchema> {
  return {
    id: row.id,
    mode: row.mode,
    state: row.state,
    trigger: row.trigger,
    weakPoints: row.weakPoints,
    taskIds: row.taskIds,
    insightsUsed: row.insightsUsed,
    error: row.error,
    startedAt: row.startedAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
    temporal: temporalLink(deps, row.workflowId, row.runId),
  };
}

export function addHaloRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;
  const loopLink = temporalLink(deps, haloWorkflowId, null);

  app.openapi(request, async (c) => {
    const mode = c.req.valid('json').mode ?? 'full';
    const asked = await deps.temporal.requestCycle({ mode, requestedBy: c.get('principal').id });
    const temporal = temporalLink(deps, haloCycleWorkflowId(asked.cycleId), null);
    return c.json({ ...asked, temporal, loop: loopLink }, 202);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const place = decodeCursor(cursor, timePlace);
    const before = place === null ? null : { startedAt: place.at, id: place.id };
    const rows = await listHaloCycles(db, before, limit + 1);
    const page = cutPage(rows, limit, (row) => ({ at: row.startedAt.getTime(), id: row.id }));
    return c.json({ items: page.rows.map((row) => cycleView(deps, row)), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    const row = await getHaloCycle(db, id);
    if (row === null) throwRefusal(refuse('NOT_FOUND', `There is no cycle ${id}.`));
    const { analyses, incidents, learningErrors, leftOut } = row;
    const [issues, proposals, superseded] = await Promise.all([
      listHaloIssues(db, id),
      listProposals(db, id),
      supersededBy(db, id),
    ]);
    return c.json(
      {
        ...cycleView(deps, row),
        analyses,
        incidents,
        learningErrors,
        leftOut,
        proposals,
        superseded,
        issues: issues.map(({ cycleId: _cycleId, ...issue }) => issue),
      },
      200,
    );
  });

  for (const action of ['pause', 'resume'] as const)
    app.openapi(switchRoute(action), async (c) => {
      const { paused } = await askPause(deps, askerOf(c), action);
      return c.json({ paused, temporal: loopLink }, 200);
    });
}
