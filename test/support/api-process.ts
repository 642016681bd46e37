import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createSecrets } from '../../stack/secrets.ts';
import type { TestDatabase } from './database.ts';

const root = join(import.meta.dirname, '../..');

export type ApiProcess = {
  url: () => string;
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
    const started = spawn(process.execPath, ['api/main.ts'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: {
        DATABASE_URL: database.url,
        DREAMNET_DATA_DIR: dataDir,
        DREAMNET_KEY_PEPPER_FILE: secrets.keyPepper,
        DREAMNET_TICKET_PRIVATE_KEY_FILE: secrets.ticketPrivateKey,
        DREAMNET_AGENT_ROOT_FILE: secrets.agentRoot,
        DREAMNET_AUDIT_PUBLIC_KEY_FILE: secrets.auditPublicKey,
        DREAMNET_SECRET_BOX_KEY_FILE: secrets.secretBoxKey,
        TEMPORAL_ADDRESS: '127.0.0.1:1',
        PORT: String(port),
      },
    });
    child = started;
    const lines = createInterface({ input: started.stdout });
    const [line] = (await Promise.race([
      once(lines, 'line'),
      once(started, 'exit').then(([code]) => {
        throw new Error(`the API ended with ${String(code)}`);
      }),
    ])) as [string];
    ({ port } = JSON.parse(line) as { port: number });
  }

  async function kill(): Promise<void> {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  await start();
  return {
    url: () => `http://127.0.0.1:${port}`,
    async call(method, path, body) {
      const key = readFileSync(join(dataDir, 'keys', 'admin.key'), 'utf8').trim();
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
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
