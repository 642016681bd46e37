import { join } from 'node:path';
import type { StackError } from './error.ts';
import type { Log } from './log.ts';
import { describeExit, startProcess, type StartedProcess } from './process.ts';
import { supervise } from './supervise.ts';

export type ReadyLine = { ready: true; port?: number };

export type ChildInput = {
  name: string;
  command: string;
  args: readonly string[];
  /** Read before each start, so that a restarted API asks for the port it had. */
  env: () => Record<string, string>;
  cwd?: string;
  logFolder: string;
  log: Log;
  restart?: boolean;
  readyTimeoutMs?: number;
  graceMs?: number;
  /** Turns last lines that no restart can mend (a port in use) into the reason to stop. */
  explain?: (lastLines: string) => StackError | null;
  onFatal: (reason: StackError) => void;
  signal?: AbortSignal;
};

export type Child = {
  pid: () => number;
  ready: () => ReadyLine;
  restarts: () => number;
  /** SIGTERM, then SIGKILL when the grace is over. */
  drain: () => Promise<void>;
  kill: () => Promise<unknown>;
};

type ReadyProcess = StartedProcess & { ready: ReadyLine };

function parseReady(line: string): ReadyLine | null {
  if (!line.startsWith('{') || !line.includes('"ready"')) return null;
  try {
    const record = JSON.parse(line) as { ready?: unknown; port?: unknown };
    if (record.ready !== true) return null;
    return typeof record.port === 'number' ? { ready: true, port: record.port } : { ready: true };
  } catch {
    return null;
  }
}

async function startUntilReady(input: ChildInput, signal: AbortSignal): Promise<ReadyProcess> {
  signal.throwIfAborted();
  let onReady: (ready: ReadyLine) => void = () => {};
  const ready = new Promise<ReadyLine>((resolve) => {
    onReady = resolve;
  });
  const started = startProcess({
    command: input.command,
    args: input.args,
    env: input.env(),
    cwd: input.cwd,
    logFile: join(input.logFolder, `${input.name}.log`),
    orphanSignal: 'TERM',
    onLine: (line, stream) => {
      const record = stream === 'stdout' ? parseReady(line) : null;
      if (record === null) input.log.child(input.name, line, stream);
      else onReady(record);
    },
  });
  const timeoutMs = input.readyTimeoutMs ?? 60_000;
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'late');
    signal.addEventListener(
      'abort',
      () => {
        resolve('late');
      },
      { once: true },
    );
  });
  const first = await Promise.race([ready, started.exited, tooLate]);
  clearTimeout(timer);
  if (first === 'late') {
    await started.stop('SIGTERM', 5000);
    signal.throwIfAborted();
    throw new Error(`it was not ready after ${timeoutMs / 1000} s. Its last lines:\n${started.lastLines()}`);
  }
  if ('ready' in first) return { ...started, ready: first };
  const hopeless = input.explain?.(started.lastLines()) ?? null;
  if (hopeless !== null) throw hopeless;
  throw new Error(`${describeExit(first)}. Its last lines:\n${started.lastLines()}`);
}

export async function superviseChild(input: ChildInput): Promise<Child> {
  const supervised = await supervise({
    name: input.name,
    log: input.log,
    start: (ending) => startUntilReady(input, ending),
    firstTries: 5,
    restart: input.restart,
    onFatal: input.onFatal,
    signal: input.signal,
  });
  return {
    pid: () => supervised.current().pid,
    ready: () => supervised.current().ready,
    restarts: supervised.restarts,
    drain: () => supervised.end((running) => running.stop('SIGTERM', input.graceMs ?? 25_000)),
    kill: () => supervised.kill('SIGKILL'),
  };
}
