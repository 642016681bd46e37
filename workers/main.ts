import { readFileSync } from 'node:fs';
import os from 'node:os';
import { Client } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { destination } from 'pino';
import { openDatabase } from '../db/client.ts';
import { requireCurrentSchema } from '../db/migrate.ts';
import { createSecretBox } from '../db/sealed.ts';
import { parseWorkerConfig } from '../domain/config.ts';
import { isRefusal } from '../domain/refusal.ts';
import { createLog } from './log.ts';
import { readKeys } from './keys.ts';
import { startWorkers } from './workers.ts';

const config = parseWorkerConfig(process.env);
if (isRefusal(config)) {
  console.error(config.message);
  process.exit(2);
}
const logger = createLog(config.LOG_LEVEL, destination({ dest: 2, sync: true }));
Runtime.install({ logger, shutdownSignals: [] });

try {
  const database = openDatabase(config.DATABASE_URL, { name: 'dreamnet-worker' });
  await requireCurrentSchema(database.db);
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const connection = await NativeConnection.connect(connectionOptions);
  const workers = await startWorkers({
    database,
    connection,
    client: new Client({ connection, namespace }),
    namespace,
    config,
    ...readKeys({
      ticketKey: config.DREAMNET_TICKET_PUBLIC_KEY_FILE,
      auditKey: config.DREAMNET_AUDIT_PRIVATE_KEY_FILE,
    }),
    agentRoot: readFileSync(config.DREAMNET_AGENT_ROOT_FILE, 'utf8').trim(),
    secretBox: createSecretBox(readFileSync(config.DREAMNET_SECRET_BOX_KEY_FILE, 'utf8')),
    host: os.hostname(),
    searchPath: process.env.PATH ?? '/usr/bin:/bin',
    logger,
  });
  const stop = (): void => void workers.stop();
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
  await workers.ended;
  await connection.close();
  await database.close();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
