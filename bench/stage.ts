import { readFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { openDatabase, type Database } from '../db/client.ts';
import type { StackConfig } from '../stack/config.ts';
import type { Log } from '../stack/log.ts';
import { startStack, type Stack } from '../stack/start.ts';
import { createCaller, type Caller } from './http.ts';

export type StageInput = {
  config: StackConfig;
  log: Log;
  /** Aborted by a person, or by a part of the stack that cannot be kept running. */
  ending: AbortController;
};

/** The product as `npm start` runs it, and what a measurement needs to talk to it. */
export type Stage = {
  stack: Stack;
  dataDir: string;
  log: Log;
  signal: AbortSignal;
  admin: Caller;
  operator: Caller;
  database: Database;
  client: Client;
  /** For workers in this process. */
  connection: NativeConnection;
  namespace: string;
  close: () => Promise<void>;
};

export async function openStage({ config, log, ending }: StageInput): Promise<Stage> {
  const { signal } = ending;
  // The SDK would take Ctrl-C for itself and end its workers in the middle of a measurement.
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  const closing: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const part of closing.splice(0).toReversed()) await part().catch(() => {});
  };
  try {
    const stack = await startStack({ config, log, signal });
    closing.push(stack.stop);
    void stack.failed.then((reason) => ending.abort(reason));
    const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({
      overrideEnvVars: stack.temporal,
    });
    const clientConnection = await Connection.connect(connectionOptions);
    closing.push(() => clientConnection.close());
    const connection = await NativeConnection.connect(connectionOptions);
    closing.push(() => connection.close());
    const database = openDatabase(stack.databaseUrl, { name: 'dreamnet-bench', connections: 4 });
    closing.push(() => database.close());
    // A measurement asks more in a minute than any tier allows.
    await database.log`update principals set tier = 'unmetered' where id in ('prn_admin', 'prn_operator')`;
    const withKeyIn = (file: string): Caller =>
      createCaller({ api: stack.urls.api, key: readFileSync(file, 'utf8').trim(), signal });
    return {
      stack,
      dataDir: config.dataDir,
      log,
      signal,
      admin: withKeyIn(stack.keys.admin),
      operator: withKeyIn(stack.keys.operator),
      database,
      client: new Client({ connection: clientConnection, namespace }),
      connection,
      namespace,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
