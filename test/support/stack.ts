import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import postgres from 'postgres';
import { inject } from 'vitest';
import { readStackConfig } from '../../stack/config.ts';
import { silentLog } from '../../stack/log.ts';
import { type Stack, startStack } from '../../stack/start.ts';
import { atFileEnd } from './file-end.ts';

export type Answer<T = Record<string, unknown>> = { status: number; body: T; headers: Headers };
export type Caller = <T = Record<string, unknown>>(
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answer<T>>;

export type TestStack = Stack & {
  dataDir: string;
  admin: Caller;
  operator: Caller;
  /** Calls with another key. */
  as: (key: string) => Caller;
  client: Client;
};

/**
 * The whole product as `npm start` runs it, on free ports and a folder of its own; stopped after the test file. A durable
 * one keeps what it acknowledged over a kill -9 of Postgres, as the product does; the others save the time.
 */
export async function startTestStack(
  more: Record<string, string> = {},
  options: { isDurable?: boolean } = {},
): Promise<TestStack> {
  const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-e2e-'));
  chmodSync(dataDir, 0o711);
  const root = resolve(import.meta.dirname, '../..');
  const config = readStackConfig(
    {
      PATH: process.env.PATH,
      HOME: dataDir,
      DREAMNET_DATA_DIR: dataDir,
      PORT: '0',
      DREAMNET_TEMPORAL_PORT: '0',
      TEMPORAL_CLI_PATH: inject('temporalCli'),
      DREAMNET_HALO_COOLDOWN_MS: '300',
      DREAMNET_HALO_ERROR_WINDOW_MS: '200',
      DREAMNET_HALO_SETTLE_MS: '0',
      ...more,
    },
    root,
  );
  const stack = await startStack({ config, log: silentLog, fast: options.isDurable !== true });
  const sql = postgres(stack.databaseUrl, { max: 1, onnotice: () => undefined });
  // Tests ask more in a minute than any tier allows.
  await sql`update principals set tier = 'unmetered' where id in ('prn_admin', 'prn_operator')`;
  await sql.end({ timeout: 5 });
  const as =
    (key: string): Caller =>
    async (method, path, body, headers = {}) => {
      const response = await fetch(`${stack.urls.api}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as never, headers: response.headers };
    };
  const connection = await Connection.connect({ address: stack.temporal.TEMPORAL_ADDRESS ?? '' });
  atFileEnd(async () => {
    await connection.close();
    await stack.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  return {
    ...stack,
    dataDir,
    as,
    admin: as(readFileSync(stack.keys.admin, 'utf8').trim()),
    operator: as(readFileSync(stack.keys.operator, 'utf8').trim()),
    client: new Client({ connection }),
  };
}
