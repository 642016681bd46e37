import { randomBytes } from 'node:crypto';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Runtime,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';

Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });

let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;

/** The workflows of this checkout, bundled once per process. */
export function workflowBundle(): Promise<WorkflowBundleWithSourceMap> {
  const workflowsPath = new URL('../../workflows/index.ts', import.meta.url).pathname;
  bundle ??= bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
  return bundle;
}

export function aQueue(title: string): string {
  return `${title}-${randomBytes(4).toString('hex')}`;
}

type Activities = Record<string, (input: never) => unknown>;

/** A worker with the given activities on a queue of its own; every task replays when `replayAlways` is set. */
export async function createWorker(
  environment: Pick<TestWorkflowEnvironment, 'nativeConnection'>,
  taskQueue: string,
  activities: Activities,
  options: { replayAlways?: boolean } = {},
): Promise<Worker> {
  return Worker.create({
    connection: environment.nativeConnection,
    taskQueue,
    workflowBundle: await workflowBundle(),
    activities: activities,
    // A cancellation travels back with a heartbeat, of which the SDK sends few by default.
    maxHeartbeatThrottleInterval: '100ms',
    ...(options.replayAlways === true ? { maxCachedWorkflows: 0 } : {}),
  });
}
