import { TestWorkflowEnvironment } from '@temporalio/testing';
import { inject } from 'vitest';
import { searchAttributes } from '../../domain/names.ts';
import { atFileEnd } from './file-end.ts';

export async function realTime(): Promise<TestWorkflowEnvironment> {
  const environment = await TestWorkflowEnvironment.createFromExistingServer({
    address: inject('temporalAddress'),
  });
  atFileEnd(() => environment.teardown());
  return environment;
}

/** A server whose clock jumps ahead while every workflow only waits. */
export async function skippingTime(): Promise<TestWorkflowEnvironment> {
  const environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: inject('testServer') } },
  });
  atFileEnd(() => environment.teardown());
  const keyword = 2;
  await environment.connection.operatorService.addSearchAttributes({
    namespace: environment.namespace ?? 'default',
    searchAttributes: Object.fromEntries(Object.values(searchAttributes).map((name) => [name, keyword])),
  });
  return environment;
}
