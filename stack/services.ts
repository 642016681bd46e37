import { join } from 'node:path';
import { superviseChild, type Child } from './child.ts';
import type { StackConfig } from './config.ts';
import { StackError } from './error.ts';
import type { Log } from './log.ts';
import { portTaken } from './ports.ts';
import { startProcess } from './process.ts';
import type { SecretPaths } from './secrets.ts';
import { apiUrls } from './urls.ts';

export type Entries = { migrate: string; api: string; worker: string };

export type ServiceInput = {
  config: StackConfig;
  entries: Entries;
  log: Log;
  secrets: SecretPaths;
  /** How to reach the database and Temporal: the same for every child. */
  connections: Record<string, string>;
  onFatal: (reason: StackError) => void;
  signal: AbortSignal;
};

const apiOnly = [
  'DREAMNET_KEY_PEPPER_FILE',
  'DREAMNET_TICKET_PRIVATE_KEY_FILE',
  'DREAMNET_AUDIT_PUBLIC_KEY_FILE',
];
const workerOnly = ['DREAMNET_AUDIT_PRIVATE_KEY_FILE', 'DREAMNET_AUDIT_HEADS_FILE'];

function without(names: string[], env: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
}

function sharedEnv(input: ServiceInput): Record<string, string> {
  const { config, secrets, connections } = input;
  return {
    DREAMNET_TICKET_PUBLIC_KEY_FILE: secrets.ticketPublicKey,
    DREAMNET_AGENT_ROOT_FILE: secrets.agentRoot,
    DREAMNET_SECRET_BOX_KEY_FILE: secrets.secretBoxKey,
    ...(config.port === 0 ? {} : { DREAMNET_PUBLIC_URL: apiUrls(config.host, config.port).api }),
    ...without([...apiOnly, ...workerOnly], config.childEnv),
    ...connections,
    DREAMNET_DATA_DIR: config.dataDir,
    DREAMNET_HOST: config.host,
  };
}

export async function runMigrations(
  input: Omit<ServiceInput, 'secrets' | 'onFatal'>,
  migrateUrl: string,
): Promise<void> {
  const { config, log, signal } = input;
  const complaints: string[] = [];
  const started = startProcess({
    command: process.execPath,
    args: [input.entries.migrate],
    cwd: config.root,
    env: { ...config.childEnv, ...input.connections, MIGRATE_DATABASE_URL: migrateUrl },
    logFile: join(config.dataDir, 'logs', 'migrate.log'),
    orphanSignal: 'TERM',
    onLine: (line, stream) => {
      if (stream === 'stderr') complaints.push(line);
      else log.child('migrate', line, stream);
    },
  });
  const stop = (): void => void started.stop('SIGTERM', 5000);
  signal.addEventListener('abort', stop, { once: true });
  const exit = await started.exited;
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (exit.code !== 0) {
    throw new StackError(
      complaints.slice(-20).join('\n') ||
        `the migrations failed without a word (see ${config.dataDir}/logs/migrate.log)`,
    );
  }
}

export async function startApi(input: ServiceInput): Promise<{ child: Child; port: number }> {
  const { config, log, secrets, onFatal, signal } = input;
  let port = config.port;
  const child = await superviseChild({
    name: 'api',
    command: process.execPath,
    args: [input.entries.api],
    cwd: config.root,
    env: () => ({
      DREAMNET_KEY_PEPPER_FILE: secrets.keyPepper,
      DREAMNET_TICKET_PRIVATE_KEY_FILE: secrets.ticketPrivateKey,
      DREAMNET_AUDIT_PUBLIC_KEY_FILE: secrets.auditPublicKey,
      ...without(workerOnly, config.childEnv),
      ...sharedEnv(input),
      PORT: String(port),
    }),
    logFolder: join(config.dataDir, 'logs'),
    log,
    explain: (lines) => (lines.includes('EADDRINUSE') ? portTaken(port, 'the API', 'PORT') : null),
    onFatal,
    signal,
  });
  port = child.ready().port ?? port;
  return { child, port };
}

export function startWorker(input: ServiceInput): Promise<Child> {
  const { config, log, secrets, onFatal, signal } = input;
  return superviseChild({
    name: 'worker',
    command: process.execPath,
    args: [input.entries.worker],
    cwd: config.root,
    env: () => ({
      DREAMNET_AUDIT_PRIVATE_KEY_FILE: secrets.auditPrivateKey,
      ...without(apiOnly, config.childEnv),
      ...sharedEnv(input),
    }),
    logFolder: join(config.dataDir, 'logs'),
    log,
    onFatal,
    signal,
  });
}
