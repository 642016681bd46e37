import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StackError } from './error.ts';
import type { Log } from './log.ts';
import { findFreePort } from './ports.ts';
import { startProcess, type Exit, type StartedProcess } from './process.ts';
import { searchAttributes, temporalEnv, waitForTemporal } from './temporal-ready.ts';

export type TemporalInput = {
  /** The `temporal` program. */
  cli: string;
  dataDir: string;
  log: Log;
  /** Any free ports when they are not given. */
  port?: number;
  uiPort?: number;
  namespace?: string;
  namespaceRetention?: string;
  /** Without the Web UI. */
  headless?: boolean;
  /** For tests: nothing is kept on disk. */
  ephemeral?: boolean;
  signal?: AbortSignal;
};

export type Temporal = {
  address: string;
  namespace: string;
  port: number;
  uiPort: number | null;
  uiUrl: string | null;
  pid: number;
  exited: Promise<Exit>;
  lastLines: () => string;
  kill: (signal: NodeJS.Signals) => void;
  stop: () => Promise<void>;
};

const dynamicConfig = [
  'history.transferProcessorMaxPollRPS=1000',
  'history.timerProcessorMaxPollRPS=1000',
  'history.visibilityProcessorMaxPollRPS=1000',
  'system.enableActivityEagerExecution=true',
];

type Ports = { port: number; uiPort: number | null };

export async function startTemporal(input: TemporalInput): Promise<Temporal> {
  const folder = join(input.dataDir, 'temporal');
  mkdirSync(folder, { recursive: true });
  try {
    accessSync(input.cli, constants.X_OK);
  } catch {
    throw new StackError(
      `${input.cli}, the Temporal server's program, is not there or cannot be run. Run "node scripts/setup.mjs" to get it anew, or set TEMPORAL_CLI_PATH.`,
    );
  }
  for (let tries = input.port ? 1 : 3; ; tries -= 1) {
    input.signal?.throwIfAborted();
    const ports: Ports = {
      port: input.port || (await findFreePort()),
      uiPort: input.headless ? null : input.uiPort || (await findFreePort()),
    };
    const started = spawnServer(input, folder, ports);
    const problem = await waitForTemporal({
      cli: input.cli,
      folder,
      started,
      address: `127.0.0.1:${ports.port}`,
      namespace: input.namespace ?? 'default',
      retention: input.namespaceRetention ?? '72h',
      signal: input.signal,
    });
    if (problem === null) return describe(input, started, ports);
    if (tries > 1 && started.lastLines().includes('address already in use')) continue;
    throw new StackError(
      `the Temporal server did not start on port ${ports.port} with its data in ${folder} (${problem}). Its last lines:\n${started.lastLines()}`,
    );
  }
}

function flags(input: TemporalInput, folder: string, ports: Ports): string[] {
  const pairs = (flag: string, values: readonly string[]): string[] =>
    values.flatMap((value) => [flag, value]);
  return [
    ...['server', 'start-dev', '--log-level', 'warn', '--ip', '127.0.0.1', '--port', String(ports.port)],
    ...(ports.uiPort === null ? ['--headless'] : ['--ui-ip', '127.0.0.1', '--ui-port', String(ports.uiPort)]),
    ...['--namespace', input.namespace ?? 'default'],
    ...(input.ephemeral ? [] : ['--db-filename', join(folder, 'temporal.db')]),
    ...pairs('--sqlite-pragma', ['journal_mode=WAL', 'synchronous=NORMAL']),
    ...pairs('--dynamic-config-value', dynamicConfig),
    ...pairs(
      '--search-attribute',
      searchAttributes.map((name) => `${name}=Keyword`),
    ),
  ];
}

function spawnServer(input: TemporalInput, folder: string, ports: Ports): StartedProcess {
  return startProcess({
    command: input.cli,
    args: flags(input, folder, ports),
    env: temporalEnv(folder),
    cwd: folder,
    logFile: join(input.dataDir, 'logs', 'temporal.log'),
    orphanSignal: 'INT',
  });
}

function describe(input: TemporalInput, started: StartedProcess, ports: Ports): Temporal {
  return {
    ...ports,
    address: `127.0.0.1:${ports.port}`,
    namespace: input.namespace ?? 'default',
    uiUrl: ports.uiPort === null ? null : `http://127.0.0.1:${ports.uiPort}`,
    pid: started.pid,
    exited: started.exited,
    lastLines: started.lastLines,
    kill: started.kill,
    stop: async () => {
      await started.stop('SIGINT', 10_000);
    },
  };
}

/** A profile file with nothing in it: clients of the local server must not read the user's own. */
export function writeEmptyProfile(dataDir: string): string {
  const path = join(dataDir, 'temporal', 'no-profile.toml');
  mkdirSync(join(dataDir, 'temporal'), { recursive: true });
  writeFileSync(path, '[profile.default]\n');
  return path;
}
