import type { StackConfig } from './config.ts';
import { prepareDatabase } from './database.ts';
import { StackError } from './error.ts';
import { withProgress, type Log } from './log.ts';
import { startPostgres } from './postgres.ts';
import { supervise } from './supervise.ts';
import { startTemporal, writeEmptyProfile } from './temporal.ts';

export type ServerInput = {
  config: StackConfig;
  log: Log;
  fast: boolean;
  onFatal: (reason: StackError) => void;
  signal: AbortSignal;
};

/** A server that runs, or one of somebody else's that is only used: then there is nothing to stop. */
export type Server<T> = T & { stop: () => Promise<void>; kill: () => Promise<unknown> };

export type DatabaseServer = Server<{ databaseUrl: string; migrateUrl: string; pid: () => number | null }>;

export type TemporalServer = Server<{
  variables: Record<string, string>;
  uiUrl: string | null;
  pid: () => number | null;
}>;

const nothingToStop = { stop: () => Promise.resolve(), kill: () => Promise.resolve(), pid: () => null };

export async function provideDatabase({
  config,
  log,
  fast,
  onFatal,
  signal,
}: ServerInput): Promise<DatabaseServer> {
  if (config.database.kind === 'given') return { ...config.database, ...nothingToStop };
  const { dataDir } = config;
  let port = 0;
  const start = (ending: AbortSignal) => startPostgres({ dataDir, log, fast, port, signal: ending });
  const supervised = await withProgress(
    log,
    'Starting PostgreSQL',
    supervise({ name: 'PostgreSQL', log, start, firstTries: 1, onFatal, signal }),
  );
  // A restart must keep the port: the API and the worker know it.
  port = supervised.current().port;
  const stop = () => supervised.end((running) => running.stop());
  try {
    const urls = await prepareDatabase({ superuserUrl: supervised.current().superuserUrl, dataDir });
    return {
      ...urls,
      stop,
      kill: () => supervised.kill('SIGQUIT'),
      pid: () => supervised.current().pid,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type ClaimedPorts = { port: number; uiPort: number };

export async function provideTemporal(
  input: ServerInput,
  ports: ClaimedPorts | null,
): Promise<TemporalServer> {
  const { config, log, onFatal, signal } = input;
  if (config.temporal.kind === 'given' || ports === null) {
    const variables = config.temporal.kind === 'given' ? config.temporal.variables : {};
    return { variables, uiUrl: config.temporalUiUrl, ...nothingToStop };
  }
  const { cli, namespace } = config.temporal;
  if (cli === null) {
    throw new StackError(
      'no Temporal server is known here. Run "node scripts/setup.mjs" (npm start does), or set TEMPORAL_CLI_PATH or TEMPORAL_ADDRESS.',
    );
  }
  const start = (ending: AbortSignal) =>
    startTemporal({
      cli,
      namespace,
      dataDir: config.dataDir,
      log,
      ...ports,
      signal: ending,
    });
  const supervised = await withProgress(
    log,
    'Starting the Temporal server',
    supervise({ name: 'the Temporal server', log, start, firstTries: 1, onFatal, signal }),
  );
  const running = supervised.current();
  return {
    uiUrl: config.temporalUiUrl ?? running.uiUrl,
    variables: {
      TEMPORAL_ADDRESS: running.address,
      TEMPORAL_NAMESPACE: namespace,
      TEMPORAL_CONFIG_FILE: writeEmptyProfile(config.dataDir),
    },
    stop: () => supervised.end((server) => server.stop()),
    kill: () => supervised.kill('SIGKILL'),
    pid: () => supervised.current().pid,
  };
}
