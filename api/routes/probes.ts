import { createRoute, z } from '@hono/zod-openapi';
import { derivedId, newId } from '../../db/ids.ts';
import { createProbe, getProbe, listProbes, type ProbeRow, setProbeEnabled } from '../../db/probes.ts';
import { setProbeDependencies } from '../../db/probe-dependencies.ts';
import { probeScheduleId, probeWorkflowId } from '../../domain/names.ts';
import { probeStates } from '../../domain/probe.ts';
import { isPermitted, type Principal } from '../../domain/access.ts';
import { refuse } from '../../domain/refusal.ts';
import { scopesOf } from '../../domain/scope.ts';
import { guard } from '../auth.ts';
import type { Api, ApiDeps } from '../context.ts';
import { nowOrLater } from '../now-or-later.ts';
import { requireObject, requireReach } from '../object-scope.ts';
import { cutPage, decodeCursor, idPlace, pageOf, pageQuery } from '../paging.ts';
import { dependenciesInput, requireNoCircle, resolveProbes } from '../probe-dependencies.ts';
import { ProblemError, throwRefusal } from '../problems.ts';
import {
  answer,
  body,
  idempotencyHeader,
  idParams,
  instant,
  optionalBody,
  temporalLink,
  temporalLinkSchema,
} from '../schemas.ts';
import { probeInput, probeMethods } from './probe-input.ts';

const probeSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    method: z.enum(probeMethods),
    url: z.string(),
    headers: z.record(z.string(), z.string()),
    body: z.string().nullable(),
    assertions: z.object({
      statusFrom: z.number(),
      statusTo: z.number(),
      maxLatencyMs: z.number().optional(),
      bodyIncludes: z.string().optional(),
    }),
    timeoutMs: z.number(),
    intervalSeconds: z.number().nullable(),
    allowPrivateNetwork: z.boolean(),
    enabled: z.boolean(),
    owner: z.string(),
    dependsOn: z.array(z.string()),
    state: z.enum(probeStates),
    consecutiveFailures: z.number(),
    lastResult: z
      .object({
        ok: z.boolean(),
        status: z.number().nullable(),
        latencyMs: z.number(),
        failures: z.array(z.string()),
        at: z.string(),
      })
      .nullable(),
    scheduleId: z.string().nullable(),
    createdAt: instant,
    updatedAt: instant,
  })
  .openapi('Probe');

function probeView(row: ProbeRow): z.infer<typeof probeSchema> {
  return {
    ...row,
    lastResult: row.lastResult ?? null,
    scheduleId: row.intervalSeconds === null ? null : probeScheduleId(row.id),
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

const create = createRoute({
  method: 'post',
  path: '/v1/probes',
  tags: ['probes'],
  summary: 'Stores a request with assertions; with an interval it runs on a Temporal Schedule',
  ...guard('probes:write'),
  request: { body: body(probeInput) },
  responses: {
    201: answer('The probe is stored, and scheduled where it has an interval.', probeSchema),
    202: answer('The probe is stored; enable it again once Temporal answers, to schedule it.', probeSchema),
  },
});

const list = createRoute({
  method: 'get',
  path: '/v1/probes',
  tags: ['probes'],
  summary: 'Probes',
  ...guard('probes:read'),
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: answer('One page of probes.', pageOf(probeSchema)) },
});

const one = createRoute({
  method: 'get',
  path: '/v1/probes/{id}',
  tags: ['probes'],
  summary: 'One probe with its newest result',
  ...guard('probes:read'),
  request: { params: idParams },
  responses: { 200: answer('The probe.', probeSchema) },
});

const edit = createRoute({
  method: 'patch',
  path: '/v1/probes/{id}',
  tags: ['probes'],
  summary: 'Says which other endpoints this one cannot do without, by id or name of their probes',
  ...guard('probes:write'),
  request: { params: idParams, body: body(z.strictObject({ dependsOn: dependenciesInput })) },
  responses: { 200: answer('The probe as it is now.', probeSchema) },
});

const runSchema = z.object({
  probeId: z.string(),
  done: z.boolean(),
  ok: z.boolean().nullable(),
  eventId: z.string().nullable(),
  failures: z.array(z.string()),
  temporal: temporalLinkSchema,
});

const run = createRoute({
  method: 'post',
  path: '/v1/probes/{id}/run',
  tags: ['probes'],
  summary: 'Runs a probe once and waits some seconds for its result',
  ...guard('probes:write'),
  request: { params: idParams, headers: idempotencyHeader, body: optionalBody(z.strictObject({})) },
  responses: {
    200: answer('What it saw. A failing endpoint is a result, not an error.', runSchema),
    202: answer('It is still running; follow the link.', runSchema),
  },
});

function switchRoute(action: 'enable' | 'disable') {
  return createRoute({
    method: 'post',
    path: `/v1/probes/{id}/${action}`,
    tags: ['probes'],
    summary: action === 'enable' ? 'Switches a probe and its schedule on' : 'Switches them off',
    ...guard('probes:write'),
    request: { params: idParams, body: optionalBody(z.strictObject({})) },
    responses: { 200: answer('The probe as it is now.', probeSchema) },
  });
}

const waitForResultMs = 5_000;

export function addProbeRoutes(app: Api, deps: ApiDeps): void {
  const { db } = deps.database;

  async function requireProbeFor(
    principal: Principal,
    id: string,
    need: 'probes:read' | 'probes:write',
  ): Promise<ProbeRow> {
    return requireObject(principal, await getProbe(db, id), {
      ...{ what: 'probe', id, need, read: 'probes:read' },
      target: (probe) => `probe:${probe.id}`,
    });
  }

  async function requireProbe(id: string): Promise<ProbeRow> {
    return (await getProbe(db, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no probe ${id}.`));
  }

  async function putSchedule(probe: ProbeRow): Promise<void> {
    if (probe.intervalSeconds === null) return;
    const { id: probeId, intervalSeconds, enabled } = probe;
    await deps.temporal.putProbeSchedule({ probeId, intervalSeconds, paused: !enabled });
  }

  app.openapi(create, async (c) => {
    const input = c.req.valid('json');
    const principal = c.get('principal');
    // Asked of the key, not of the role's name: a key cut down to probes must not reach inside.
    if (input.allowPrivateNetwork && !isPermitted(principal, 'security:write'))
      throwRefusal(refuse('FORBIDDEN', 'Only an admin lets a probe reach private addresses.'));
    const id = newId('prb');
    requireReach(principal, 'probes:write', `probe:${id}`);
    const outcome = await createProbe(db, {
      ...input,
      id,
      dependsOn: await resolveProbes(db, principal, input.dependsOn),
      body: input.body ?? null,
      intervalSeconds: input.intervalSeconds ?? null,
      owner: principal.id,
      opKey: `probe.create:${id}`,
    });
    if (outcome.status === 'unchanged')
      throwRefusal(refuse('CONFLICT', `There is already a probe named ${input.name}.`));
    const probe = await requireProbe(id);
    const work = () => putSchedule(probe);
    const about = { probeId: id };
    const put = await nowOrLater(deps, work, 'a probe could not be scheduled yet', about);
    return put === null ? c.json(probeView(probe), 202) : c.json(probeView(probe), 201);
  });

  app.openapi(list, async (c) => {
    const { limit, cursor } = c.req.valid('query');
    const scopes = scopesOf(c.get('principal'), 'probes:read');
    const rows = await listProbes(db, decodeCursor(cursor, idPlace)?.id ?? '', limit + 1, scopes);
    const page = cutPage(rows, limit, (row) => ({ id: row.id }));
    return c.json({ items: page.rows.map(probeView), nextCursor: page.nextCursor }, 200);
  });

  app.openapi(one, async (c) => {
    const { id } = c.req.valid('param');
    return c.json(probeView(await requireProbeFor(c.get('principal'), id, 'probes:read')), 200);
  });

  app.openapi(edit, async (c) => {
    const principal = c.get('principal');
    const { id } = await requireProbeFor(principal, c.req.valid('param').id, 'probes:write');
    const dependsOn = await resolveProbes(db, principal, c.req.valid('json').dependsOn);
    await requireNoCircle(db, id, dependsOn);
    const opKey = `probe.edit:${id}:${newId('op')}`;
    const outcome = await setProbeDependencies(db, { id, dependsOn, actor: principal.id, opKey });
    if (outcome.status === 'circle')
      throwRefusal(refuse('CONFLICT', 'dependsOn: another change has just made this a circle. Look again.'));
    return c.json(probeView(await requireProbe(id)), 200);
  });

  app.openapi(run, async (c) => {
    const probe = await requireProbeFor(c.get('principal'), c.req.valid('param').id, 'probes:write');
    if (!probe.enabled)
      throwRefusal(refuse('CONFLICT', `Probe ${probe.name} is switched off; enable it first.`));
    const key = c.req.valid('header')['idempotency-key'];
    const occurrence =
      key === undefined ? newId('run') : derivedId('run', `${c.get('principal').id}|${probe.id}|${key}`);
    const ran = await deps.temporal.runProbe({ probeId: probe.id, occurrence, waitMs: waitForResultMs });
    if (ran.failed !== null)
      throw new ProblemError('UNAVAILABLE', 'The run of the probe failed; its history says why.', {
        details: { ...temporalLink(deps, probeWorkflowId(probe.id, occurrence), ran.runId) },
      });
    const view = {
      probeId: probe.id,
      done: ran.result !== null,
      ok: ran.result?.ok ?? null,
      eventId: ran.result?.eventId ?? null,
      failures: ran.result?.failures ?? [],
      temporal: temporalLink(deps, probeWorkflowId(probe.id, occurrence), ran.runId),
    };
    return c.json(view, ran.result === null ? 202 : 200);
  });

  for (const action of ['enable', 'disable'] as const)
    app.openapi(switchRoute(action), async (c) => {
      const { id } = await requireProbeFor(c.get('principal'), c.req.valid('param').id, 'probes:write');
      const enabled = action === 'enable';
      // Repeating it is harmless, and makes good a schedule that could not be changed the first time.
      const opKey = `probe.${action}:${id}:${newId('op')}`;
      await setProbeEnabled(db, { id, enabled, actor: c.get('principal').id, opKey });
      const probe = await requireProbe(id);
      await putSchedule(probe);
      return c.json(probeView(probe), 200);
    });
}
