import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecrets } from '../../stack/secrets.ts';
import { portOf, spawnApi } from './api-spawn.ts';
import type { TestDatabase } from './database.ts';

export type ApiProcess = {
  url: () => string;
  /** The key that its first start made. */
  adminKey: string;
  /** Sends a request as the first admin. */
  call: (method: string, path: string, body?: object) => Promise<{ status: number; body: unknown }>;
  kill: () => Promise<void>;
  /** Starts it again at the same address. */
  restart: () => Promise<void>;
  /** Ends it and removes its files; whoever started it calls this. */
  stop: () => Promise<void>;
  agentRoot: string;
  secretBoxKey: string;
};

/** The API as a process of its own over a database, with secrets of its own. */
export async function startApiProcess(database: TestDatabase): Promise<ApiProcess> {
  const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-test-stack-'));
  const secrets = createSecrets(dataDir);
  let child: ChildProcess | null = null;
  let port = 0;

  async function start(): Promise<void> {
    child = spawnApi({ databaseUrl: database.url, dataDir, env: { PORT: String(port) } });
    port = await portOf(child);
  }

  async function kill(): Promise<void> {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  await start();
  const adminKey = readFileSync(join(dataDir, 'keys', 'admin.key'), 'utf8').trim();
  return {
    adminKey,
    url: () => `http://127.0.0.1:${port}`,
    async call(method, path, body) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: await response.json() };
    },
    kill,
    restart: start,
    async stop() {
      await kill();
      rmSync(dataDir, { recursive: true, force: true });
    },
    agentRoot: readFileSync(secrets.agentRoot, 'utf8').trim(),
    secretBoxKey: readFileSync(secrets.secretBoxKey, 'utf8'),
  };
}
