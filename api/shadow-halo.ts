import { z } from '@hono/zod-openapi';
import {
  loopAt,
  type RecordedCycle,
  recordedCycles,
  recordedProposals,
  type Window,
  worldFacts,
} from '../db/halo-window.ts';
import { selectedPages } from '../db/replay-log.ts';
import { analyzers, issueSeverities } from '../domain/analyzers/issue.ts';
import { severities, sourceTypes } from '../domain/events.ts';
import {
  createHaloShadow,
  type HaloRule,
  loopEvents,
  notReplayable,
  presentHaloRule,
  type ShadowCycle,
} from '../domain/halo-shadow.ts';
import { createWorld, worldEvents } from '../domain/halo-world.ts';
import { diffOutcomes } from '../domain/shadow.ts';
import { risks } from '../domain/task.ts';
import type { ApiDeps } from './context.ts';
import { selectedType } from './replay-views.ts';
import { cutDiff, diffSchema, mostItems, mostShadowEvents } from './shadow-views.ts';
import { instant } from './schemas.ts';

const ms = z.number().int().min(0).max(86_400_000);
const limits = z.strictObject({
  cooldownMs: ms.optional(),
  errorWindowMs: ms.optional(),
  cyclesPerHour: z.number().int().min(1).max(1_000).optional(),
});

export const haloRuleInput = z.strictObject({
  trigger: z
    .strictObject({
      types: z.array(selectedType).max(50).optional(),
      minSeverity: z.enum(severities).optional(),
      excludeSourceTypes: z.array(z.enum(sourceTypes)).optional(),
    })
    .optional(),
  limits: limits.optional(),
  slowEndpointMs: z.number().int().min(1).max(600_000).optional(),
  weakPointFrom: z.enum(issueSeverities).optional(),
  /** How findings of an analyzer are answered; `off` proposes nothing for them. */
  strategies: z
    .array(
      z.strictObject({
        analyzer: z.enum(analyzers),
        off: z.boolean().optional(),
        risk: z.enum(risks).optional(),
      }),
    )
    .max(10)
    .optional(),
});
type HaloRuleInput = z.infer<typeof haloRuleInput>;

/** A rule with what a draft changes of it. */
function withDraft(rule: HaloRule, draft: HaloRuleInput): HaloRule {
  const given = <T extends object>(part: T): Partial<{ [K in keyof T]: Exclude<T[K], undefined> }> =>
    Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined)) as never;
  const { trigger = {}, limits: bounds = {}, strategies = [], ...rest } = draft;
  const answered = rule.strategies.flatMap((strategy) => {
    const change = strategies.find(({ analyzer }) => analyzer === strategy.analyzer);
    if (change?.off === true) return [];
    return [{ ...strategy, risk: change?.risk ?? strategy.risk }];
  });
  return {
    ...rule,
    ...given(rest),
    match: { ...rule.match, ...given(trigger) },
    limits: { ...rule.limits, ...given(bounds) },
    strategies: answered,
  };
}

const ruleSchema = z.object({
  trigger: z.object({
    types: z.array(z.string()),
    minSeverity: z.enum(severities),
    excludeSourceTypes: z.array(z.string()),
  }),
  limits: z.object({ cooldownMs: z.number(), errorWindowMs: z.number(), cyclesPerHour: z.number() }),
  slowEndpointMs: z.number(),
  weakPointFrom: z.enum(issueSeverities),
  strategies: z.array(z.object({ analyzer: z.enum(analyzers), taskType: z.string(), risk: z.enum(risks) })),
});

const cycle = z.object({
  id: z.string().nullable(),
  at: instant,
  mode: z.string(),
  events: z.number(),
  manual: z.number(),
  weakPoints: z.number(),
  proposed: z.array(z.string()),
});
const cyclesSchema = z.object({ count: z.number(), items: z.array(cycle) });
const taskDiff = diffSchema(z.object({ risk: z.enum(risks) }));

export const haloShadowSchema = z.object({
  kind: z.literal('halo'),
  window: z.object({ from: instant, to: instant }),
  events: z.number(),
  complete: z.boolean(),
  rule: z.object({ present: ruleSchema, changed: ruleSchema }),
  cycles: z.object({ recorded: cyclesSchema, present: cyclesSchema, changed: cyclesSchema }),
  tasks: z.object({ againstRecorded: taskDiff, againstPresent: taskDiff }),
  notReplayable: z.array(z.string()),
});

function ruleView({ match, ...rule }: HaloRule): z.infer<typeof ruleSchema> {
  return {
    trigger: { ...match },
    limits: rule.limits,
    slowEndpointMs: rule.slowEndpointMs,
    weakPointFrom: rule.weakPointFrom,
    strategies: rule.strategies.map(({ analyzer, taskType, risk }) => ({ analyzer, taskType, risk })),
  };
}

function shadowCycles(cycles: ShadowCycle[]): z.infer<typeof cyclesSchema> {
  const items = cycles.slice(0, mostItems).map(({ atMs, mode, triggers, weakPoints, proposed }) => ({
    ...{ id: null, at: new Date(atMs).toISOString(), mode, events: triggers.event, manual: triggers.manual },
    ...{ weakPoints, proposed },
  }));
  return { count: cycles.length, items };
}

function realCycles(cycles: RecordedCycle[]): z.infer<typeof cyclesSchema> {
  const items = cycles
    .slice(0, mostItems)
    .map(({ id, startedAt, mode, events, manual, weakPoints, proposed }) => ({
      ...{ id, at: startedAt, mode, events, manual, weakPoints, proposed },
    }));
  return { count: cycles.length, items };
}

const mostRecorded = 5_000;

/**
 * Runs HALO over a window of the log under the present and under a changed rule at once, one page of events in memory
 * at a time, and compares what both would have proposed with what was proposed then. Nothing is written or sent.
 */
export async function shadowHalo(
  deps: ApiDeps,
  asked: { window: Window; untilTx: string; present: HaloRuleInput; rule: HaloRuleInput },
): Promise<z.infer<typeof haloShadowSchema>> {
  const { log } = deps.database;
  const { window, untilTx } = asked;
  const present = withDraft(presentHaloRule, asked.present);
  const changed = withDraft(present, asked.rule);
  const [facts, loop, cycles, proposals] = await Promise.all([
    worldFacts(log, window),
    loopAt(log, window),
    recordedCycles(log, window, mostRecorded),
    recordedProposals(log, window, mostRecorded),
  ]);
  const world = createWorld(facts);
  const loops = {
    present: createHaloShadow(present, world, loop),
    changed: createHaloShadow(changed, world, loop),
  };
  const both = [loops.present, loops.changed];
  for (const each of both) each.advance(Date.parse(window.from));

  const wakes = [present, changed].map(({ match }) => match.types);
  const types = wakes.some((named) => named.length === 0)
    ? []
    : [...worldEvents, ...loopEvents, ...wakes.flat()];
  const recorded = {
    selection: window,
    untilTx,
    ...(types.length === 0 ? {} : { types: [...new Set(types)] }),
  };
  let events = 0;
  for await (const page of selectedPages(log, recorded, mostShadowEvents + 1))
    for (const event of page) {
      events += 1;
      if (events > mostShadowEvents) break;
      for (const each of both) each.advance(Date.parse(event.recordedAt));
      world.see(event);
      for (const each of both) each.take(event);
    }
  const isAllRead = events <= mostShadowEvents;
  if (isAllRead) for (const each of both) each.advance(Date.parse(window.to));
  const notes = isAllRead ? [] : [`What comes behind the first ${mostShadowEvents} events of the window.`];
  return {
    kind: 'halo',
    window: { from: new Date(window.from).toISOString(), to: new Date(window.to).toISOString() },
    events: Math.min(events, mostShadowEvents),
    complete: isAllRead && both.every((each) => each.isWhole()),
    rule: { present: ruleView(present), changed: ruleView(changed) },
    cycles: {
      recorded: realCycles(cycles),
      present: shadowCycles(loops.present.cycles),
      changed: shadowCycles(loops.changed.cycles),
    },
    tasks: {
      againstRecorded: cutDiff(diffOutcomes(proposals, loops.changed.tasks)),
      againstPresent: cutDiff(diffOutcomes(loops.present.tasks, loops.changed.tasks)),
    },
    notReplayable: [...notReplayable, ...notes],
  };
}
