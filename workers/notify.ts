import type { Logger } from '@temporalio/worker';
import type { EventHandler } from '../activities/subscriptions.ts';
import type { Database } from '../db/client.ts';
import { queueNotifications, readNoticeFacts } from '../db/notification-queue.ts';
import { noticeOf, personIdsOf, subjectIdsOf } from '../domain/notification.ts';
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
  return async (events) => {
    const told = events.filter(({ type }) => !type.startsWith('notification.'));
    if (told.length === 0) return;
    const facts = await readNoticeFacts(database, {
      subjectIds: told.flatMap(subjectIdsOf),
      personIds: told.flatMap(personIdsOf),
    });
    const notices = told.map((event) => noticeOf(event, facts, baseUrl)).filter((notice) => notice !== null);
    const queued = await queueNotifications(database.log, notices);
    const started = await Promise.allSettled(
      queued.slice(0, startAtOnce).map((row) => runs.startNotification(row)),
    );
    const failed = started.find((result) => result.status === 'rejected');
    if (failed !== undefined)
      log.warn('The relay will start the notifications', {
        error: failed.reason instanceof Error ? failed.reason.message : String(failed.reason),
      });
  };
}
