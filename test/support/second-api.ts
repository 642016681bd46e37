import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll } from 'vitest';
import type { TestStack } from './stack.ts';

/** Address of a second API process on the same database and Temporal; it ends after the test file. */
export async function startSecondApi(stack: TestStack, more: Record<string, string> = {}): Promise<string> {
  const secrets = join(stack.dataDir, 'secrets');
  const second = spawn(process.execPath, ['api/main.ts'], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      ...stack.temporal,
      DATABASE_URL: stack.databaseUrl,
      DREAMNET_DATA_DIR: stack.dataDir,
      DREAMNET_KEY_PEPPER_FILE: join(secrets, 'key-pepper'),
      DREAMNET_TICKET_PRIVATE_KEY_FILE: join(secrets, 'ticket-private.pem'),
      DREAMNET_AGENT_ROOT_FILE: join(secrets, 'agent-root'),
      DREAMNET_SECRET_BOX_KEY_FILE: join(secrets, 'secret-box-key'),
      DREAMNET_AUDIT_PUBLIC_KEY_FILE: join(secrets, 'audit-public.pem'),
      LOG_LEVEL: 'warn',
      PORT: '0',
      ...more,
    },
  });
  afterAll(() => void second.kill('SIGKILL'));
  const [said] = (await once(createInterface(second.stdout), 'line')) as [string];
  return `http://127.0.0.1:${(JSON.parse(said) as { port: number }).port}`;
}
