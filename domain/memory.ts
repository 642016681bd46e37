import { eventTypes, type LoggedEvent, sporeEventTypes } from './events.ts';
import type { JsonObject } from './json.ts';
import { isEntity } from './memory-record.ts';
import type { EventMatch } from './subscription.ts';
import { type Verdict, verdicts } from './verdict.ts';

/** What HALO remembers of an entity, each 0 to 1 (LEDGER 1.2). */
export const traits = [
  'reliability',
  'latency',
  'velocity',
  'creativity',
  'stability',
  'utility',
  'popularity',
] as const;
export type Trait = (typeof traits)[number];

/** A trait nobody has said anything about (LEDGER 1.2), and what one that nobody speaks of any more returns to. */
export const neutral = 0.5;

/** Each day a trait keeps this share of its distance from the neutral: half of it is gone after 13.5 days. */
export const keptPerDay = 0.95;

/** Lines of history that a record keeps (LEDGER 1.2). */
export const historyKept = 25;

/** HALO's own work is remembered as that of a squad: a cycle moves this entity. */
export const haloEntity = 'squad:halo';

type Deltas = Partial<Record<Trait, number>>;

/** Whom a rule moves: an entity that the event names, or who worked on a task, which the record knows. */
type Subject = { entity: string } | { taskId: string; attempt: number | null; who: 'agent' | 'squad' };
type Rule = (event: RememberedEvent) => { subject: Subject; deltas: Deltas }[];

export type RememberedEvent = Pick<LoggedEvent, 'id' | 'type' | 'sourceType' | 'sourceId' | 'payload'>;

const sourceAs =
  (kind: string, deltas: Deltas): Rule =>
  ({ sourceId }) => [{ subject: { entity: `${kind}:${sourceId}` }, deltas }];

/** A graft is remembered by the spore it grew from, and by its own id where it names none. */
const sporeOf =
  (deltas: Deltas): Rule =>
  ({ sourceId, payload }) => [
    { subject: { entity: `spore:${textOf(payload, 'sporeId') ?? sourceId}` }, deltas },
  ];

/** The agent of the attempt, and the squad of the task. */
const workers =
  (agent: Deltas, squad: Deltas): Rule =>
  ({ sourceId, payload }) => {
    const taskId = textOf(payload, 'taskId') ?? sourceId;
    const attempt = typeof payload.attempt === 'number' ? payload.attempt : null;
    return [
      ...(attempt === null ? [] : [{ subject: { taskId, attempt, who: 'agent' as const }, deltas: agent }]),
      { subject: { taskId, attempt, who: 'squad' }, deltas: squad },
    ];
  };

/**
 * A cycle with tasks moves velocity by 0.01 a task, at most 0.1, and reliability by 0.1 less 0.02 an issue, at worst
 * -0.05; one without tasks says nothing (LEDGER 1.2).
 */
export function cycleDeltas(tasks: number, issues: number): Deltas {
  if (tasks <= 0) return {};
  return { velocity: Math.min(10, tasks) / 100, reliability: Math.max(-5, 10 - 2 * issues) / 100 };
}

/** What a verdict on a repair says of the target, and of the agent that carried it out. */
export const verdictDeltas = {
  'recovered-by-action': { target: { reliability: 0.05 }, agent: { reliability: 0.05 } },
  'recovered-anyway': { target: { reliability: 0.02 }, agent: {} },
  'no-change': { target: {}, agent: { reliability: -0.03 } },
  worse: { target: { stability: -0.05 }, agent: { reliability: -0.08 } },
} as const satisfies Record<Verdict, { target: Deltas; agent: Deltas }>;

const judged: Rule = ({ payload }) => {
  const verdict = verdicts.find((one) => one === payload.verdict);
  if (verdict === undefined) return [];
  const { target, agent } = verdictDeltas[verdict];
  const named = textOf(payload, 'target');
  const taskId = textOf(payload, 'taskId');
  return [
    ...(named === null
      ? []
      : [{ subject: { entity: named.replace(/^probe:/, 'endpoint:') }, deltas: target }]),
    ...(taskId === null
      ? []
      : [{ subject: { taskId, attempt: null, who: 'agent' as const }, deltas: agent }]),
  ];
};

const cycle: Rule = ({ payload }) => [
  {
    subject: { entity: haloEntity },
    deltas: cycleDeltas(countOf(payload.taskIds), countOf(payload.weakPoints)),
  },
];

/** By the names that the bus really uses (trap D8): what an event does to whose traits (LEDGER 1.2). */
const rules: Record<string, Rule> = {
  [eventTypes.endpointFailed]: sourceAs('endpoint', { reliability: -0.1, latency: 0.05 }),
  [eventTypes.endpointSucceeded]: sourceAs('endpoint', { reliability: 0.05, latency: -0.02 }),
  [eventTypes.taskCompleted]: workers({ reliability: 0.08, velocity: 0.02 }, { reliability: 0.08 }),
  [eventTypes.taskFailed]: workers({ reliability: -0.1 }, { reliability: -0.1 }),
  [eventTypes.haloCycleCompleted]: cycle,
  [eventTypes.haloRepairJudged]: judged,
  [sporeEventTypes.graftInstalled]: sporeOf({ creativity: 0.05 }),
  [sporeEventTypes.graftInstallFailed]: sporeOf({ stability: -0.08 }),
  [sporeEventTypes.sporeDeployed]: sporeOf({ utility: 0.05, popularity: 0.07 }),
};

/** The event types that move traits. */
export const rememberedTypes: readonly string[] = Object.keys(rules);

/** HALO's cycles and verdicts move traits too: nothing that memory does is an event HALO is woken by (K7, D10). */
export const memorySubscription = {
  key: 'memory',
  handler: 'memory.count',
  match: { types: [...rememberedTypes], minSeverity: 'info', excludeSourceTypes: [] } satisfies EventMatch,
} as const;

/** One trait of one entity moved by one event; without an entity, whoever worked on the task. */
export type Move = {
  eventId: string;
  cause: string;
  entity: string | null;
  taskId: string | null;
  attempt: number | null;
  who: 'agent' | 'squad' | null;
  trait: Trait;
  delta: number;
};

/** What an event moves; nothing for other types, and nothing of an entity whose id memory cannot hold. */
export function movesOf(event: RememberedEvent): Move[] {
  const rule = Object.hasOwn(rules, event.type) ? rules[event.type] : undefined;
  return (rule?.(event) ?? []).flatMap(({ subject, deltas }) => {
    const whom =
      'entity' in subject
        ? { entity: subject.entity, taskId: null, attempt: null, who: null }
        : { entity: null, ...subject };
    if (whom.entity !== null && !isEntity(whom.entity)) return [];
    return traits.flatMap((trait) => {
      const delta = deltas[trait] ?? 0;
      return delta === 0 ? [] : [{ eventId: event.id, cause: event.type, ...whom, trait, delta }];
    });
  });
}

function textOf(payload: JsonObject, name: string): string | null {
  const value = payload[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

function countOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return typeof value === 'number' && value > 0 ? value : 0;
}
