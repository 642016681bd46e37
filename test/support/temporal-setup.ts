import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestProject } from 'vitest/node';
import { silentLog } from '../../stack/log.ts';
import { startTemporal } from '../../stack/temporal.ts';
import { readToolchain } from '../../stack/toolchain.ts';

declare module 'vitest' {
  interface ProvidedContext {
    temporalAddress: string;
    temporalCli: string;
    testServer: string;
  }
}

/** One Temporal dev server for the project. A server that cannot be had is a failure, never a skip. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const toolchain = readToolchain(resolve(import.meta.dirname, '../..'));
  const cli = process.env.TEMPORAL_CLI_PATH ?? toolchain.temporalCli;
  if (cli === null || toolchain.testServer === null)
    throw new Error('Temporal or its test server is missing; run `node scripts/setup.mjs --test`.');
  const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-test-temporal-'));
  const temporal = await startTemporal({ cli, dataDir, log: silentLog, headless: true, ephemeral: true });
  project.provide('temporalAddress', temporal.address);
  project.provide('temporalCli', cli);
  project.provide('testServer', toolchain.testServer);
  return async () => {
    await temporal.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
}
