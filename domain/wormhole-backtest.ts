import type { EventWindow } from './event-window.ts';
import type { LoggedEvent } from './events.ts';
import { findMismatch, type Rule, type WormholeOutcome } from './wormhole.ts';
import { countInto, type Effect, planEvent, type TaskDraft } from './wormhole-effect.ts';

/** How a wormhole would have answered a recorded event. */
export const testedOutcomes = ['acts', 'folded', 'failed', 'unmatched'] as const;
export type TestedOutcome = (typeof testedOutcomes)[number];

export type TestSample = {
  eventId: string;
  type: string;
  recordedAt: string;
  outcome: TestedOutcome;
  /** What it would do, or why it would not. */
  says: string;
};
/** `added`: taken now and not then. `gone`: taken then and not now. `ended-otherwise`: taken both times, but one failed. */
export const testChanges = ['added', 'gone', 'ended-otherwise'] as const;
export type TestChange = (typeof testChanges)[number];

export type TestTask = Pick<TaskDraft, 'fingerprint' | 'type' | 'title' | 'target' | 'risk'> & {
  events: number;
};

export type WormholeBackTest = {
  events: number;
  outcomes: Record<TestedOutcome, number>;
  would: {
    results: number;
    notifications: number;
    events: number;
    haloTriggers: number;
    forwards: number;
    tasks: number;
    foldedIntoTasks: number;
  };
  tasks: TestTask[];
  tasksLeftOut: number;
  samples: TestSample[];
  compared: {
    same: number;
    changes: Record<TestChange, number>;
    samples: (TestSample & { change: TestChange; then: WormholeOutcome | null })[];
  };
};

const mostSamples = 20;
const mostTasks = 50;

/** Runs one rule over recorded events, in their order, and keeps tallies only; it does nothing. */
export function createBackTest(rule: Rule): {
  /** `then` is what the stored wormhole did with the event when it happened; null for nothing. */
  add(event: LoggedEvent, then: WormholeOutcome | null): void;
  report(): WormholeBackTest;
} {
  const outcomes = { acts: 0, folded: 0, failed: 0, unmatched: 0 };
  const would = {
    results: 0,
    notifications: 0,
    events: 0,
    haloTriggers: 0,
    forwards: 0,
    tasks: 0,
    foldedIntoTasks: 0,
  };
  const changes = { added: 0, gone: 0, 'ended-otherwise': 0 };
  const tasks = new Map<string, TestTask>();
  const windows = new Map<string, EventWindow>();
  const samples: TestSample[] = [];
  const differing: WormholeBackTest['compared']['samples'] = [];
  let events = 0;
  let same = 0;

  function count(event: LoggedEvent, key: string): TestedOutcome {
    if (countInto(windows, rule.wormhole, key, event) === null) return 'folded';
    would.events += 1;
    return 'acts';
  }

  function tally(event: LoggedEvent, effect: Effect): TestedOutcome {
    switch (effect.kind) {
      case 'log':
        would.results += 1;
        return 'acts';
      case 'emit':
        would.events += 1;
        would.notifications += effect.isNotice ? 1 : 0;
        return 'acts';
      case 'halo':
        would.haloTriggers += 1;
        return 'acts';
      case 'forward':
        would.forwards += 1;
        return 'acts';
      case 'count':
        return count(event, effect.key);
      case 'task':
        return propose(effect.task);
    }
  }

  /** An open proposal takes all that come after it: what a person would have decided in between is not known. */
  function propose({ fingerprint, type, title, target, risk }: TaskDraft): TestedOutcome {
    const known = tasks.get(fingerprint);
    if (known === undefined) {
      would.tasks += 1;
      tasks.set(fingerprint, { fingerprint, type, title, target, risk, events: 1 });
      return 'acts';
    }
    would.foldedIntoTasks += 1;
    known.events += 1;
    return 'folded';
  }

  function compare(outcome: TestedOutcome, then: WormholeOutcome | null, sample: () => TestSample): void {
    const change = changeOf(outcome, then);
    if (change === null) {
      same += 1;
      return;
    }
    changes[change] += 1;
    if (differing.length < mostSamples) differing.push({ ...sample(), change, then });
  }

  return {
    add(event, then) {
      const plan = planEvent(rule, event);
      const outcome = plan.outcome === 'acts' ? tally(event, plan.effect) : plan.outcome;
      events += 1;
      outcomes[outcome] += 1;
      const sample = (): TestSample => {
        const { id: eventId, type, recordedAt } = event;
        return { eventId, type, recordedAt, outcome, says: saidOf(plan, rule, event) };
      };
      if (outcome !== 'unmatched' && samples.length < mostSamples) samples.push(sample());
      compare(outcome, then, sample);
    },
    report: () => ({
      ...{ events, outcomes, would, samples },
      tasks: [...tasks.values()].sort((a, b) => b.events - a.events).slice(0, mostTasks),
      tasksLeftOut: Math.max(0, tasks.size - mostTasks),
      compared: { same, changes, samples: differing },
    }),
  };
}

function saidOf(plan: ReturnType<typeof planEvent>, rule: Rule, event: LoggedEvent): string {
  if (plan.outcome === 'unmatched') return findMismatch(rule, event) ?? '';
  return plan.outcome === 'acts' ? plan.would : plan.why;
}

function changeOf(now: TestedOutcome, then: WormholeOutcome | null): TestChange | null {
  const isTaken = now !== 'unmatched';
  if (then === null) return isTaken ? 'added' : null;
  if (!isTaken) return 'gone';
  return (now === 'failed') === (then === 'failed') ? null : 'ended-otherwise';
}

/** What a back-test cannot know, said with every answer. */
export const wormholeTestLimits: readonly string[] = [
  'Proposals of one fingerprint are counted as one, as if nobody decided in between.',
  'Counts begin empty at the first event of the window.',
  'What the wormhole really did is known for 7 days, and for the time it was enabled.',
  'HALO gathers triggers: several of them can become one cycle.',
];
