import type { IssueSeverity } from './analyzers/issue.ts';
import { compileFilter, type EventFilter } from './event-filter.ts';
import { isAtLeast, type LoggedEvent, maxHops, type Priority, type Severity } from './events.ts';
import type { Json, JsonObject } from './json.ts';
import { isRefusal, type Refusal } from './refusal.ts';
import { type EventMatch, matchesEvent, matchesType } from './subscription.ts';
import type { Risk, TaskRole } from './task.ts';

/*
 * A wormhole is a stored rule on the bus: which events it takes, and what comes of each. What it emits carries the
 * way it came in `path`, so that an event never goes through one wormhole twice and never through more than a few.
 */
export type WormholeActionKind = WormholeAction['kind'];

/** What an emitted event is made of; texts are templates, and what is left out is taken from the event. */
export type EmitSpec = {
  type: string;
  severity?: Severity;
  priority?: Priority;
  destination?: string;
  payload?: JsonObject;
};

/** The address itself is sealed; `origin` is the part of it that anybody may read. */
export type ForwardTarget =
  | { kind: 'webhook'; origin: string; allowPrivateNetwork: boolean }
  | { kind: 'subscription'; subscription: string };

/** A sealed address opens for the wormhole it was sealed for and for no other. */
export function forwardSealContext(wormholeId: string): string {
  return `wormhole:${wormholeId}`;
}

export type TaskSpec = {
  type: string;
  title: string;
  target: string;
  targetRole: TaskRole;
  risk: Risk;
  /** Left out: as the event is. */
  severity?: IssueSeverity;
  payload?: JsonObject;
  reversible?: boolean;
  /** What counts as the same fix; the target unless given. */
  fingerprint?: string;
};

export type WormholeAction =
  | { kind: 'log' }
  | { kind: 'notify'; title: string; text?: string; severity?: Severity }
  | { kind: 'create-task'; task: TaskSpec }
  | { kind: 'trigger-halo' }
  | { kind: 'transform'; emit: EmitSpec }
  | { kind: 'aggregate'; count: number; windowSeconds: number; key?: string; emit: EmitSpec }
  | { kind: 'forward'; to: ForwardTarget };

export type Wormhole = {
  id: string;
  name: string;
  version: number;
  match: EventMatch;
  action: WormholeAction;
  maxHops: number;
};

/** What became of one event at one wormhole. `folded` met the rule and was answered by something else. */
export const wormholeOutcomes = ['acted', 'folded', 'failed'] as const;
export type WormholeOutcome = (typeof wormholeOutcomes)[number];

/** The event as templates see it, and with more for a count that is full. */
export const templateRoots = [
  'id',
  'type',
  'source',
  'destination',
  'severity',
  'priority',
  'payload',
  'metadata',
  'correlationId',
  'causationId',
  'path',
  'occurredAt',
  'recordedAt',
] as const;
export const countRoots = [
  'count',
  'windowSeconds',
  'key',
  'first',
  'last',
  'eventIds',
  'startedAt',
] as const;

export function templateFacts(event: LoggedEvent): JsonObject {
  const { sourceType, sourceId, tx: _tx, seq: _seq, deliverAt: _deliverAt, ...rest } = event;
  return { ...rest, source: { type: sourceType, id: sourceId } };
}

/** A wormhole whose filter is compiled. */
export type Rule = { wormhole: Wormhole; filter: EventFilter | null };

export function compileRule(wormhole: Wormhole): Rule | Refusal {
  const { filter } = wormhole.match;
  if (filter === undefined) return { wormhole, filter: null };
  const compiled = compileFilter(filter);
  return isRefusal(compiled) ? compiled : { wormhole, filter: compiled };
}

/** Whether an event meets a wormhole's match. Every event is asked of every rule: no text is made of it. */
export function meets({ wormhole: { match }, filter }: Rule, event: LoggedEvent): boolean {
  if (!matchesEvent(match, event)) return false;
  if (match.destination !== undefined && match.destination !== event.destination) return false;
  return filter === null || filter.matches(event);
}

/** Why an event does not meet a wormhole's match, for a person; null when it does. */
export function findMismatch({ wormhole: { match }, filter }: Rule, event: LoggedEvent): string | null {
  if (match.types.length > 0 && !match.types.some((pattern) => matchesType(pattern, event.type)))
    return `Its type ${event.type} is none of ${match.types.join(', ')}.`;
  if (!isAtLeast(event.severity, match.minSeverity))
    return `Its severity ${event.severity} is below ${match.minSeverity}.`;
  if (match.excludeSourceTypes.includes(event.sourceType))
    return `Events of source type ${event.sourceType} are excluded.`;
  const source = `${event.sourceType}:${event.sourceId}`;
  const { sources = [] } = match;
  if (sources.length > 0 && !sources.some((pattern) => matchesType(pattern, source)))
    return `Its source ${source} is none of ${sources.join(', ')}.`;
  if (match.destination !== undefined && match.destination !== event.destination)
    return `Its destination ${event.destination ?? '(none)'} is not ${match.destination}.`;
  return filter === null || filter.matches(event) ? null : filter.explain(event);
}

/** Types of what a proposal itself causes: proposing again because of them would go round for ever. */
const causedByProposals = ['squad.task.created', 'approval.requested'];

/** Why an event that meets the match is not acted on; null when it is. */
export function findFold({ id, action, maxHops: most }: Wormhole, event: LoggedEvent): string | null {
  if (event.path.includes(id)) return 'It came through this wormhole already: the way would be a loop.';
  if (event.path.length >= Math.min(most, maxHops))
    return `It came through ${event.path.length} wormholes already, and ${Math.min(most, maxHops)} are allowed.`;
  if (action.kind === 'trigger-halo' && event.sourceType === 'halo')
    return "HALO's own events never trigger HALO.";
  if (action.kind === 'create-task' && causedByProposals.includes(event.type))
    return 'It tells of a proposal, and proposing because of proposals would never end.';
  return null;
}

/** A wormhole may name values by a path; used as a key, a value is a text. */
export function keyText(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return (typeof value === 'object' ? JSON.stringify(value) : String(value)).slice(0, 200).toWellFormed();
}
