import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createSecrets } from '../../stack/secrets.ts';

const root = join(import.meta.dirname, '../..');

type ApiSpawn = {
  databaseUrl: string;
  /** Its secrets are made where they are missing. */
  dataDir: string;
  env?: Record<string, string>;
  stderr?: 'ignore' | 'pipe';
};

/** The API as a process of its own, on a free port and without Temporal unless the environment says more. */
export function spawnApi({ databaseUrl, dataDir, env = {}, stderr = 'ignore' }: ApiSpawn): ChildProcess {
  const secrets = createSecrets(dataDir);
  return spawn(process.execPath, ['api/main.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', stderr],
    env: {
      DATABASE_URL: databaseUrl,
      DREAMNET_DATA_DIR: dataDir,
      DREAMNET_KEY_PEPPER_FILE: secrets.keyPepper,
      DREAMNET_TICKET_PRIVATE_KEY_FILE: secrets.ticketPrivateKey,
      DREAMNET_AGENT_ROOT_FILE: secrets.agentRoot,
      DREAMNET_AUDIT_PUBLIC_KEY_FILE: secrets.auditPublicKey,
      DREAMNET_SECRET_BOX_KEY_FILE: secrets.secretBoxKey,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      PORT: '0',
      ...env,
    },
  });
}

/** The port it says it listens on; throws when it ended without a word. */
export async function portOf(child: ChildProcess): Promise<number> {
  if (child.stdout === null) throw new Error('its output is not read');
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the API ended with ${String(code)}`);
    }),
  ])) as [string];
  return (JSON.parse(line) as { port: number }).port;
}
