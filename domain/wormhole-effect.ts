import type { IssueSeverity } from './analyzers/issue.ts';
import {
  defaultPriority,
  type LoggedEvent,
  maxPayloadBytes,
  type Priority,
  type Severity,
  type SourceType,
} from './events.ts';
import { countEvent, type EventWindow } from './event-window.ts';
import type { JsonObject } from './json.ts';
import { plainLine } from './notification.ts';
import type { Risk, TaskRole } from './task.ts';
import { readPlace, renderObject, renderText } from './template.ts';
import {
  type EmitSpec,
  findFold,
  type ForwardTarget,
  keyText,
  meets,
  type Rule,
  type TaskSpec,
  templateFacts,
  type Wormhole,
} from './wormhole.ts';

/** An event that a wormhole writes; its id is given by who writes it. */
export type EmittedEvent = {
  type: string;
  sourceType: SourceType;
  sourceId: string;
  destination: string | null;
  severity: Severity;
  priority: Priority;
  payload: JsonObject;
  correlationId: string | null;
  causationId: string;
  path: string[];
};

export type TaskDraft = {
  type: string;
  title: string;
  target: string;
  targetRole: TaskRole;
  risk: Risk;
  severity: IssueSeverity;
  payload: JsonObject;
  reversible: boolean;
  fingerprint: string;
};

export type Effect =
  | { kind: 'log' }
  | { kind: 'emit'; event: EmittedEvent; isNotice: boolean }
  | { kind: 'task'; task: TaskDraft }
  | { kind: 'halo'; urgent: boolean }
  | { kind: 'count'; key: string }
  | { kind: 'forward'; to: ForwardTarget };

/** What a wormhole makes of an event whose match it meets, with nothing done yet. */
export type Plan =
  | { outcome: 'folded'; why: string }
  | { outcome: 'failed'; why: string }
  | { outcome: 'acts'; would: string; effect: Effect };

/** Judges one event by one rule: pure, so that delivery, dry run, back-test and preview say the same. */
export function planEvent(rule: Rule, event: LoggedEvent): Plan | { outcome: 'unmatched' } {
  if (!meets(rule, event)) return { outcome: 'unmatched' };
  const fold = findFold(rule.wormhole, event);
  return fold === null ? planAction(rule.wormhole, event) : { outcome: 'folded', why: fold };
}

/** A plan as data, for a preview or a dry run. */
export function describePlan(plan: Plan): JsonObject {
  const { outcome } = plan;
  if (plan.outcome !== 'acts') return { outcome, why: plan.why };
  return { outcome, would: plan.would, effect: { ...plan.effect } };
}

function planAction(wormhole: Wormhole, event: LoggedEvent): Plan {
  const { action } = wormhole;
  switch (action.kind) {
    case 'log':
      return acts('keep a result of it', { kind: 'log' });
    case 'notify':
      return planNotice(wormhole, action, event);
    case 'create-task':
      return planTask(wormhole, action.task, event);
    case 'trigger-halo': {
      const urgent = event.severity === 'critical';
      return acts(`trigger a HALO cycle${urgent ? ' at once' : ''}`, { kind: 'halo', urgent });
    }
    case 'transform':
      return planEmit(wormhole, action.emit, event);
    case 'aggregate': {
      const key = action.key === undefined ? '' : keyText(readPlace(templateFacts(event), action.key));
      const ofKey = key === '' ? '' : ` of ${key}`;
      return acts(`count it towards ${action.count}${ofKey} in ${action.windowSeconds} s`, {
        kind: 'count',
        key,
      });
    }
    case 'forward':
      return acts(`forward it to ${describeTarget(action.to)}`, { kind: 'forward', to: action.to });
  }
}

function acts(would: string, effect: Effect): Plan {
  return { outcome: 'acts', would, effect };
}

function describeTarget(to: ForwardTarget): string {
  return to.kind === 'webhook' ? to.origin : `subscription ${to.subscription}`;
}

function planNotice(
  wormhole: Wormhole,
  action: { title: string; text?: string; severity?: Severity },
  event: LoggedEvent,
): Plan {
  const facts = templateFacts(event);
  const title = plainLine(renderText(action.title, facts), 160);
  if (title === '') return { outcome: 'failed', why: 'The title is empty for this event.' };
  const text = plainLine(renderText(action.text ?? '', facts), 300);
  const emit = { type: `wormhole.${wormhole.name}`, ...(action.severity && { severity: action.severity }) };
  const payload = { title, text, eventId: event.id, eventType: event.type, wormhole: wormhole.id };
  const plan = emitted(wormhole, emit, event, payload);
  return 'why' in plan
    ? plan
    : acts(`tell the channels: ${title}`, { kind: 'emit', event: plan, isNotice: true });
}

function planEmit(wormhole: Wormhole, spec: EmitSpec, event: LoggedEvent): Plan {
  const payload =
    spec.payload === undefined ? event.payload : renderObject(spec.payload, templateFacts(event));
  const plan = emitted(wormhole, spec, event, payload);
  return 'why' in plan ? plan : acts(`emit ${plan.type}`, { kind: 'emit', event: plan, isNotice: false });
}

type Failed = { outcome: 'failed'; why: string };
const tooLarge: Failed = {
  outcome: 'failed',
  why: `The payload it makes has more than ${maxPayloadBytes} bytes.`,
};

function isTooLarge(payload: JsonObject): boolean {
  const text = JSON.stringify(payload);
  // Three bytes at most for each: only what may be too large is counted.
  if (text.length * 3 <= maxPayloadBytes) return false;
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes > maxPayloadBytes;
}

function emitted(
  wormhole: Wormhole,
  spec: EmitSpec,
  event: LoggedEvent,
  payload: JsonObject,
  more: JsonObject = {},
): EmittedEvent | Failed {
  if (isTooLarge(payload)) return tooLarge;
  const severity = spec.severity ?? event.severity;
  const priority =
    spec.priority ?? (spec.severity === undefined ? event.priority : defaultPriority(severity));
  const facts = { ...templateFacts(event), ...more };
  const destination =
    spec.destination === undefined
      ? event.destination
      : plainLine(renderText(spec.destination, facts), 200) || null;
  return {
    type: spec.type,
    // What comes of HALO's events stays HALO's, or a wormhole could wake HALO by them after all.
    sourceType: event.sourceType === 'halo' ? 'halo' : 'system',
    sourceId: `wormhole:${wormhole.name}`,
    destination,
    severity,
    priority,
    payload,
    correlationId: event.correlationId,
    causationId: event.id,
    path: [...event.path, wormhole.id],
  };
}

/** The event that tells of a full count; `last` is the event that made it full. */
export function fullCount(
  wormhole: Wormhole,
  window: EventWindow,
  key: string,
  last: LoggedEvent,
): EmittedEvent | Failed {
  const { action } = wormhole;
  if (action.kind !== 'aggregate') return { outcome: 'failed', why: 'It does not count any more.' };
  const { windowSeconds, emit } = action;
  const { count, first, startedAt, eventIds } = window;
  const counted = { count, windowSeconds, key, first, last: window.last, startedAt, eventIds };
  const facts = { ...templateFacts(last), ...counted };
  const payload = emit.payload === undefined ? counted : { ...renderObject(emit.payload, facts), ...counted };
  const made = emitted(wormhole, emit, { ...last, sourceType: window.sourceType }, payload, counted);
  return 'why' in made ? made : { ...made, correlationId: window.correlationId };
}

/** Counts an event in the windows of a run that stores nothing; what a count that it made full emits, else null. */
export function countInto(
  windows: Map<string, EventWindow>,
  wormhole: Wormhole,
  key: string,
  event: LoggedEvent,
): { emitted: EmittedEvent; window: EventWindow } | null {
  const { version, action } = wormhole;
  if (action.kind !== 'aggregate') return null;
  const { window, isFull } = countEvent(windows.get(key) ?? null, event, { version, ...action });
  windows.set(key, window);
  if (!isFull) return null;
  const made = fullCount(wormhole, window, key, event);
  return 'why' in made ? null : { emitted: made, window };
}

const issueSeverityOf: Record<Severity, IssueSeverity> = {
  info: 'low',
  warning: 'medium',
  error: 'high',
  critical: 'critical',
};

function planTask(wormhole: Wormhole, spec: TaskSpec, event: LoggedEvent): Plan {
  const facts = templateFacts(event);
  const title = plainLine(renderText(spec.title, facts), 200);
  const target = plainLine(renderText(spec.target, facts), 200);
  if (title === '' || target === '')
    return { outcome: 'failed', why: `The ${title === '' ? 'title' : 'target'} is empty for this event.` };
  const same = spec.fingerprint === undefined ? target : plainLine(renderText(spec.fingerprint, facts), 150);
  const task: TaskDraft = {
    type: spec.type,
    title,
    target,
    targetRole: spec.targetRole,
    risk: spec.risk,
    severity: spec.severity ?? issueSeverityOf[event.severity],
    payload: spec.payload === undefined ? {} : renderObject(spec.payload, facts),
    reversible: spec.reversible ?? false,
    fingerprint: `wormhole:${wormhole.id}:${same}`.slice(0, 200).toWellFormed(),
  };
  if (isTooLarge(task.payload)) return tooLarge;
  return acts(`propose ${task.type} for ${target}: ${title}`, { kind: 'task', task });
}
