import type { CommandDef } from 'citty';
import { notificationStates } from '../../domain/notification.ts';
import { command } from '../command.ts';
import { hintMore, instant, linkLine, marked, pageArgs } from '../format.ts';
import { facts, type Output, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Notification, Page } from '../views.ts';

/** What its receiver said, or why there is nothing to say. */
function receiptOf({ receipt, error }: Notification): string {
  if (receipt === null) return error ?? '';
  return receipt.messageId === null ? receipt.status : `${receipt.status} ${receipt.messageId}`;
}

/** A notification in a few lines. */
export function describeNotification(out: Output, notification: Notification): string[] {
  return [
    ...facts(out, [
      ['notification', notification.id],
      ['state', notification.state],
      ['tries', notification.attempts],
      ['receipt', notification.receipt === null ? null : receiptOf(notification)],
      ['error', notification.error],
    ]),
    linkLine(out, notification.temporal),
  ];
}

const listCommand = command({
  name: 'list',
  about: 'Notifications, newest first, with their receipts',
  args: {
    channel: { type: 'string', valueHint: 'ID', description: 'Of this channel only' },
    state: {
      type: 'enum',
      options: [...notificationStates],
      description: 'In this state only',
    },
    topic: {
      type: 'string',
      valueHint: 'TYPE',
      description: 'Of this event type, or beginning with it: squad.*',
    },
    ...pageArgs,
  },
  run: async (session, { channel, state, topic, limit, cursor }) => {
    const query = { channelId: channel, state, topic, limit, cursor };
    const reply = await session.api.get('/v1/notifications', query);
    const page = bodyOf<Page<Notification>>(reply);
    const heads = ['WHEN', 'STATE', 'TOPIC', 'TITLE', 'RECEIPT'];
    const rows = page.items.map((one) => [
      ...[instant(one.createdAt), marked(one.state), one.topic, one.title],
      receiptOf(one),
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No notifications.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

export const notificationCommands: Record<string, CommandDef> = { list: listCommand };
