import { serve } from '@hono/node-server';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { destination } from 'pino';
import { openDatabase } from '../db/client.ts';
import { requireCurrentSchema } from '../db/migrate.ts';
import { type ApiConfig, parseApiConfig } from '../domain/config.ts';
import { DomainError, isRefusal } from '../domain/refusal.ts';
import { createApp } from './app.ts';
import type { Api, ApiDeps } from './context.ts';
import { createHaloCounts } from './halo-counts.ts';
import { createLog } from './log.ts';
import { prepareFirstStart } from './first-start.ts';
import { createOidc } from './oidc.ts';
import { describeError, errorCode } from './problems.ts';
import { createRefusalAudit } from './refusal-audit.ts';
import { readSecrets } from './secrets.ts';
import { startUpkeep } from './upkeep.ts';
import { openTemporal } from './temporal-connection.ts';
import { createTemporal } from './temporal.ts';

const finishWithinMs = 10_000;

function stop(message: string, code: number): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

function readConfig(): ApiConfig {
  const config = parseApiConfig(process.env);
  return isRefusal(config) ? stop(config.message, 2) : config;
}

function readAllSecrets(config: ApiConfig) {
  try {
    return readSecrets({
      pepper: config.DREAMNET_KEY_PEPPER_FILE,
      agentRoot: config.DREAMNET_AGENT_ROOT_FILE,
      secretBoxKey: config.DREAMNET_SECRET_BOX_KEY_FILE,
      ticketKey: config.DREAMNET_TICKET_PRIVATE_KEY_FILE,
      auditKeys: config.DREAMNET_AUDIT_PUBLIC_KEY_FILE,
    });
  } catch (error) {
    return stop(error instanceof Error ? error.message : String(error), 2);
  }
}

const config = readConfig();
const secrets = readAllSecrets(config);
const log = createLog(config.LOG_LEVEL, destination(2));
const database = openDatabase(config.DATABASE_URL, { name: 'dreamnet-api' });

function explainStart(error: unknown): string {
  if (error instanceof DomainError) return error.message;
  const code = errorCode(error);
  const { message } = describeError(error);
  return `The API cannot start: ${typeof message === 'string' && message !== '' ? message : (code ?? 'unknown')}${code === null ? '' : ` (${code})`}.`;
}

try {
  await requireCurrentSchema(database.db);
  const first = await prepareFirstStart(database.db, {
    pepper: secrets.pepper,
    keyEnvironment: config.DREAMNET_KEY_ENVIRONMENT,
    dataDir: config.DREAMNET_DATA_DIR,
  });
  for (const { name, file } of first.issued) log.info({ name, file }, 'the first key is in this file');
  for (const name of first.elsewhere) log.warn({ name }, 'another process issued the first key');
} catch (error) {
  stop(explainStart(error), 1);
}

const temporalConfig = loadClientConnectConfig();
const { address = 'localhost:7233', apiKey, tls, metadata } = temporalConfig.connectionOptions;
const namespace = temporalConfig.namespace ?? 'default';
const { connection, client } = openTemporal(
  {
    address,
    tls: tls ?? null,
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(metadata === undefined ? {} : { metadata }),
  },
  namespace,
);

if (config.DREAMNET_RAW_SIGNALS === 'accept')
  log.warn('DREAMNET_RAW_SIGNALS=accept: anyone who reaches Temporal can approve. For local play only.');

function openOidc({ DREAMNET_OIDC_ISSUER: issuer, DREAMNET_OIDC_AUDIENCE: audience, ...rest }: ApiConfig) {
  if (issuer === undefined || audience === undefined) return null;
  return createOidc({ issuer, audience, jwksUrl: rest.DREAMNET_OIDC_JWKS_URL ?? null, now: Date.now });
}

const temporal = createTemporal(connection, client);
const triggers = {
  requests: config.DREAMNET_HALO_REQUESTS,
  errors: config.DREAMNET_HALO_ERRORS,
  intervalMs: config.DREAMNET_HALO_INTERVAL_MS,
};
const stopping = new AbortController();
const refusals = createRefusalAudit({ database, log });
const deps: ApiDeps = {
  database,
  refusals,
  haloCounts: createHaloCounts({ database, temporal, thresholds: triggers, log }),
  halo: {
    limits: {
      cooldownMs: config.DREAMNET_HALO_COOLDOWN_MS,
      errorWindowMs: config.DREAMNET_HALO_ERROR_WINDOW_MS,
      cyclesPerHour: config.DREAMNET_HALO_CYCLES_PER_HOUR,
      settleMs: config.DREAMNET_HALO_SETTLE_MS,
    },
    triggers,
  },
  temporal,
  ...secrets,
  keyEnvironment: config.DREAMNET_KEY_ENVIRONMENT,
  oidc: openOidc(config),
  uiUrl: config.DREAMNET_TEMPORAL_UI_URL.replace(/\/+$/, ''),
  address,
  namespace,
  rawSignals: config.DREAMNET_RAW_SIGNALS === 'accept',
  http: {
    corsOrigins: config.DREAMNET_CORS_ORIGINS,
    trustedProxies: config.DREAMNET_TRUSTED_PROXIES,
    addressLimitPerMinute: config.DREAMNET_ADDRESS_LIMIT_PER_MINUTE,
  },
  streams: {
    perPrincipal: config.DREAMNET_STREAMS_PER_PRINCIPAL,
    perProcess: config.DREAMNET_STREAMS_PER_PROCESS,
    heartbeatMs: 15_000,
  },
  stopping: stopping.signal,
  log,
  now: Date.now,
};

function buildApp(): Api {
  try {
    return createApp(deps);
  } catch (error) {
    return stop(explainStart(error), 2);
  }
}

const app = buildApp();
const upkeep = startUpkeep(deps);

const server = serve({ fetch: app.fetch, hostname: config.DREAMNET_HOST, port: config.PORT }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ ready: true, port })}\n`);
});
server.on('error', (error: NodeJS.ErrnoException) => {
  stop(
    error.code === 'EADDRINUSE'
      ? `Port ${config.PORT} on ${config.DREAMNET_HOST} is in use by another program (EADDRINUSE); set PORT to another one.`
      : `The API cannot listen on ${config.DREAMNET_HOST}:${config.PORT} (${error.code ?? error.message}).`,
    1,
  );
});

let isEnding = false;
async function end(signal: string): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  stopping.abort();
  log.info({ signal }, 'finishing the requests in flight');
  const tooLong = setTimeout(() => {
    log.warn('connections that did not end in time are closed by force');
    if ('closeAllConnections' in server) server.closeAllConnections();
  }, finishWithinMs);
  // A connection whose answer is out is kept alive for more requests; nobody shall wait for it.
  const sweep = setInterval(() => {
    if ('closeIdleConnections' in server) server.closeIdleConnections();
  }, 50);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  clearTimeout(tooLong);
  clearInterval(sweep);
  // A record that is away answers nothing, and nobody shall wait for it for ever.
  setTimeout(() => {
    log.warn('the record did not answer in time; what was left to write is given up');
    process.exit(0);
  }, finishWithinMs);
  await upkeep.stop();
  await refusals.flush();
  await deps.haloCounts.flush();
  await Promise.allSettled([database.close(), connection.close()]);
  process.exit(0);
}
process.on('SIGTERM', (signal) => void end(signal));
process.on('SIGINT', (signal) => void end(signal));
