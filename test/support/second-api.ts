import { portOf, spawnApi } from './api-spawn.ts';
import type { TestStack } from './stack.ts';
import { atFileEnd } from './file-end.ts';

/** Address of a second API process on the same database and Temporal; it ends after the test file. */
export async function startSecondApi(stack: TestStack, more: Record<string, string> = {}): Promise<string> {
  const { databaseUrl, dataDir, temporal } = stack;
  const second = spawnApi({ databaseUrl, dataDir, env: { ...temporal, LOG_LEVEL: 'warn', ...more } });
  atFileEnd(() => void second.kill('SIGKILL'));
  return `http://127.0.0.1:${await portOf(second)}`;
}
