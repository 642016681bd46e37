import { PgBoss } from 'pg-boss';
import type { Stage } from '../stage.ts';
import { ownDatabase } from './databases.ts';
import { payloadOf, type Queue } from './queue.ts';

const queue = 'noop';

/** pg-boss woken by NOTIFY, fetching batch after batch while they are full. */
export async function openPgBoss(stage: Stage): Promise<Queue> {
  const { migrateUrl: connectionString } = await ownDatabase(stage, 'bench_pgboss');
  const boss = new PgBoss({
    connectionString,
    max: 10,
    useListenNotify: true,
    supervise: false,
    schedule: false,
  });
  boss.on('error', (error) => stage.log.warn(`pg-boss: ${error.message}`));
  await boss.start();
  await boss.createQueue(queue, { notify: true });
  return {
    name: 'pg-boss',
    async one(number) {
      await boss.send(queue, payloadOf(number));
    },
    async many(numbers) {
      await boss.insert(
        queue,
        numbers.map((number) => ({ data: payloadOf(number) })),
      );
    },
    async consume(onHandled) {
      await boss.work(
        queue,
        { batchSize: 500, localConcurrency: 2, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true },
        (jobs) => {
          onHandled(jobs.length);
          return Promise.resolve();
        },
      );
      return {
        async stop() {
          await boss.offWork(queue, { wait: true });
        },
      };
    },
    async clear() {
      await boss.deleteAllJobs(queue);
    },
    close: () => boss.stop({ graceful: false }),
  };
}
