import { and, eq, sql } from 'drizzle-orm';
import { plainLine } from '../domain/notification.ts';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import { change } from './change.ts';
import { getChannel } from './channels.ts';
import type { Db } from './client.ts';
import { derivedId } from './ids.ts';
import { getNotification, type Delivery, type NotificationRow } from './notifications.ts';
import { notifications, type Receipt } from './schema/index.ts';

function ended(id: string) {
  return and(eq(notifications.id, id), eq(notifications.state, 'queued'));
}

function said(notification: NotificationRow) {
  const { id, channelId, topic, eventId } = notification;
  return { notificationId: id, channelId, topic, eventId };
}

/** Keeps what the receiver answered; a repetition changes nothing. */
export async function recordSent(
  db: Db,
  input: Delivery & { status: string; messageId: string | null },
): Promise<void> {
  const { notification, channel, status, messageId } = input;
  const receipt: Receipt = { status, messageId, at: new Date().toISOString() };
  await change(db, {
    opKey: `notification.sent:${notification.id}`,
    write: db
      .update(notifications)
      .set({ state: 'sent', receipt, error: null, endedAt: sql`now()` })
      .where(ended(notification.id))
      .returning()
      .getSQL(),
    also: [
      sql`update channels set last_sent_at = now() from changed where channels.id = changed.channel_id returning channels.id`,
    ],
    events: [
      {
        type: eventTypes.notificationSent,
        source: { type: 'system', id: 'notifications' },
        payload: { ...said(notification), kind: channel.kind, status, messageId },
        causationId: notification.eventId,
      },
    ],
    audit: {
      actor: 'system',
      action: 'notification.send',
      subjectKind: 'notification',
      subjectId: notification.id,
      detail: { ...said(notification), state: 'sent', status, messageId, attempts: notification.attempts },
    },
  });
}

/**
 * Gives a notification up. The channel's outage is an event of its own, once until something is sent again, and none
 * for a notification that tells of an outage: two channels would otherwise report each other for ever.
 */
export async function recordFailed(db: Db, input: { notificationId: string; reason: string }): Promise<void> {
  const notification = await getNotification(db, input.notificationId);
  if (notification === null || notification.state !== 'queued') return;
  const channel = await getChannel(db, notification.channelId);
  if (channel === null) return;
  const reason = plainLine(input.reason, 500);
  const source = { type: 'system', id: 'notifications' } as const;
  const failed: NewEvent = {
    type: eventTypes.notificationFailed,
    severity: 'warning',
    source,
    payload: { ...said(notification), kind: channel.kind, reason },
    causationId: notification.eventId,
  };
  const outage: NewEvent = {
    // One id per outage: a second one of the same is left out by the log itself.
    id: derivedId('evt', `integration.failed:${channel.id}:${channel.lastSentAt?.getTime() ?? 'never'}`),
    type: eventTypes.integrationFailed,
    severity: 'error',
    source,
    payload: {
      integration: `notification channel (${channel.kind})`,
      name: channel.name,
      channelId: channel.id,
      reason,
    },
    causationId: notification.eventId,
  };
  const isAboutOutage = notification.topic === eventTypes.integrationFailed;
  await change(db, {
    opKey: `notification.failed:${notification.id}`,
    write: db
      .update(notifications)
      .set({ state: 'failed', error: reason, endedAt: sql`now()` })
      .where(ended(notification.id))
      .returning()
      .getSQL(),
    also: [
      sql`update channels set last_failed_at = now() from changed where channels.id = changed.channel_id returning channels.id`,
    ],
    events: isAboutOutage ? [failed] : [failed, outage],
    audit: {
      actor: 'system',
      action: 'notification.send',
      subjectKind: 'notification',
      subjectId: notification.id,
      detail: { ...said(notification), state: 'failed', reason, attempts: notification.attempts },
    },
  });
}
