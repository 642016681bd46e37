import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { type CommandEnd, type CommandSpec, effectFiles, processStart } from './command-files.ts';

/*
 * A process of its own that outlives the worker: claims the attempt, runs its command in a process group, and leaves
 * the result in a file. Started by `runCommand` with the attempt's folder as its one argument.
 */
const keptOutput = 32 * 1024;
const killAfterMs = 2_000;

const dir = process.argv[2] ?? '';
const files = effectFiles(dir);
const spec = JSON.parse(readFileSync(files.spec, 'utf8')) as CommandSpec;

function writeWhole(file: string, value: unknown): void {
  writeFileSync(`${file}.new`, JSON.stringify(value), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function finish(end: CommandEnd): never {
  writeWhole(files.end, end);
  process.exit(0);
}

try {
  const claim = { pid: process.pid, startedAt: await processStart(process.pid) };
  writeFileSync(files.claim, JSON.stringify(claim), { flag: 'wx', mode: 0o600 });
} catch {
  process.exit(0);
}

function limited(command: string[]): string[] {
  if (spec.memoryMb === null) return command;
  const hasPrlimit = spawnSync('prlimit', ['--version'], { env: spec.env, stdio: 'ignore' }).status === 0;
  if (!hasPrlimit)
    finish({ kind: 'not-runnable', message: 'memoryMb is set and prlimit (util-linux) is not on PATH' });
  return ['prlimit', `--data=${spec.memoryMb * 1024 * 1024}`, '--core=0', '--', ...command];
}

const [program = '', ...args] = limited(spec.command);
const child = spawn(program, args, {
  cwd: spec.cwd ?? dir,
  env: spec.env,
  detached: true,
  stdio: ['pipe', 'pipe', 'pipe'],
});

let ended: CommandEnd | null = null;
function stop(as: CommandEnd): void {
  ended ??= as;
  const group = child.pid === undefined ? null : -child.pid;
  if (group === null) return;
  const kill = (signal: NodeJS.Signals): void => {
    try {
      process.kill(group, signal);
    } catch {
      // The group is gone already.
    }
  };
  kill('SIGTERM');
  setTimeout(() => kill('SIGKILL'), killAfterMs).unref();
}

setTimeout(() => stop({ kind: 'timed-out', afterMs: spec.timeoutMs }), spec.timeoutMs).unref();
process.on('SIGTERM', () => stop({ kind: 'cancelled' }));

function noteProgress(line: string): void {
  if (!line.startsWith('{"progress"')) return;
  try {
    const said = JSON.parse(line) as { progress: unknown; message?: unknown };
    if (typeof said.progress !== 'number') return;
    const fraction = Math.min(1, Math.max(0, said.progress));
    writeWhole(files.progress, {
      fraction,
      message: (typeof said.message === 'string' ? said.message : '').slice(0, 500),
    });
  } catch {
    // Not one of ours: a line like any other.
  }
}

let stdout = '';
let stderr = '';
let line = '';
child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
  stdout = (stdout + chunk).slice(-keptOutput);
  const lines = (line + chunk).split('\n');
  line = (lines.pop() ?? '').slice(-4096);
  lines.forEach(noteProgress);
});
child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
  stderr = (stderr + chunk).slice(-keptOutput);
});
child.stdin.on('error', () => undefined);
child.stdin.end(spec.input);
child.on('error', (error) => finish({ kind: 'not-runnable', message: error.message }));
child.on('close', (code, signal) => finish(ended ?? { kind: 'ended', code, signal, stdout, stderr }));
