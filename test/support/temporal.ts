import { randomBytes } from 'node:crypto';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import {
  bundleWorkflowCode,
  Runtime,
  DefaultLogger,
  Worker,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { afterAll, inject } from 'vitest';
import { searchAttributes } from '../../domain/names.ts';

Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });

const quiet = new DefaultLogger('ERROR');
let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;

/** The workflows of this checkout, bundled once per test file. */
export function workflowBundle(): Promise<WorkflowBundleWithSourceMap> {
  const workflowsPath = new URL('../../workflows/index.ts', import.meta.url).pathname;
  bundle ??= bundleWorkflowCode({ workflowsPath, logger: quiet });
  return bundle;
}

export async function realTime(): Promise<TestWorkflowEnvironment> {
  const environment = await TestWorkflowEnvironment.createFromExistingServer({
    address: inject('temporalAddress'),
  });
  afterAll(() => environment.teardown());
  return environment;
}

/** A server whose clock jumps ahead while every workflow only waits. */
export async function skippingTime(): Promise<TestWorkflowEnvironment> {
  const environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: inject('testServer') } },
  });
  afterAll(() => environment.teardown());
  const keyword = 2;
  await environment.connection.operatorService.addSearchAttributes({
    namespace: environment.namespace ?? 'default',
    searchAttributes: Object.fromEntries(Object.values(searchAttributes).map((name) => [name, keyword])),
  });
  return environment;
}

export function aQueue(title: string): string {
  return `${title}-${randomBytes(4).toString('hex')}`;
}

type Activities = Record<string, (input: never) => unknown>;

/** A worker with the given activities on a queue of its own; every task replays when `replayAlways` is set. */
export async function createWorker(
  environment: TestWorkflowEnvironment,
  taskQueue: string,
  activities: Activities,
  options: { replayAlways?: boolean } = {},
): Promise<Worker> {
  return Worker.create({
    connection: environment.nativeConnection,
    taskQueue,
    workflowBundle: await workflowBundle(),
    activities: activities as Record<string, (input: unknown) => Promise<unknown>>,
    ...(options.replayAlways === true ? { maxCachedWorkflows: 0 } : {}),
  });
}
