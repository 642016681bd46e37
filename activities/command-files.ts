import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** What the runner is told, what it claims and what it leaves behind: files of one attempt's folder. */
export function effectFiles(dir: string) {
  return {
    spec: path.join(dir, 'spec.json'),
    claim: path.join(dir, 'claim.json'),
    progress: path.join(dir, 'progress.json'),
    end: path.join(dir, 'end.json'),
  };
}

export type CommandSpec = {
  command: string[];
  cwd: string | null;
  env: Record<string, string>;
  memoryMb: number | null;
  timeoutMs: number;
  /** Given to the command on standard input. */
  input: string;
};

export type CommandEnd =
  | { kind: 'ended'; code: number | null; signal: string | null; stdout: string; stderr: string }
  | { kind: 'timed-out'; afterMs: number }
  | { kind: 'cancelled' }
  | { kind: 'not-runnable'; message: string }
  | { kind: 'never-started' };

/** A pid alone may have been given to another process since: its start time tells them apart (Linux). */
export async function processStart(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Dead, and kept only because nobody asked how it ended: the first process of a container may never ask.
  return fields[0] === 'Z' ? 'ended' : (fields.at(19) ?? '');
}

export async function isOurProcess(claim: { pid: number; startedAt: string }): Promise<boolean> {
  if (claim.pid === 0) return false;
  try {
    process.kill(claim.pid, 0);
  } catch {
    return false;
  }
  const now = await processStart(claim.pid);
  return now === claim.startedAt;
}
