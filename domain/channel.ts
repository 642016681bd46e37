import { eventTypes } from './events.ts';

export const channelKinds = ['webhook', 'smtp', 'discord'] as const;
export type ChannelKind = (typeof channelKinds)[number];

/** `address` without what could authenticate: the path of a webhook is sealed, as whoever knows it can post. */
export type WebhookConfig = { origin: string; allowPrivateNetwork: boolean };
export const smtpSecurities = ['starttls', 'tls', 'none'] as const;
export type SmtpConfig = {
  host: string;
  port: number;
  secure: (typeof smtpSecurities)[number];
  from: string;
  to: string[];
  user: string | null;
  allowPrivateNetwork: boolean;
  /** Certificates (PEM) to trust instead of the public ones, for a mail server with an authority of its own. */
  ca: string | null;
};
export type ChannelConfig = WebhookConfig | SmtpConfig;

/** What is sealed of a channel: the address of a webhook or the password of a mail account. */
export type ChannelSecret = { url?: string; password?: string };

/** A sealed secret opens for the channel it was sealed for and for no other. */
export function sealContext(channelId: string): string {
  return `channel:${channelId}`;
}

/** What a new channel is told unless it says otherwise: what waits for a person, and what went wrong. */
export const defaultTopics: readonly string[] = [
  eventTypes.approvalRequested,
  eventTypes.approvalReminded,
  eventTypes.approvalEscalated,
  eventTypes.approvalGlassBroken,
  eventTypes.approvalHandedOver,
  eventTypes.taskFailed,
  eventTypes.taskOutcomeUnknown,
  eventTypes.taskExpired,
  'kill-switch.*',
  'security.threat.*',
  eventTypes.integrationFailed,
  'wormhole.*',
  eventTypes.deadLettersGrowing,
];

/** Topics that reach every channel that is switched on, whatever it asked for, and at once (TRUST 4.18). */
const everyoneTopics: readonly string[] = [eventTypes.approvalGlassBroken, eventTypes.killSwitchEngaged];

export function isForEveryone(topic: string): boolean {
  return everyoneTopics.includes(topic);
}

export const testTopic = 'notification.test';

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/i;

/** A password goes over an open connection only to this machine. */
export function isLoopbackHost(host: string): boolean {
  return loopback.test(host);
}

/** How a channel does, by its newest receipts: unknown until something was sent. */
export function channelHealth(channel: {
  lastSentAt: Date | null;
  lastFailedAt: Date | null;
}): 'unknown' | 'ok' | 'failing' {
  const { lastSentAt, lastFailedAt } = channel;
  if (lastFailedAt !== null && (lastSentAt === null || lastFailedAt > lastSentAt)) return 'failing';
  return lastSentAt === null ? 'unknown' : 'ok';
}
