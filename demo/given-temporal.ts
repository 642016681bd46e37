import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { probeScheduleId, taskQueues } from '../domain/names.ts';
import { StackError } from '../stack/error.ts';

/** A Temporal that outlives the demo: it must not be one that a DreamNet works with, and is left as it was. */
export async function borrowTemporal(
  variables: Record<string, string>,
): Promise<{ giveBack: () => Promise<void> }> {
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({
    overrideEnvVars: variables,
  });
  const connection = await Connection.connect(connectionOptions);
  const client = new Client({ connection, namespace });

  async function findRuns(): Promise<{ workflowId: string; runId: string }[]> {
    const query = `TaskQueue = '${taskQueues.main}' AND ExecutionStatus = 'Running'`;
    return Array.fromAsync(client.workflow.list({ query }));
  }
  async function findSchedules(): Promise<string[]> {
    const all = await Array.fromAsync(client.schedule.list());
    return all.map(({ scheduleId }) => scheduleId).filter((id) => id.startsWith(probeScheduleId('')));
  }

  const [runs, schedules] = await Promise.all([findRuns(), findSchedules()]);
  if (runs.length > 0 || schedules.length > 0) {
    await connection.close();
    throw new StackError(
      `a DreamNet works with namespace ${namespace} of the given Temporal, and the demo would get in its way. ` +
        'Set TEMPORAL_NAMESPACE to another one, or unset TEMPORAL_ADDRESS.',
    );
  }
  return {
    async giveBack() {
      for (const id of await findSchedules()) await client.schedule.getHandle(id).delete();
      for (const { workflowId, runId } of await findRuns())
        await client.workflow.getHandle(workflowId, runId).terminate('the demo is over');
      await connection.close();
    },
  };
}
