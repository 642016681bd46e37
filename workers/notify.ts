import type { Logger } from '@temporalio/worker';
import type { Database } from '../db/client.ts';
import { previewNotifications, queueNotifications, readNoticeFacts } from '../db/notification-queue.ts';
import { type Delivery, type EventHandler, nothingFailed } from '../domain/delivery.ts';
import { type Notice, noticeOf, personIdsOf, subjectIdsOf } from '../domain/notification.ts';
import type { Runs } from './runs.ts';

/** The rest of a flood is left to the relay, which takes its time. */
const startAtOnce = 100;

/** Turns events into queued notifications and starts their runs; a start that is lost is made good by the relay. */
export function createNotifyHandler(deps: {
  database: Database;
  runs: Pick<Runs, 'startNotification'>;
  /** Where people reach the API: links begin with it. */
  baseUrl: string;
  log: Logger;
}): EventHandler {
  const { database, runs, baseUrl, log } = deps;

  async function noticesOf(deliveries: Delivery[]): Promise<Notice[]> {
    const told = deliveries.map(({ event }) => event).filter(({ type }) => !type.startsWith('notification.'));
    if (told.length === 0) return [];
    const facts = await readNoticeFacts(database, {
      subjectIds: told.flatMap(subjectIdsOf),
      personIds: told.flatMap(personIdsOf),
    });
    return told.map((event) => noticeOf(event, facts, baseUrl)).filter((notice) => notice !== null);
  }

  return {
    async deliver(deliveries) {
      const queued = await queueNotifications(database.log, await noticesOf(deliveries));
      const started = await Promise.allSettled(
        queued.slice(0, startAtOnce).map((row) => runs.startNotification(row)),
      );
      const failed = started.find((result) => result.status === 'rejected');
      if (failed !== undefined)
        log.warn('The relay will start the notifications', {
          error: failed.reason instanceof Error ? failed.reason.message : String(failed.reason),
        });
      return nothingFailed;
    },

    async preview(deliveries) {
      const told = await previewNotifications(database.log, await noticesOf(deliveries));
      return deliveries.map(({ event, part }) => {
        const channels = told.filter(({ eventId }) => eventId === event.id);
        const names = channels.map(({ channel, isHeld }) => (isHeld ? `${channel} (held back)` : channel));
        return {
          eventId: event.id,
          part,
          would: names.length === 0 ? 'tell nobody' : `tell ${names.join(', ')}`,
          detail: { channels },
        };
      });
    },
  };
}
