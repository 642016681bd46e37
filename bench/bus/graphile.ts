import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import type { Stage } from '../stage.ts';
import { ownDatabase } from './databases.ts';
import { payloadOf, type Queue } from './queue.ts';

const quiet = new Logger(() => () => {});
const task = 'noop';

/** graphile-worker as its page on performance sets it up: a local queue, completions in batches. */
export async function openGraphile(stage: Stage): Promise<Queue> {
  const { migrateUrl: connectionString } = await ownDatabase(stage, 'bench_graphile');
  const utils = await makeWorkerUtils({ connectionString, logger: quiet, maxPoolSize: 10 });
  await utils.migrate();
  return {
    name: 'graphile-worker',
    async one(number) {
      await utils.addJob(task, payloadOf(number));
    },
    async many(numbers) {
      await utils.addJobs(numbers.map((number) => ({ identifier: task, payload: payloadOf(number) })));
    },
    async consume(onHandled) {
      const runner = await run({
        connectionString,
        logger: quiet,
        noHandleSignals: true,
        preset: {
          worker: {
            concurrentJobs: 24,
            maxPoolSize: 10,
            localQueue: { size: 500 },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0,
          },
        },
        taskList: {
          [task]: () => {
            onHandled(1);
          },
        },
      });
      return { stop: () => runner.stop() };
    },
    async clear() {
      await utils.withPgClient((client) => client.query('truncate graphile_worker._private_jobs'));
    },
    async close() {
      await utils.release();
    },
  };
}
