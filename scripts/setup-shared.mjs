import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
export const cacheDir = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'dreamnet');
export const projectNode = join(root, 'node_modules', '.bin', 'node');

/** A failure whose message alone is for the reader: no stack trace. */
export class SetupError extends Error {}

export function say(text) {
  process.stderr.write(`set-up: ${text}\n`);
}

export function seconds(since) {
  return `${Math.round((Date.now() - since) / 1000)} s`;
}

export function isRunnable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

export function findOnPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder !== '' && isRunnable(join(folder, name))) return join(folder, name);
  }
  return null;
}

/** Runs a command to its end; never throws. `keepGoing` is asked every second and may end it. */
export function run(command, args, { cwd = root, env = process.env, timeoutMs, keepGoing, onTick } = {}) {
  return new Promise((done) => {
    const started = Date.now();
    let output = '';
    let ended = null;
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const add = (chunk) => {
      output = (output + chunk).slice(-20_000);
    };
    const end = (reason) => {
      ended ??= reason;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // already gone
      }
    };
    // Detached, so that the whole tree can be ended: then Ctrl-C has to be handed on by hand.
    const interrupt = (signal) => {
      end('interrupted');
      process.exit(signal === 'SIGINT' ? 130 : 143);
    };
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    const timer = setInterval(() => {
      onTick?.(Date.now() - started);
      if (timeoutMs !== undefined && Date.now() - started > timeoutMs)
        end(`no end after ${timeoutMs / 1000} s`);
      if (keepGoing !== undefined && !keepGoing()) end('no progress');
    }, 1000);
    const finish = (code, problem) => {
      clearInterval(timer);
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
      const reason = ended ?? problem;
      done({ ok: code === 0 && reason === null, code, output: output.trim(), reason });
    };
    child.stdout.on('data', add);
    child.stderr.on('data', add);
    child.on('error', (error) => finish(null, error.message));
    child.on('close', (code) => finish(code, null));
  });
}

export function everySeconds(period, text) {
  let next = period;
  return (elapsedMs) => {
    if (elapsedMs / 1000 < next) return;
    next += period;
    say(`${text} (${Math.round(elapsedMs / 1000)} s)`);
  };
}

export function lastLines(text, count = 12) {
  return text
    .split('\n')
    .slice(-count)
    .map((line) => `  ${line}`)
    .join('\n');
}

export function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

export function writeAtomically(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(draft, text);
  renameSync(draft, path);
}

export function makeFolder(path, purpose) {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw new SetupError(
      `cannot write to ${path} (${error.code ?? error.message}), which is needed for ${purpose}.\n` +
        `Make that folder writable for this user, or choose another one (XDG_CACHE_HOME sets the cache folder).`,
    );
  }
}
