import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { getAgent } from '../db/agents.ts';
import type { Database } from '../db/client.ts';
import { findObjection } from '../db/task-attempts.ts';
import { claimAttemptHost, reportProgress } from '../db/tasks.ts';
import type { CommandConfig } from '../domain/agent.ts';
import type { Json } from '../domain/json.ts';
import { DomainError, refuse } from '../domain/refusal.ts';
import { type AgentCall, type AgentResult, executorHeartbeatEveryMs } from '../domain/task.ts';
import { type CommandEnd, type CommandSpec, effectFiles, isOurProcess } from './command-files.ts';

export type CommandActivities = ReturnType<typeof createCommandActivities>;

type Deps = {
  database: Database;
  /** Folder of this machine for commands in flight; survives restarts of the worker. */
  effectsDir: string;
  host: string;
  /** PATH of the commands; nothing else of the worker's environment reaches them. */
  searchPath: string;
};

const pollMs = 50;
const startWithinMs = 10_000;

/**
 * Runs an agent that is a command. The command belongs to a detached runner that leaves its pid and its result in a
 * folder named by the attempt's key, so a worker that died finds it again instead of starting it twice.
 */
export function createCommandActivities({ database, effectsDir, host, searchPath }: Deps) {
  async function begin(dir: string, config: CommandConfig, call: AgentCall): Promise<void> {
    const files = effectFiles(dir);
    const spec: CommandSpec = {
      command: config.command,
      cwd: config.cwd ?? null,
      env: {
        PATH: searchPath,
        ...config.env,
        DREAMNET_ATTEMPT: call.key,
        DREAMNET_TASK_ID: call.task.id,
        DREAMNET_EPOCH: String(call.epoch ?? 0),
      },
      memoryMb: config.memoryMb ?? null,
      timeoutMs: call.timeoutMs,
      input: JSON.stringify(call),
    };
    await writeFile(files.spec, JSON.stringify(spec), { mode: 0o600 });
    const runner = new URL('./command-runner.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', runner, dir], {
      detached: true,
      stdio: 'ignore',
      env: { PATH: searchPath },
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
  }

  async function leaveUndone(dir: string, message: string): Promise<void> {
    const end: CommandEnd = { kind: 'not-runnable', message };
    await writeFile(effectFiles(dir).end, JSON.stringify(end), { mode: 0o600 });
  }

  async function waitForEnd(dir: string, call: AgentCall): Promise<CommandEnd> {
    const files = effectFiles(dir);
    const context = Context.current();
    let beatAt = 0;
    let progress = '';
    let cancelSent = false;
    const noClaimAfter = Date.now() + startWithinMs;
    for (;;) {
      const end = await readJson<CommandEnd>(files.end);
      if (end !== null) return end;
      const claim = await readJson<{ pid: number; startedAt: string }>(files.claim);
      if (claim === null && Date.now() > noClaimAfter && (await abandon(files.claim)))
        return { kind: 'never-started' };
      if (claim !== null && !(await isOurProcess(claim))) {
        const late = await readJson<CommandEnd>(files.end);
        if (late !== null) return late;
        throw ApplicationFailure.nonRetryable(
          'the command and its runner are gone and left no result',
          'OUTCOME_UNKNOWN',
        );
      }
      if (context.cancellationSignal.aborted) {
        // A worker that shuts down leaves the command alone: the next one finds it by its folder.
        if (context.cancellationDetails?.cancelRequested !== true)
          throw new Error('the worker is shutting down');
        if (claim !== null && !cancelSent) process.kill(claim.pid, 'SIGTERM');
        cancelSent = claim !== null;
      }
      if (Date.now() - beatAt >= executorHeartbeatEveryMs) {
        beatAt = Date.now();
        context.heartbeat(call.key);
        progress = await passProgress(files.progress, progress, call);
      }
      await sleep(pollMs);
    }
  }

  async function passProgress(file: string, seen: string, call: AgentCall): Promise<string> {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text === '' || text === seen) return seen;
    const said = JSON.parse(text) as { fraction: number; message: string };
    await reportProgress(database.db, { taskId: call.task.id, attempt: call.attempt, ...said });
    return text;
  }

  return {
    async runCommand(input: { agentId: string; call: AgentCall }): Promise<AgentResult> {
      const { call } = input;
      const agent = await getAgent(database.db, input.agentId);
      if (agent?.executor !== 'command')
        throw new DomainError(refuse('NOT_FOUND', `No command agent ${input.agentId}.`));
      const owner = await claimAttemptHost(database.db, call.key, host);
      if (owner !== host)
        throw ApplicationFailure.nonRetryable(
          owner === null ? 'this attempt has already ended' : `this attempt runs on ${owner}`,
          'OUTCOME_UNKNOWN',
        );
      const dir = path.join(effectsDir, call.key.replace(/[^A-Za-z0-9_-]/g, '-'));
      const isFirst = await mkdir(dir, { mode: 0o700 }).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false;
          throw error;
        },
      );
      if (isFirst) {
        // The agent may have been changed since the dispatch was checked: the row read above is what would run.
        const objection = await findObjection(database.db, call.key, agent);
        if (objection === null) await begin(dir, agent.config as CommandConfig, call);
        else await leaveUndone(dir, objection);
      }
      const end = await waitForEnd(dir, call);
      if (end.kind === 'cancelled') {
        await Context.current().cancelled;
      }
      return describeEnd(end);
    },
  };
}

async function abandon(claimFile: string): Promise<boolean> {
  // Whoever creates the claim first wins: a runner that comes later finds it taken and does nothing.
  return writeFile(claimFile, '{"pid":0,"startedAt":""}', { flag: 'wx' }).then(
    () => true,
    () => false,
  );
}

async function readJson<T>(file: string): Promise<T | null> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text === '' ? null : (JSON.parse(text) as T);
}

function describeEnd(end: CommandEnd): AgentResult {
  if (end.kind === 'never-started') return { ok: false, summary: 'The command could not be started.' };
  if (end.kind === 'cancelled') return { ok: false, summary: 'The command was stopped on request.' };
  if (end.kind === 'timed-out')
    return { ok: false, summary: `The command was stopped after ${end.afterMs} ms.` };
  if (end.kind === 'not-runnable')
    return { ok: false, summary: `The command could not be run: ${end.message}` };
  const lastLine = end.stdout.trimEnd().split('\n').at(-1) ?? '';
  const answer = parseAnswer(lastLine);
  if (answer !== null && end.code === 0) return answer;
  if (end.code === 0) return { ok: true, summary: lastLine === '' ? 'The command ended well.' : lastLine };
  const why = end.stderr.trimEnd().split('\n').at(-1) ?? '';
  const how = end.signal === null ? `exit code ${end.code}` : `signal ${end.signal}`;
  return { ok: false, summary: `The command failed (${how})${why === '' ? '' : `: ${why}`}` };
}

function parseAnswer(line: string): AgentResult | null {
  try {
    const value = JSON.parse(line) as Json;
    const isAnswer = typeof value === 'object' && value !== null && 'ok' in value && 'summary' in value;
    return isAnswer ? (value as AgentResult) : null;
  } catch {
    return null;
  }
}
