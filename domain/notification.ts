import { isForEveryone } from './channel.ts';
import type { LoggedEvent, Severity } from './events.ts';
import type { Json } from './json.ts';
import { type Wording, wordings } from './notification-words.ts';
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
