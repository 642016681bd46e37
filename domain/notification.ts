import { isForEveryone } from './channel.ts';
import { eventTypes, type LoggedEvent, type Severity } from './events.ts';
import type { Json } from './json.ts';
import { redactText } from './redact.ts';
import { matchesType } from './subscription.ts';

export const notificationStates = ['queued', 'sent', 'failed', 'suppressed'] as const;
export type NotificationState = (typeof notificationStates)[number];

export type NoticeField = { name: string; value: string };
/** What people are told of an event: known members of its payload in words, never the payload itself (K41). */
export type Notice = {
  eventId: string;
  topic: string;
  severity: Severity;
  /** Within a channel's cooldown one notice of a key goes out, the others are counted. */
  dedupeKey: string;
  title: string;
  text: string;
  fields: NoticeField[];
  link: string | null;
  everyone: boolean;
  /** The channel this is about: it is not told of its own failure. */
  aboutChannel: string | null;
};

/** What the record says of the task or approval that an event names. */
export type NoticeSubject = {
  title: string;
  target: string;
  risk: string;
  taskId: string;
  approvalId: string;
};
export type NoticeFacts = {
  subjects: ReadonlyMap<string, NoticeSubject>;
  /** Names of principals by their ids. */
  names: ReadonlyMap<string, string>;
};

// Bidirectional marks and invisible characters can make a text read as another one (TRUST 4.15).
const unseen = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/gu;

/** One line of text from anywhere, without control and invisible characters, secrets blanked, cut to a length. */
export function plainLine(text: string, max: number): string {
  const line = redactText(text).toWellFormed().replace(unseen, ' ').replace(/\s+/g, ' ').trim();
  const characters = [...line];
  return characters.length <= max ? line : `${characters.slice(0, max - 1).join('')}…`;
}

const fieldNames: readonly [string, string][] = [
  ['target', 'Target'],
  ['risk', 'Risk'],
  ['kind', 'Kind'],
  ['type', 'Type'],
  ['taskType', 'Type'],
  ['level', 'Level'],
  ['scope', 'Scope'],
  ['rule', 'Rule'],
  ['subjectId', 'Subject'],
  ['address', 'Address'],
  ['blocked', 'Blocked'],
  ['approvers', 'Asked'],
  ['escalatedTo', 'Escalated to'],
  ['votesLeft', 'Votes left'],
  ['who', 'By'],
  ['by', 'By'],
  ['requestedBy', 'Requested by'],
  ['principalId', 'Principal'],
  ['from', 'From'],
  ['to', 'To'],
  ['reason', 'Reason'],
  ['attempt', 'Attempt'],
  ['integration', 'Integration'],
  ['subscription', 'Subscription'],
  ['cause', 'Cause'],
  ['open', 'Open dead letters'],
  ['grown', 'In ten minutes'],
  ['redriveId', 'Redrive'],
  ['name', 'Name'],
  ['expiresAt', 'Expires'],
  ['taskId', 'Task'],
  ['approvalId', 'Approval'],
];
const maxField = 300;
const maxTitle = 160;

function wordOf(value: Json | undefined): string | null {
  if (typeof value === 'string' && value.trim() !== '') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

type Values = Record<string, string>;

/** The approval and the task that an event names, the approval first: it knows more. */
export function subjectIdsOf(event: Pick<LoggedEvent, 'payload'>): string[] {
  return [event.payload.approvalId, event.payload.taskId].filter((id) => typeof id === 'string');
}

/** The ids in an event that can be those of principals. */
export function personIdsOf(event: Pick<LoggedEvent, 'payload'>): string[] {
  const { by, who, requestedBy, principalId, from, to } = event.payload;
  return [by, who, requestedBy, principalId, from, to].filter((id) => typeof id === 'string');
}

function readValues(event: LoggedEvent, facts: NoticeFacts): Values {
  const values: Values = {};
  for (const id of subjectIdsOf(event)) {
    const subject = facts.subjects.get(id);
    for (const [key, value] of Object.entries(subject ?? {}))
      if (value !== '') values[key] ??= plainLine(value, maxField);
  }
  for (const key of ['title', 'text', ...fieldNames.map(([name]) => name)]) {
    const word = wordOf(event.payload[key]);
    const line = word === null ? '' : plainLine(facts.names.get(word) ?? word, maxField);
    if (line !== '') values[key] = line;
  }
  return values;
}

type Wording = { title: string; text: string; next: string };
const decide = 'Look at what it would do, then approve or reject it: dreamnet inbox.';

/** Words by topic; `{x}` stands for a value, and a part in `[ ]` is left out where its value is missing. */
const wordings: readonly [string, Wording][] = [
  [
    eventTypes.approvalRequested,
    {
      title: 'Approval wanted: {title}',
      text: 'A decision of yours is asked for[ about {target}][, risk {risk}].',
      next: decide,
    },
  ],
  [
    eventTypes.approvalReminded,
    {
      title: 'Still waiting: {title}',
      text: 'Nobody has decided yet[; it expires at {expiresAt}]. Silence is never consent.',
      next: decide,
    },
  ],
  [
    eventTypes.approvalEscalated,
    {
      title: 'Escalated: {title}',
      text: 'Those who were asked first did not decide[, risk {risk}][; now asked: {escalatedTo}].',
      next: decide,
    },
  ],
  [
    eventTypes.approvalHandedOver,
    {
      title: 'Handed over: {title}',
      text: 'The decision was handed over[ to {to}][ by {by}].',
      next: decide,
    },
  ],
  [
    eventTypes.approvalGlassBroken,
    {
      title: 'Glass broken: {title}',
      text: 'The rules of approval were set aside in an emergency[ by {by}][: {reason}].',
      next: 'Look at the audit now, and make sure that this was meant: dreamnet audit verify.',
    },
  ],
  [
    eventTypes.taskFailed,
    {
      title: 'Task failed: {title}',
      text: 'The agent reported a failure[ for {target}].',
      next: 'Read its log, then retry it or propose another way: dreamnet task show {taskId}.',
    },
  ],
  [
    eventTypes.taskOutcomeUnknown,
    {
      title: 'Outcome unknown: {title}',
      text: 'The answer of the agent is lost, and nothing is done twice[ for {target}].',
      next: 'Find out whether it took effect and say so in the inbox: approve means it did.',
    },
  ],
  [
    eventTypes.taskExpired,
    {
      title: 'Expired without a decision: {title}',
      text: 'Nobody decided in time, so nothing was done[ to {target}].',
      next: 'Propose it again where it is still wanted.',
    },
  ],
  [
    eventTypes.killSwitchEngaged,
    {
      title: 'Kill switch engaged[: {scope}]',
      text: 'Effects are stopped[ at level {level}][ by {by}][: {reason}].',
      next: 'Find out why before anybody releases it.',
    },
  ],
  [
    eventTypes.killSwitchReleased,
    {
      title: 'Kill switch released[: {scope}]',
      text: 'What was parked goes on at a set rate[; released by {by}][: {reason}].',
      next: 'Watch what is carried out now: dreamnet task list --state running.',
    },
  ],
  [
    'security.threat.*',
    {
      title: 'Threat[: {title}]',
      text: 'A rule over failed logins, bursts or signatures fired[: {reason}].',
      next: 'Look at the security events, and revoke the keys concerned.',
    },
  ],
  [
    eventTypes.integrationFailed,
    {
      title: 'Integration failed[: {name}]',
      text: 'Something outside does not answer as it should[: {reason}].',
      next: 'Check it, then try it: dreamnet channel test ID.',
    },
  ],
  [
    'wormhole.*',
    {
      title: '{title}',
      text: '[{text}]',
      next: 'A wormhole says so: dreamnet wormhole list.',
    },
  ],
  [
    eventTypes.deadLettersGrowing,
    {
      title: 'Dead letters grow[: {subscription}]',
      text: 'Deliveries fail for good[: {reason}].',
      next: 'See what grew and why: dreamnet dead-letter summary. Once it is mended: dreamnet dead-letter redrive.',
    },
  ],
  [
    eventTypes.deadLettersSettled,
    {
      title: 'Dead letters no longer grow[: {subscription}]',
      text: 'They are below half of the limits again[; {open} are open].',
      next: 'Look at the rest: dreamnet dead-letter list.',
    },
  ],
  [
    eventTypes.redriveEnded,
    {
      title: 'Redrive ended[: {redriveId}]',
      text: 'Dead letters were handed over again[: {reason}].',
      next: 'See what failed again: dreamnet redrive show {redriveId}.',
    },
  ],
  [
    'bus.dead-letter.*',
    {
      title: 'Dead letter handled[: {subscription}]',
      text: 'A person handed it over again or gave it up[; {by}][: {reason}].',
      next: 'Look at it: dreamnet dead-letter list --state any.',
    },
  ],
];

const byAgent: Wording = {
  title: 'An agent says {type}[: {title}]',
  text: 'It came from an agent, not from this system.',
  next: '',
};

function wordingOf(event: LoggedEvent): Wording {
  // An agent may post any type: its word must not read, rank or count as the system's own.
  if (event.sourceType === 'agent') return byAgent;
  const known = wordings.find(([pattern]) => matchesType(pattern, event.type));
  return known?.[1] ?? { title: `${event.type}[: {title}]`, text: 'This event was recorded.', next: '' };
}

function fill(text: string, values: Values): string {
  const put = (part: string): string =>
    part.replace(/\{(\w+)\}/g, (_all, key: string) => values[key] ?? values.taskId ?? 'without a title');
  const optional = text.replace(/\[([^\]]*\{(\w+)\}[^\]]*)\]/g, (_all, part: string, key: string) =>
    values[key] === undefined ? '' : part,
  );
  return put(optional);
}

const idShape = /^[A-Za-z0-9_.:-]{1,100}$/;

function linkOf(event: LoggedEvent, values: Values, baseUrl: string): string | null {
  const { approvalId, taskId } = values;
  if (approvalId !== undefined && idShape.test(approvalId)) return `${baseUrl}/v1/approvals/${approvalId}`;
  if (taskId !== undefined && idShape.test(taskId)) return `${baseUrl}/v1/tasks/${taskId}`;
  if (event.type.startsWith('kill-switch.')) return `${baseUrl}/v1/kill-switch`;
  if (event.type.startsWith('bus.dead-letters.')) return `${baseUrl}/v1/dead-letters/summary`;
  if (values.redriveId !== undefined && idShape.test(values.redriveId))
    return `${baseUrl}/v1/redrives/${values.redriveId}`;
  const channelId = wordOf(event.payload.channelId);
  return channelId !== null && idShape.test(channelId) ? `${baseUrl}/v1/channels/${channelId}` : null;
}

/** What a topic's notices are counted by: the approval or target they are about, so that a storm becomes one. */
function dedupeKeyOf(event: LoggedEvent, values: Values): string {
  const { approvalId, target, scope, subjectId, kind } = values;
  // Two kinds of threat from one subject are two things to know.
  const subject = subjectId === undefined ? undefined : `${kind ?? ''}:${subjectId}`;
  const isApproval = event.type.startsWith('approval.');
  const about = isApproval ? (approvalId ?? target) : (target ?? scope ?? subject ?? approvalId);
  const channelId = wordOf(event.payload.channelId);
  const source = event.sourceType === 'agent' ? `agent:${event.sourceId}|` : '';
  const key = `${source}${event.type}|${channelId ?? about ?? event.correlationId ?? event.sourceId}`;
  // Cut text can end in half a character, which Postgres does not store: the event could never be handled.
  return key.slice(0, 400).toWellFormed();
}

/** The notice of an event; none of notifications themselves, as each would cause the next. */
export function noticeOf(event: LoggedEvent, facts: NoticeFacts, baseUrl: string): Notice | null {
  if (event.type.startsWith('notification.')) return null;
  const values = readValues(event, facts);
  const wording = wordingOf(event);
  if (event.sourceType === 'agent') Object.assign(values, { type: event.type, from: event.sourceId });
  const shown = new Map<string, string>([['Severity', event.severity]]);
  for (const [key, name] of fieldNames) {
    const value = values[key];
    if (value !== undefined && !shown.has(name)) shown.set(name, value);
  }
  return {
    eventId: event.id,
    topic: event.type,
    severity: event.severity,
    dedupeKey: dedupeKeyOf(event, values),
    title: plainLine(fill(wording.title, values), maxTitle),
    text: [fill(wording.text, values), fill(wording.next, values)].filter((part) => part !== '').join(' '),
    fields: [...shown].map(([name, value]) => ({ name, value })),
    link: linkOf(event, values, baseUrl),
    everyone: isForEveryone(event.type) && event.sourceType !== 'agent',
    aboutChannel: wordOf(event.payload.channelId),
  };
}
