import { and, asc, desc, eq, isNotNull, isNull, lt, or, type SQL, sql } from 'drizzle-orm';
import { testTopic } from '../domain/channel.ts';
import { notificationWorkflowId } from '../domain/names.ts';
import type { NotificationState } from '../domain/notification.ts';
import { change } from './change.ts';
import type { Db, Sql } from './client.ts';
import { derivedId } from './ids.ts';
import { channels, notifications } from './schema/index.ts';
import type { ChannelRow } from './channels.ts';

export type NotificationRow = typeof notifications.$inferSelect;

export async function getNotification(db: Db, id: string): Promise<NotificationRow | null> {
  const [row] = await db.select().from(notifications).where(eq(notifications.id, id));
  return row ?? null;
}

export type NotificationFilter = {
  channelId?: string | undefined;
  state?: NotificationState | undefined;
  topic?: string | undefined;
};

/** Newest first, before a place. */
export async function listNotifications(
  db: Db,
  filter: NotificationFilter,
  before: { at: Date; id: string } | null,
  limit: number,
): Promise<NotificationRow[]> {
  const { createdAt, id } = notifications;
  const wanted: (SQL | undefined)[] = [
    filter.channelId === undefined ? undefined : eq(notifications.channelId, filter.channelId),
    filter.state === undefined ? undefined : eq(notifications.state, filter.state),
    filter.topic === undefined ? undefined : matchTopic(filter.topic),
    before === null
      ? undefined
      : or(lt(createdAt, before.at), and(eq(createdAt, before.at), lt(id, before.id))),
  ];
  return db
    .select()
    .from(notifications)
    .where(and(...wanted))
    .orderBy(desc(createdAt), desc(id))
    .limit(limit);
}

function matchTopic(topic: string): SQL {
  return topic.endsWith('*')
    ? sql`starts_with(${notifications.topic}, ${topic.slice(0, -1)})`
    : eq(notifications.topic, topic);
}

/** Stores a message that tries a channel out; it is not held back by any cooldown. */
export async function queueTest(
  db: Db,
  input: { channel: ChannelRow; occurrence: string; actor: string },
): Promise<string> {
  const { channel, occurrence, actor } = input;
  const eventId = `test:${occurrence}`;
  const id = derivedId('ntf', `${channel.id}|${eventId}`);
  await change(db, {
    opKey: `channel.test:${channel.id}:${occurrence}`,
    write: db
      .insert(notifications)
      .values({
        id,
        channelId: channel.id,
        eventId,
        topic: testTopic,
        dedupeKey: `${testTopic}|${occurrence}`,
        title: 'A test of this channel',
        text: 'Somebody tried this channel out. When you can read this, it works.',
        fields: [{ name: 'Channel', value: channel.name }],
        severity: 'info',
        state: 'queued',
        workflowId: notificationWorkflowId(id),
      })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    audit: { actor, action: 'channel.test', subjectKind: 'channel', subjectId: channel.id },
  });
  return id;
}

/** Notifications whose run never came to its first step; younger ones are in the hands of who queued them. */
export async function listUnstartedNotifications(
  db: Db,
  graceMs: number,
  limit: number,
): Promise<Pick<NotificationRow, 'id' | 'title' | 'channelId' | 'severity'>[]> {
  const { id, title, channelId, severity, state, runId, createdAt } = notifications;
  return db
    .select({ id, title, channelId, severity })
    .from(notifications)
    .where(and(eq(state, 'queued'), isNull(runId), lt(createdAt, ago(graceMs))))
    .orderBy(asc(createdAt))
    .limit(limit);
}

/** Notifications whose run has long had its time: it was ended in Temporal itself. */
export async function listStrandedNotifications(db: Db, ageMs: number, limit: number): Promise<string[]> {
  const { id, state, runId, createdAt } = notifications;
  const rows = await db
    .select({ id })
    .from(notifications)
    .where(and(eq(state, 'queued'), isNotNull(runId), lt(createdAt, ago(ageMs))))
    .limit(limit);
  return rows.map((row) => row.id);
}

function ago(ms: number): SQL {
  return sql`now() - make_interval(secs => ${ms / 1000}::double precision)`;
}

/** Retention: deletes the oldest of those that ended longer ago than this. */
export async function deleteEndedNotifications(log: Sql, days: number, limit: number): Promise<number> {
  const rows = await log`
    delete from notifications where id in (
      select id from notifications where ended_at < now() - make_interval(days => ${days}::int)
      order by ended_at limit ${limit}
    ) returning id`;
  return rows.length;
}

export type Delivery = { notification: NotificationRow; channel: ChannelRow };

/** Claims a notification for a run and counts the try; null when it has ended. */
export async function beginDelivery(
  db: Db,
  input: { notificationId: string; runId: string },
): Promise<Delivery | null> {
  const [notification] = await db
    .update(notifications)
    .set({ attempts: sql`${notifications.attempts} + 1`, runId: input.runId })
    .where(and(eq(notifications.id, input.notificationId), eq(notifications.state, 'queued')))
    .returning();
  if (notification === undefined) return null;
  const [channel] = await db.select().from(channels).where(eq(channels.id, notification.channelId));
  return channel === undefined ? null : { notification, channel };
}
