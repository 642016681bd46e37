import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createSubscriptionActivities } from '../../activities/subscriptions.ts';
import { createEventWriter } from '../../api/event-writer.ts';
import { openDatabase } from '../../db/client.ts';
import { appendEvents, ensureEventPartitions } from '../../db/events.ts';
import { migrateDatabase } from '../../db/migrate.ts';
import { ensureSubscription } from '../../db/subscriptions.ts';
import { nothingFailed } from '../../domain/delivery.ts';
import { compileFilter } from '../../domain/event-filter.ts';
import type { EventInput } from '../../domain/events.ts';
import { listenForEvents } from '../../db/wakeups.ts';
import type { Stage } from '../stage.ts';
import { ownDatabase } from './databases.ts';
import { payloadOf, type Queue } from './queue.ts';

const key = 'bench';
const turnMs = 600_000;

const eventOf = (number: number): EventInput => ({
  type: 'bench.event.sent',
  source: { type: 'api', id: 'bench' },
  severity: 'info',
  payload: payloadOf(number),
  metadata: {},
});

/** The bus of this system: its writer, its log and the consumer that the worker runs, with one subscription. */
export async function openDreamnet(stage: Stage): Promise<Queue> {
  const { migrateUrl, databaseUrl } = await ownDatabase(stage, 'bench_dreamnet');
  await migrateDatabase(migrateUrl);
  const database = openDatabase(databaseUrl, { name: 'bench-dreamnet' });
  const { log } = database;
  await ensureEventPartitions(log);
  await ensureSubscription(log, {
    ...{ key, handler: 'noop', description: 'of the bench' },
    match: { types: [], minSeverity: 'info', excludeSourceTypes: [] },
  });
  const append = createEventWriter((inputs) => appendEvents(log, inputs));
  const wakeups = await listenForEvents(log);
  return {
    name: 'dreamnet',
    async one(number) {
      await append(eventOf(number));
    },
    async many(numbers) {
      await appendEvents(log, numbers.map(eventOf));
    },
    async consume(onHandled) {
      const activities = createSubscriptionActivities({
        ...{ database, wakeups, turnMs, compileFilter },
        handlers: {
          noop: {
            deliver(deliveries) {
              onHandled(deliveries.length);
              return Promise.resolve(nothingFailed);
            },
            preview: () => Promise.resolve([]),
          },
        },
      });
      const environment = new MockActivityEnvironment();
      const turn = environment.run((input: { key: string }) => activities.consumeEvents(input), { key });
      // Waited for in `stop`; until then a failure shows as events that are never handled.
      turn.catch(() => {});
      return {
        async stop() {
          environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
          await turn;
        },
      };
    },
    async clear() {
      await log`update subscription_lanes set cursor_tx = pg_snapshot_xmax(pg_current_snapshot()), cursor_seq = 0`;
    },
    close: () => database.close(),
  };
}
