import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Log } from '../../stack/log.ts';
import { readToolchain } from '../../stack/toolchain.ts';

export const root = resolve(import.meta.dirname, '..', '..');

export function fixture(name: string): string {
  return join(import.meta.dirname, 'fixtures', `${name}.ts`);
}

/** A folder that the database's own user may pass through, as a test run by root needs. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dreamnet-stack-'));
  chmodSync(folder, 0o711);
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

export type KeptLog = Log & { lines: string[] };

export function keepLog(): KeptLog {
  const lines: string[] = [];
  const add = (text: string): void => {
    lines.push(text);
  };
  return {
    lines,
    info: add,
    warn: add,
    child: (name, line) => {
      add(`[${name}] ${line}`);
    },
  };
}

export function isAlive(pid: number | null): boolean {
  try {
    return pid !== null && process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Asks again until the answer is yes; the test's own time limit ends it when it never is. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
}

export function temporalCli(): string {
  const { temporalCli: cli } = readToolchain(root);
  if (cli === null) throw new Error('No Temporal server is known: run "node scripts/setup.mjs" first.');
  return cli;
}
