import { execFile } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { describeExit, type StartedProcess } from './process.ts';

export const searchAttributes = ['DreamKind', 'DreamEntity', 'DreamState', 'DreamSeverity', 'DreamSubsystem'];

export type WaitInput = {
  cli: string;
  folder: string;
  started: StartedProcess;
  address: string;
  namespace: string;
  retention: string;
  signal?: AbortSignal;
};

type Answer = { ok: boolean; text: string };

const startTimeoutMs = 60_000;

// HOME is the data folder: a connection profile of the user's own must not redirect the commands sent here.
export function temporalEnv(folder: string): Record<string, string> {
  return { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: folder, TZ: 'UTC' };
}

function ask(input: WaitInput, command: readonly string[]): Promise<Answer> {
  const args = [...command, '--address', input.address, '--command-timeout', '5s'];
  return new Promise((resolve) => {
    execFile(
      input.cli,
      args,
      { env: temporalEnv(input.folder), timeout: 10_000 },
      (error, stdout, stderr) => {
        resolve({ ok: error === null, text: `${stdout}${stderr}`.trim() });
      },
    );
  });
}

async function isHealthy(input: WaitInput): Promise<Answer> {
  const answer = await ask(input, ['operator', 'cluster', 'health']);
  return { ...answer, ok: answer.ok && answer.text.includes('SERVING') };
}

// start-dev has no flag for the retention, and sets a day.
function setRetention(input: WaitInput): Promise<Answer> {
  const namespace = ['--namespace', input.namespace, '--retention', input.retention];
  return ask(input, ['operator', 'namespace', 'update', ...namespace]);
}

// start-dev registers search attributes only when it makes its database: one of an earlier release lacks the new ones.
async function addSearchAttributes(input: WaitInput): Promise<Answer> {
  const namespace = ['--namespace', input.namespace];
  const known = await ask(input, ['operator', 'search-attribute', 'list', ...namespace]);
  if (!known.ok) return known;
  const names = known.text.split('\n').map((line) => line.trim().split(/\s+/)[0]);
  const missing = searchAttributes.filter((name) => !names.includes(name));
  if (missing.length === 0) return known;
  const flags = missing.flatMap((name) => ['--name', name, '--type', 'Keyword']);
  return ask(input, ['operator', 'search-attribute', 'create', ...namespace, ...flags]);
}

/** Null when the server answers and its namespace is as wanted; otherwise why not. */
export async function waitForTemporal(input: WaitInput): Promise<string | null> {
  const { started, signal } = input;
  const until = Date.now() + startTimeoutMs;
  let problem = '';
  for (const step of [isHealthy, setRetention, addSearchAttributes]) {
    for (;;) {
      if (!started.isRunning()) return describeExit(await started.exited);
      if (signal?.aborted || Date.now() > until) {
        await started.stop('SIGINT', 10_000);
        signal?.throwIfAborted();
        return `not ready after ${startTimeoutMs / 1000} s: ${problem}`;
      }
      const answer = await step(input);
      if (answer.ok) break;
      problem = answer.text;
      await wait(50);
    }
  }
  return null;
}
