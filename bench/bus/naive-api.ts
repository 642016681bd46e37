import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProcess } from '../../stack/process.ts';
import type { Stage } from '../stage.ts';
import { until } from '../until.ts';

const root = join(import.meta.dirname, '../..');

export type NaiveApi = { url: string; stop: () => Promise<void> };

/** A second API process over the same database that writes each event with an INSERT of its own. */
export async function startNaiveApi({ stack, dataDir, signal }: Stage): Promise<NaiveApi> {
  // With what the measured API was given, so that nothing else differs.
  const env = Object.fromEntries(
    readFileSync(`/proc/${stack.pids().api}/environ`, 'utf8')
      .split('\0')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  let port: number | null = null;
  const started = startProcess({
    command: process.execPath,
    args: ['--import', join(import.meta.dirname, 'one-insert-hook.ts'), join(root, 'api/main.ts')],
    cwd: root,
    env: { ...env, PORT: '0' },
    logFile: join(dataDir, 'logs', 'naive-api.log'),
    orphanSignal: 'TERM',
    onLine: (line, stream) => {
      if (stream === 'stdout' && line.startsWith('{"ready"'))
        port = (JSON.parse(line) as { port: number }).port;
    },
  });
  const stop = async (): Promise<void> => {
    await started.stop('SIGTERM', 10_000);
  };
  try {
    await until(signal, 'the second API is ready', () => {
      if (!started.isRunning()) throw new Error(`the second API ended:\n${started.lastLines()}`);
      return port !== null;
    });
    return { url: `http://127.0.0.1:${port}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
