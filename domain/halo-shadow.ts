import type { IssueSeverity } from './analyzers/issue.ts';
import { slowEndpointMs } from './analyzers/endpoint-health.ts';
import { eventTypes, type LoggedEvent } from './events.ts';
import { type CycleMode, detectWeakPoints, proposesTasks } from './halo.ts';
import {
  defaultHaloLimits,
  ended,
  gather,
  type HaloLimits,
  type HaloLoopState,
  nextStep,
  started,
} from './halo-loop.ts';
import type { World } from './halo-world.ts';
import { noLessons } from './insight.ts';
import { planTasks } from './plan.ts';
import type { Outcome } from './shadow.ts';
import { type Strategy, strategies } from './strategies.ts';
import type { Risk } from './task.ts';
import { type EventMatch, haloSubscription, matchesEvent } from './subscription.ts';

/** Everything about HALO that can be tried on a recorded window. */
export type HaloRule = {
  /** Which events wake it. Its own never do, whatever the rule says (K7). */
  match: Pick<EventMatch, 'types' | 'minSeverity' | 'excludeSourceTypes'>;
  limits: HaloLimits;
  slowEndpointMs: number;
  weakPointFrom: IssueSeverity;
  strategies: readonly Strategy[];
};

/** The rule of this release. What a worker's settings say of the limits is not known where this runs. */
export const presentHaloRule: HaloRule = {
  match: haloSubscription.match,
  limits: defaultHaloLimits,
  slowEndpointMs,
  weakPointFrom: 'medium',
  strategies,
};

export type TaskOutcome = Outcome & { risk: Risk };
export type ShadowCycle = {
  atMs: number;
  mode: CycleMode;
  triggers: { manual: number; event: number };
  eventIds: string[];
  weakPoints: number;
  /** Fix targets of the tasks it proposes anew. */
  proposed: string[];
};

/** What a run over a window cannot know: said with every answer. */
export const notReplayable: readonly string[] = [
  'How long agents were silent: signs of life are not in the log, only that an agent was marked offline.',
  'Who answers for a probe or an agent: the owner of today counts.',
  'A probe that had no result in the 7 days before the window begins it as unknown.',
  'What was normal for an endpoint before the window: until 20 good results in it, the rules for new endpoints count.',
  'What squads, environment files and the patrol showed: the analyzers of endpoints and agents are run again only.',
  'Whether a kill switch stood over a target: proposals are shown as if none did.',
  'What people would have decided on tasks that were never proposed: such a task stays open for the rest of the window.',
  'How long cycles took: they are taken to end at once, so one more can fit than did.',
  'The limits that the worker was set to: the present rule is the default one unless `present` says otherwise.',
];

const mostCycles = 2_000;

export type HaloShadow = {
  /** Runs the cycles that were due before this moment. */
  advance(toMs: number): void;
  take(event: LoggedEvent): void;
  cycles: ShadowCycle[];
  tasks: TaskOutcome[];
  /** False once the bound on cycles was reached. */
  isWhole(): boolean;
};

/** HALO's loop under one rule, over a world that others carry forward. The only clock is that of the events. */
export function createHaloShadow(rule: HaloRule, world: World, begin: HaloLoopState): HaloShadow {
  const match: EventMatch = {
    ...rule.match,
    excludeSourceTypes: [...new Set([...rule.match.excludeSourceTypes, 'halo'])],
  };
  const cycles: ShadowCycle[] = [];
  const tasks: TaskOutcome[] = [];
  /** Proposals of this rule, with how often a task of theirs had ended by then. */
  const proposedAt = new Map<string, number>();
  let state = begin;
  let nowMs = 0;

  function runCycle(): void {
    const { pending } = state;
    if (pending === null) return;
    const weakPoints = detectWeakPoints(world.issues(rule.slowEndpointMs), rule.weakPointFrom);
    const proposals = proposesTasks(pending.mode) ? planTasks(weakPoints, noLessons, rule.strategies) : [];
    const fresh = proposals.filter(
      ({ fingerprint }) =>
        proposedAt.get(fingerprint) !== world.endings(fingerprint) && !world.isOpen(fingerprint),
    );
    for (const { fingerprint, title, target, risk, evidence } of fresh) {
      proposedAt.set(fingerprint, world.endings(fingerprint));
      tasks.push({ key: fingerprint, kind: 'task', title, target, risk, eventIds: evidence });
    }
    cycles.push({
      atMs: nowMs,
      mode: pending.mode,
      triggers: pending.triggers,
      eventIds: pending.eventIds,
      weakPoints: weakPoints.length,
      proposed: fresh.map(({ fingerprint }) => fingerprint),
    });
    state = ended(started(state, nowMs), nowMs);
  }

  const isWhole = (): boolean => cycles.length < mostCycles;
  const ask = (name: 'manual' | 'event', event: LoggedEvent, mode: CycleMode): void => {
    const urgent = name === 'manual' || event.severity === 'critical';
    const trigger = { name, urgent, mode, requestedBy: null, eventIds: name === 'event' ? [event.id] : [] };
    state = gather(state, trigger, `shadow-${cycles.length}`, nowMs);
  };

  return {
    cycles,
    tasks,
    isWhole,
    advance(toMs) {
      while (isWhole()) {
        const step = nextStep(state, rule.limits, nowMs);
        if (step.do === 'start') runCycle();
        else if (step.do === 'wait' && nowMs + step.forMs <= toMs) nowMs += step.forMs;
        else break;
      }
      nowMs = Math.max(nowMs, toMs);
    },
    take(event) {
      const { type, payload } = event;
      const isHalos = event.sourceType === 'halo';
      if (isHalos && type === eventTypes.haloPaused) state = { ...state, paused: true };
      else if (isHalos && type === eventTypes.haloResumed) state = { ...state, paused: false };
      else if (isHalos && type === eventTypes.haloCycleStarted && isManual(payload.trigger))
        // A person asked for that cycle; they would have asked under this rule too.
        ask('manual', event, payload.mode === 'light' ? 'light' : 'full');
      else if (matchesEvent(match, event)) ask('event', event, 'full');
    },
  };
}

function isManual(trigger: unknown): boolean {
  return typeof trigger === 'object' && trigger !== null && 'manual' in trigger && Number(trigger.manual) > 0;
}

/** Events that a shadow run reads beside those that its rules are about. */
export const loopEvents: readonly string[] = [
  eventTypes.haloPaused,
  eventTypes.haloResumed,
  eventTypes.haloCycleStarted,
];
