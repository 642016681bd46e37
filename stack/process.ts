import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';

export type Exit = { code: number | null; signal: NodeJS.Signals | null; error?: Error };

export type StartedProcess = {
  pid: number;
  exited: Promise<Exit>;
  isRunning: () => boolean;
  lastLines: () => string;
  /** Sends the signal, waits as long as allowed, then sends the last signal. */
  stop: (signal: NodeJS.Signals, graceMs: number, lastSignal?: NodeJS.Signals) => Promise<Exit>;
  kill: (signal: NodeJS.Signals) => void;
};

export type ProcessInput = {
  command: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd?: string;
  uid?: number;
  gid?: number;
  logFile: string;
  /** Sent to the process when this one dies without having stopped it. */
  orphanSignal: 'INT' | 'TERM';
  onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
};

const largestLogBytes = 20_000_000;

// Waits on a pipe that only this process holds: it ends when this process ends, however that happens (kill -9 too).
const guardScript =
  'read -r line; [ "$line" = done ] && exit 0; kill -s "$2" "$1" || exit 0; n=0; ' +
  'while kill -0 "$1" && [ $n -lt 150 ]; do sleep 0.2; n=$((n+1)); done; kill -s KILL "$1"';

function guard(pid: number, signal: string): () => void {
  const child = spawn('/bin/sh', ['-c', guardScript, 'dreamnet-guard', String(pid), signal], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    cwd: '/',
  });
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.unref();
  return () => {
    child.stdin.end('done\n');
  };
}

function openLog(path: string): (line: string) => void {
  mkdirSync(dirname(path), { recursive: true });
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > largestLogBytes) renameSync(path, `${path}.1`);
  return (line) => {
    try {
      appendFileSync(path, `${line}\n`);
    } catch {
      // A full disk must not take the supervisor down with it.
    }
  };
}

export function describeExit(exit: Exit): string {
  if (exit.error) return exit.error.message;
  return exit.signal ? `ended by ${exit.signal}` : `exit code ${exit.code ?? 'unknown'}`;
}

export function startProcess(input: ProcessInput): StartedProcess {
  const writeLog = openLog(input.logFile);
  // A session of its own: a terminal's Ctrl-C must reach only the supervisor, which stops things in order.
  const child = spawn(input.command, [...input.args], {
    env: input.env,
    cwd: input.cwd,
    uid: input.uid,
    gid: input.gid,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const tail: string[] = [];
  let ended: Exit | null = null;
  const readLines = (stream: Readable, name: 'stdout' | 'stderr'): void => {
    createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
      tail.push(line);
      if (tail.length > 20) tail.shift();
      writeLog(line);
      input.onLine?.(line, name);
    });
  };
  readLines(child.stdout, 'stdout');
  readLines(child.stderr, 'stderr');
  const release = child.pid === undefined ? () => {} : guard(child.pid, input.orphanSignal);

  const exited = new Promise<Exit>((resolve) => {
    const finish = (exit: Exit): void => {
      if (ended === null) release();
      ended ??= exit;
      resolve(ended);
    };
    child.on('error', (error) => {
      if (child.pid === undefined) finish({ code: null, signal: null, error });
    });
    child.on('exit', (code, signal) => {
      // Grandchildren may hold the pipes open; the last lines get a moment, no more.
      const moment = setTimeout(() => {
        finish({ code, signal });
      }, 300);
      child.on('close', () => {
        clearTimeout(moment);
        finish({ code, signal });
      });
    });
  });
  const isRunning = (): boolean => ended === null && child.exitCode === null && child.signalCode === null;
  const kill = (signal: NodeJS.Signals): void => {
    if (isRunning()) child.kill(signal);
  };
  return {
    pid: child.pid ?? 0,
    exited,
    isRunning,
    kill,
    lastLines: () => tail.join('\n'),
    stop: async (signal, graceMs, lastSignal = 'SIGKILL') => {
      kill(signal);
      const last = setTimeout(() => {
        kill(lastSignal);
      }, graceMs);
      const afterLast = setTimeout(() => {
        kill('SIGKILL');
      }, graceMs + 5000);
      try {
        return await exited;
      } finally {
        clearTimeout(last);
        clearTimeout(afterLast);
      }
    },
  };
}
