import type { Severity } from './events.ts';
import type { Json, JsonObject } from './json.ts';
import { type NoticeField, plainLine } from './notification.ts';

/** A notification as the record holds it: the same for every kind of channel. */
export type StoredNotification = {
  id: string;
  eventId: string;
  topic: string;
  severity: Severity;
  title: string;
  text: string;
  fields: NoticeField[];
  link: string | null;
  /** How many of the same key were held back before this one. */
  more: number;
  createdAt: string;
};

function moreText({ more }: StoredNotification): string {
  return more === 0 ? '' : `…and ${more} more like this since the last one.`;
}

/** The body a signed webhook gets; the same for every try, so that its receiver can tell a repetition. */
export function webhookBody(notification: StoredNotification): string {
  const { id, eventId, topic, severity, title, text, fields, link, more } = notification;
  const data: Json = { id, eventId, topic, severity, title, text, fields, link, more };
  return JSON.stringify({ type: topic, timestamp: notification.createdAt, data });
}

/** What a mail server is given: plain text only, and a subject of one line whatever the title holds. */
export function mailText(notification: StoredNotification): { subject: string; text: string } {
  const { title, text, fields, link, topic, id } = notification;
  const parts = [
    text,
    moreText(notification),
    fields.map(({ name, value }) => `${name}: ${value}`).join('\n'),
    link ?? '',
    `-- \nDreamNet, ${topic}, ${id}`,
  ];
  return {
    subject: plainLine(`[DreamNet] ${title}`, 200),
    text: parts.filter((part) => part !== '').join('\n\n'),
  };
}

/**
 * Text from elsewhere in a chat: no mark-up, no mention of anybody, no address that becomes a link by itself. The
 * invisible space breaks `@everyone` also where a server would ignore `allowed_mentions`.
 */
export function escapeChat(text: string): string {
  return text
    .replace(/[\\*_~`|>[\]()#<-]/g, '\\$&')
    .replace(/@/g, '@\u200b')
    .replace(/:\/\//g, ':\u200b//');
}

const colors: Record<Severity, number> = {
  info: 0x3b82f6,
  warning: 0xf59e0b,
  error: 0xef4444,
  critical: 0x991b1b,
};
/** Discord's own limits; what is longer is refused as a whole. */
const limits = { title: 256, description: 4096, fields: 25, name: 256, value: 1024, whole: 6000 } as const;

function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  // Neither half a character nor a lonely backslash at the end.
  return `${text
    .slice(0, max - 1)
    .toWellFormed()
    .replace(/[\ufffd\\]+$/, '')}…`;
}

/** As many fields as there is room for: an embed that is too long as a whole is refused. */
function embedFields(fields: NoticeField[], room: number): JsonObject[] {
  let left = room;
  const kept: JsonObject[] = [];
  for (const field of fields.slice(0, limits.fields)) {
    const name = cut(escapeChat(field.name), limits.name);
    const value = cut(escapeChat(field.value), limits.value);
    left -= name.length + value.length;
    if (left < 0) break;
    kept.push({ name, value, inline: field.value.length <= 40 });
  }
  return kept;
}

/** The body of a Discord-compatible webhook: one embed, and nobody is mentioned whatever the text says. */
export function discordBody(notification: StoredNotification): string {
  const { title, text, fields, link, severity, createdAt, topic, id } = notification;
  const description = cut(
    [escapeChat(text), moreText(notification)].filter((part) => part !== '').join('\n'),
    limits.description,
  );
  const embed: JsonObject = {
    title: cut(escapeChat(title), limits.title),
    description,
    color: colors[severity],
    fields: embedFields(fields, limits.whole - 3 * limits.title - description.length),
    timestamp: createdAt,
    footer: { text: `${topic} · ${id}` },
    ...(link === null ? {} : { url: link }),
  };
  return JSON.stringify({ embeds: [embed], allowed_mentions: { parse: [] } });
}
