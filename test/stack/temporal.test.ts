import { Connection } from '@temporalio/client';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startTemporal, type TemporalInput } from '../../stack/temporal.ts';
import { isAlive, keepLog, makeFolder, temporalCli } from './support.ts';

async function start(dataDir: string, more: Partial<TemporalInput> = {}) {
  const server = await startTemporal({ cli: temporalCli(), dataDir, log: keepLog(), ...more });
  onTestFinished(server.stop);
  return server;
}

async function describeServer(address: string) {
  const connection = await Connection.connect({ address });
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
    const { customAttributes } = await connection.operatorService.listSearchAttributes({
      namespace: 'default',
    });
    return {
      retention: Number(config?.workflowExecutionRetentionTtl?.seconds),
      attributes: Object.keys(customAttributes),
    };
  } finally {
    await connection.close();
  }
}

test('the local server has its search attributes, its retention and its Web UI, and is gone after stop', async () => {
  const server = await start(makeFolder(), { namespaceRetention: '48h' });
  const { retention, attributes } = await describeServer(server.address);
  expect(retention).toBe(48 * 3600);
  const wanted = ['DreamEntity', 'DreamKind', 'DreamSeverity', 'DreamState', 'DreamSubsystem'];
  expect(attributes).toEqual(expect.arrayContaining(wanted));
  expect((await fetch(server.uiUrl ?? '')).status).toBe(200);
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
});

test('a second start finds the records of the first', async () => {
  const dataDir = makeFolder();
  const first = await start(dataDir, { headless: true });
  const { namespaceInfo: before } = await describeNamespace(first.address);
  await first.stop();
  const second = await start(dataDir, { headless: true, port: first.port });
  const { namespaceInfo: after } = await describeNamespace(second.address);
  expect(after?.id).toBe(before?.id);
  expect(second.address).toBe(first.address);
});

async function describeNamespace(address: string) {
  const connection = await Connection.connect({ address });
  try {
    return await connection.workflowService.describeNamespace({ namespace: 'default' });
  } finally {
    await connection.close();
  }
}

test('a server for tests keeps nothing on disk', async () => {
  const dataDir = makeFolder();
  await start(dataDir, { ephemeral: true, headless: true });
  expect(existsSync(join(dataDir, 'temporal', 'temporal.db'))).toBe(false);
});

test('a missing program is told together with how to get it', async () => {
  await expect(start(makeFolder(), { cli: '/nowhere/temporal' })).rejects.toThrow('node scripts/setup.mjs');
});
