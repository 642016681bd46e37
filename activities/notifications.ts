import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { ChannelRow } from '../db/channels.ts';
import type { Database } from '../db/client.ts';
import { recordFailed, recordSent } from '../db/notification-end.ts';
import { beginDelivery, type NotificationRow } from '../db/notifications.ts';
import type { SecretBox } from '../db/sealed.ts';
import { channelSecret } from '../db/signing-secret.ts';
import {
  type ChannelSecret,
  sealContext,
  type SmtpConfig,
  testTopic,
  type WebhookConfig,
} from '../domain/channel.ts';
import type { StoredNotification } from '../domain/notification-body.ts';
import { plainLine } from '../domain/notification.ts';
import { withoutSecrets } from '../domain/redact.ts';
import { sendDiscord, sendWebhook } from './channel-http.ts';
import { notSent, type SendEnd, type SendInput } from './channel-send.ts';
import { sendMail } from './channel-smtp.ts';

export type NotificationActivities = ReturnType<typeof createNotificationActivities>;
export type DeliveryEnd = { state: 'sent' | 'failed' | 'already-ended' };

type Deps = { database: Database; agentRoot: string; secretBox: SecretBox };

const beatEveryMs = 2_000;

function stored(row: NotificationRow): StoredNotification {
  const { id, eventId, topic, severity, title, text, fields, link, more } = row;
  return {
    id,
    eventId,
    topic,
    severity,
    title,
    text,
    fields,
    link,
    more,
    createdAt: row.createdAt.toISOString(),
  };
}

/** The parts of a channel's secrets that a receiver's answer could repeat. */
function secretsIn({ url, password }: ChannelSecret, signing: string[], user: string | null): string[] {
  const parsed = url === undefined ? null : new URL(url);
  const paths = parsed === null ? [] : [parsed.pathname + parsed.search, ...parsed.pathname.split('/')];
  const plain = password === undefined ? [] : [password, `\0${user ?? ''}\0${password}`];
  const encoded = plain.map((text) => Buffer.from(text).toString('base64'));
  return [url ?? '', ...paths.filter((part) => part.length >= 8), ...plain, ...encoded, ...signing];
}

/** Sends notifications and records how that ended; a repetition of one carries the same id to its receiver. */
export function createNotificationActivities({ database, agentRoot, secretBox }: Deps) {
  const { db } = database;

  function signingSecrets(channel: ChannelRow): string[] {
    const { id, secretVersion, previousSecretUntil } = channel;
    const isOverlap = previousSecretUntil !== null && previousSecretUntil.getTime() > Date.now();
    const versions = isOverlap ? [secretVersion, secretVersion - 1] : [secretVersion];
    return versions.map((version) => channelSecret(agentRoot, id, version));
  }

  async function send(channel: ChannelRow, input: SendInput): Promise<SendEnd> {
    const { id, kind, sealed } = channel;
    const secret: ChannelSecret =
      sealed === null ? {} : (JSON.parse(secretBox.open(sealed, sealContext(id))) as ChannelSecret);
    const secrets = kind === 'webhook' ? signingSecrets(channel) : [];
    const end = await sendBy(channel, secret, secrets, input);
    if (end.sent) return end;
    const user = kind === 'smtp' ? (channel.config as SmtpConfig).user : null;
    const reason = plainLine(withoutSecrets(end.reason, secretsIn(secret, secrets, user)), 500);
    return { ...end, reason };
  }

  async function sendBy(
    { kind, config }: ChannelRow,
    secret: ChannelSecret,
    secrets: string[],
    input: SendInput,
  ): Promise<SendEnd> {
    if (kind === 'smtp')
      return sendMail(input, { config: config as SmtpConfig, password: secret.password ?? null });
    if (secret.url === undefined) return notSent(false, 'The channel has no address; give it one.');
    const target = { config: config as WebhookConfig, url: secret.url };
    return kind === 'webhook' ? sendWebhook(input, { ...target, secrets }) : sendDiscord(input, target);
  }

  return {
    /** One try. What may pass later fails this activity, which Temporal then repeats; anything else is recorded here. */
    async deliverNotification(input: { notificationId: string }): Promise<DeliveryEnd> {
      const context = Context.current();
      const { runId } = context.info.workflowExecution ?? { runId: 'none' };
      const delivery = await beginDelivery(db, { notificationId: input.notificationId, runId });
      if (delivery === null) return { state: 'already-ended' };
      const { notification, channel } = delivery;
      const giveUp = async (reason: string): Promise<DeliveryEnd> => {
        await recordFailed(db, { notificationId: notification.id, reason });
        return { state: 'failed' };
      };
      if (!channel.enabled && notification.topic !== testTopic)
        return giveUp('The channel was switched off before this was sent.');
      const beat = setInterval(() => context.heartbeat(), beatEveryMs);
      try {
        const end = await send(channel, {
          notification: stored(notification),
          signal: context.cancellationSignal,
        });
        if (end.sent) {
          await recordSent(db, { ...delivery, status: end.status, messageId: end.messageId });
          return { state: 'sent' };
        }
        if (!end.mayPass) return await giveUp(end.reason);
        // No cause: it can hold what the reason was freed of, and would be kept in the history.
        throw ApplicationFailure.create({
          message: end.reason,
          type: 'NOT_SENT',
          ...(end.retryAfterMs === null ? {} : { nextRetryDelay: end.retryAfterMs }),
        });
      } finally {
        clearInterval(beat);
      }
    },
  };
}

/** Records that a notification was given up after its last try. */
export function createNotificationEndActivities({ database }: { database: Database }) {
  return {
    async failNotification(input: { notificationId: string; reason: string }): Promise<void> {
      await recordFailed(database.db, input);
    },
  };
}

export type NotificationEndActivities = ReturnType<typeof createNotificationEndActivities>;
