import { join } from 'node:path';
import { StackError } from './error.ts';
import { makePassableFolder } from './files.ts';
import type { Log } from './log.ts';
import { findFreePort } from './ports.ts';
import { placePostgres, type Placement } from './postgres-account.ts';
import { endLeftover, postgresEnv, prepareCluster } from './postgres-cluster.ts';
import { describeExit, startProcess, type Exit, type StartedProcess } from './process.ts';

export type PostgresInput = {
  dataDir: string;
  log: Log;
  /** Any free port when it is not given. */
  port?: number;
  /** For tests: quick, and not safe against a crash of the machine. */
  fast?: boolean;
  signal?: AbortSignal;
};

export type Postgres = {
  superuserUrl: string;
  port: number;
  pid: number;
  exited: Promise<Exit>;
  lastLines: () => string;
  kill: (signal: NodeJS.Signals) => void;
  stop: () => Promise<void>;
};

const settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '128MB',
  idle_in_transaction_session_timeout: '5s',
  transaction_timeout: '60s',
  statement_timeout: '30s',
  log_min_messages: 'warning',
  wal_compression: 'on',
  synchronous_commit: 'on',
};

const fastSettings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
const startTimeoutMs = 60_000;

export async function startPostgres(input: PostgresInput): Promise<Postgres> {
  makePassableFolder(input.dataDir);
  const placement = await placePostgres(input.dataDir, input.log);
  await endLeftover(placement.clusterDir, input.log);
  const password = prepareCluster(placement, input.dataDir);
  // A free port may be taken by another program in the moment before the server binds it.
  for (let tries = input.port ? 1 : 3; ; tries -= 1) {
    input.signal?.throwIfAborted();
    const port = input.port || (await findFreePort());
    const server = spawnServer(input, placement, port);
    const problem = await waitUntilReady(server.started, server.ready, input.signal);
    if (problem === null) return describe(server.started, port, password);
    const portWasTaken = server.started.lastLines().includes('could not bind');
    if (portWasTaken && tries > 1) continue;
    const hint = portWasTaken ? ` Port ${port} is in use by another program.` : '';
    throw new StackError(
      `PostgreSQL did not start on ${placement.clusterDir} (${problem}).${hint} Its last lines:\n${server.started.lastLines()}`,
    );
  }
}

function spawnServer(input: PostgresInput, placement: Placement, port: number) {
  const all = { ...settings, ...(input.fast ? fastSettings : {}), port: String(port) };
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  let onReady: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    onReady = resolve;
  });
  const started = startProcess({
    command: placement.binaries.postgres,
    args: ['-D', placement.clusterDir, ...flags],
    env: postgresEnv,
    cwd: '/',
    ...placement.account,
    logFile: join(input.dataDir, 'logs', 'postgres.log'),
    orphanSignal: 'INT',
    onLine: (line) => {
      if (line.includes('database system is ready to accept connections')) onReady();
      if (/ (PANIC|WARNING): {2}/.test(line)) input.log.child('postgres', line, 'stderr');
    },
  });
  return { started, ready };
}

async function waitUntilReady(
  started: StartedProcess,
  ready: Promise<void>,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, startTimeoutMs, 'late');
    signal?.addEventListener(
      'abort',
      () => {
        resolve('late');
      },
      { once: true },
    );
  });
  const first = await Promise.race([ready.then(() => 'ready' as const), started.exited, tooLate]);
  clearTimeout(timer);
  if (first === 'ready') return null;
  if (first !== 'late') return describeExit(first);
  await started.stop('SIGINT', 10_000, 'SIGQUIT');
  signal?.throwIfAborted();
  return `not ready after ${startTimeoutMs / 1000} s`;
}

function describe(started: StartedProcess, port: number, password: string): Postgres {
  return {
    superuserUrl: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    port,
    pid: started.pid,
    exited: started.exited,
    lastLines: started.lastLines,
    kill: started.kill,
    stop: async () => {
      await started.stop('SIGINT', 10_000, 'SIGQUIT');
    },
  };
}
