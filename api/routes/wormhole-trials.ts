import { createRoute, z } from '@hono/zod-openapi';
import { listChannels } from '../../db/channels.ts';
import { newId } from '../../db/ids.ts';
import { holdOn } from '../../db/kill-switch.ts';
import { getLoggedEvent, recordedEvents } from '../../db/recorded-events.ts';
import { findOpenTask } from '../../db/task-fold.ts';
import { resultsOf } from '../../db/wormhole-results.ts';
import { noteBackTest } from '../../db/wormholes.ts';
import { defaultPriority, isAtLeast, type LoggedEvent } from '../../domain/events.ts';
import { refuse } from '../../domain/refusal.ts';
import { matchesType } from '../../domain/subscription.ts';
import { risks } from '../../domain/task.ts';
import { findMismatch, wormholeOutcomes } from '../../domain/wormhole.ts';
import {
  createBackTest,
  testChanges,
  testedOutcomes,
  wormholeTestLimits,
} from '../../domain/wormhole-backtest.ts';
import { type Effect, planEvent } from '../../domain/wormhole-effect.ts';
import { guard } from '../auth.ts';
import type { Api, ApiContext, ApiDeps } from '../context.ts';
import { eventInput } from '../event-input.ts';
import { requireReach } from '../object-scope.ts';
import { throwRefusal } from '../problems.ts';
import { answer, anyObject, body, idParams, instant } from '../schemas.ts';
import { tryWormhole } from '../wormhole-subject.ts';
import { wormholeInput } from './wormhole-input.ts';

const mostEvents = 10_000;

const subject = { id: idParams.shape.id.optional(), draft: wormholeInput.optional() };
const oneSubject = 'must be either the id of a stored wormhole or a whole draft';

const eventSample = eventInput.extend({
  path: z.array(z.string().max(100)).max(32).default([]),
});

const dryRun = createRoute({
  method: 'post',
  path: '/v1/wormholes/dry-run',
  tags: ['bus'],
  summary: 'Says whether a wormhole takes an event and what it would do, or why not; writes nothing',
  ...guard('bus:read'),
  request: {
    body: body(
      z
        .strictObject({ ...subject, event: eventSample.optional(), eventId: idParams.shape.id.optional() })
        .refine(({ id, draft }) => (id === undefined) !== (draft === undefined), oneSubject)
        .refine(
          ({ event, eventId }) => (event === undefined) !== (eventId === undefined),
          'must hold either an event or the eventId of a recorded one',
        ),
    ),
  },
  responses: {
    200: answer(
      'What would happen.',
      z.object({
        wormhole: z.object({ id: z.string().nullable(), name: z.string(), enabled: z.boolean() }),
        matched: z.boolean(),
        outcome: z.enum(testedOutcomes),
        would: z.string().nullable(),
        why: z.string().nullable(),
        effect: anyObject.nullable(),
        notes: z.array(z.string()),
      }),
    ),
  },
});

const sample = z.object({
  eventId: z.string(),
  type: z.string(),
  recordedAt: z.string(),
  outcome: z.enum(testedOutcomes),
  says: z.string(),
});
const number = z.number();
const counts = <T extends string>(names: readonly T[]) =>
  z.object(Object.fromEntries(names.map((name) => [name, number])) as Record<T, typeof number>);

const backTest = createRoute({
  method: 'post',
  path: '/v1/wormholes/back-test',
  tags: ['bus'],
  summary:
    'Runs a wormhole over recorded events and says what it would have done, beside what the stored one did; does nothing of it',
  ...guard('bus:operate'),
  request: {
    body: body(
      z
        .strictObject({
          ...subject,
          from: z.iso.datetime({ offset: true }).optional(),
          to: z.iso.datetime({ offset: true }).optional(),
          last: z.number().int().min(1).max(mostEvents).optional(),
        })
        .refine(({ id, draft }) => (id === undefined) !== (draft === undefined), oneSubject),
    ),
  },
  responses: {
    200: answer(
      'What would have come of them.',
      z
        .object({
          wormhole: z.object({ id: z.string().nullable(), name: z.string(), version: z.number().nullable() }),
          window: z.object({ from: instant.nullable(), to: instant.nullable(), complete: z.boolean() }),
          events: number,
          outcomes: counts(testedOutcomes),
          would: counts([
            'results',
            'notifications',
            'events',
            'haloTriggers',
            'forwards',
            'tasks',
            'foldedIntoTasks',
          ]),
          tasks: z.array(
            z.object({
              fingerprint: z.string(),
              type: z.string(),
              title: z.string(),
              target: z.string(),
              risk: z.enum(risks),
              events: number,
              openTaskId: z.string().nullable(),
            }),
          ),
          tasksLeftOut: number,
          samples: z.array(sample),
          compared: z
            .object({
              same: number,
              changes: counts(testChanges),
              samples: z.array(
                sample.extend({ change: z.enum(testChanges), then: z.enum(wormholeOutcomes).nullable() }),
              ),
            })
            .nullable(),
          countsForEnabling: z.boolean(),
          notes: z.array(z.string()),
        })
        .openapi('WormholeBackTest'),
    ),
  },
});

export function addWormholeTrialRoutes(app: Api, deps: ApiDeps): void {
  const { db, log } = deps.database;

  async function eventOf(given: {
    event?: z.infer<typeof eventSample> | undefined;
    eventId?: string | undefined;
  }) {
    if (given.event !== undefined) return asLogged(given.event, new Date(deps.now()).toISOString());
    const id = given.eventId ?? '';
    return (await getLoggedEvent(log, id)) ?? throwRefusal(refuse('NOT_FOUND', `There is no event ${id}.`));
  }

  /** What only the record knows of an effect: who is told, what is open already, what holds it back. */
  async function notesOn(effect: Effect): Promise<string[]> {
    if (effect.kind === 'task') {
      const open = await findOpenTask(db, effect.task.fingerprint);
      const held = await holdOn(db, { kind: 'task', target: effect.task.target }, 'propose');
      return [
        ...(open === null ? [] : [`It would join the open task ${open.id}.`]),
        ...(held === null ? [] : [`Not now: ${held.message}`]),
      ];
    }
    if (effect.kind !== 'emit' || !effect.isNotice) return [];
    const { type, severity } = effect.event;
    const channels = (await listChannels(db, '', 200)).filter(
      ({ enabled, topics, minSeverity }) =>
        enabled && isAtLeast(severity, minSeverity) && topics.some((topic) => matchesType(topic, type)),
    );
    return channels.length === 0
      ? [`No channel takes ${type} of severity ${severity}: nobody would be told.`]
      : [`Told: ${channels.map(({ name }) => name).join(', ')}.`];
  }

  app.openapi(dryRun, async (c) => {
    const given = c.req.valid('json');
    requireReach(c.get('principal'), 'events:read');
    const { rule, stored } = await tryWormhole(deps, given);
    const event = await eventOf(given);
    const plan = planEvent(rule, event);
    return c.json(
      {
        wormhole: { id: stored?.id ?? null, name: rule.wormhole.name, enabled: stored?.enabled ?? false },
        matched: plan.outcome !== 'unmatched',
        outcome: plan.outcome,
        would: plan.outcome === 'acts' ? plan.would : null,
        why:
          plan.outcome === 'unmatched'
            ? findMismatch(rule, event)
            : plan.outcome === 'acts'
              ? null
              : plan.why,
        effect: plan.outcome === 'acts' ? plan.effect : null,
        notes: plan.outcome === 'acts' ? await notesOn(plan.effect) : [],
      },
      200,
    );
  });

  app.openapi(backTest, async (c) => {
    const { from, to, last, ...given } = c.req.valid('json');
    requireReach(c.get('principal'), 'events:read');
    const { rule, stored } = await tryWormhole(deps, given);
    const isWindow = from !== undefined || to !== undefined;
    const window = {
      from: from === undefined ? null : new Date(from),
      to: to === undefined ? null : new Date(to),
      most: last ?? (isWindow ? mostEvents : 1_000),
    };
    const { isWhole, batches } = await recordedEvents(log, window);
    const test = createBackTest(rule);
    for await (const batch of batches) {
      const then =
        stored === null
          ? null
          : await resultsOf(
              db,
              stored.id,
              batch.map(({ id }) => id),
            );
      for (const event of batch) test.add(event, then?.get(event.id) ?? null);
    }
    const { compared, tasks, ...report } = test.report();
    const noted = given.id === undefined || stored === null ? false : await note(c, stored, report.events);
    return c.json(
      {
        wormhole: { id: stored?.id ?? null, name: rule.wormhole.name, version: stored?.version ?? null },
        window: {
          from: window.from?.toISOString() ?? null,
          to: window.to?.toISOString() ?? null,
          complete: isWhole,
        },
        ...report,
        tasks: await Promise.all(
          tasks.map(async (task) => ({
            ...task,
            openTaskId: (await findOpenTask(db, task.fingerprint))?.id ?? null,
          })),
        ),
        compared: stored === null ? null : compared,
        countsForEnabling: noted,
        notes: [
          ...wormholeTestLimits,
          ...(isWhole ? [] : [`Only the newest ${window.most} events of the time were run.`]),
        ],
      },
      200,
    );
  });

  async function note(
    c: ApiContext,
    stored: { id: string; version: number },
    events: number,
  ): Promise<boolean> {
    const outcome = await noteBackTest(db, {
      ...{ id: stored.id, version: stored.version, detail: { events } },
      actor: c.get('principal').id,
      opKey: `wormhole.back-test:${stored.id}:${newId('op')}`,
    });
    return outcome.status !== 'unchanged';
  }
}

/** A sample as the log would have it. */
function asLogged(given: z.infer<typeof eventSample>, now: string): LoggedEvent {
  const { source, occurredAt, priority, severity, type, payload, metadata, path } = given;
  return {
    ...{ id: given.id ?? 'evt_sample', tx: '0', seq: '0', type, severity, payload, metadata, path },
    sourceType: source.type,
    sourceId: source.id,
    destination: given.destination ?? null,
    priority: priority ?? defaultPriority(severity),
    correlationId: given.correlationId ?? null,
    causationId: given.causationId ?? null,
    occurredAt: occurredAt === undefined ? now : new Date(occurredAt).toISOString(),
    recordedAt: now,
    deliverAt: given.deliverAt ?? null,
  };
}
