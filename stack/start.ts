import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { StackConfig } from './config.ts';
import { claimDataFolder } from './data-folder.ts';
import type { StackError } from './error.ts';
import { withProgress, type Log } from './log.ts';
import { claimPort, findFreePort } from './ports.ts';
import { createSecrets } from './secrets.ts';
import { provideDatabase, provideTemporal } from './servers.ts';
import { runMigrations, startApi, startWorker, type Entries, type ServiceInput } from './services.ts';
import { apiUrls } from './urls.ts';

export type StackInput = {
  config: StackConfig;
  log: Log;
  /** Ends a start that is under way; what it began is stopped before the promise rejects. */
  signal?: AbortSignal;
  /** For tests: a database that is quick, and not safe against a crash of the machine. */
  fast?: boolean;
  entries?: Partial<Entries>;
};

export type Stack = {
  urls: { api: string; docs: string; temporalUi: string | null };
  temporal: Record<string, string>;
  databaseUrl: string;
  migrateUrl: string;
  keys: { admin: string; operator: string };
  logs: string;
  pids: () => { api: number; worker: number; temporal: number | null; postgres: number | null };
  /** Settles when a part cannot be kept running any more. */
  failed: Promise<StackError>;
  stop: () => Promise<void>;
  /** Ends everything at once, without draining. */
  kill: () => Promise<void>;
};

type Part = { stop: () => Promise<void>; kill: () => Promise<unknown> };

// A killed earlier run may need this long to let go of its ports: its API drains first.
const leftoverWaitMs = 35_000;

export async function startStack(input: StackInput): Promise<Stack> {
  const { config, log } = input;
  const ending = new AbortController();
  const signal = input.signal ? AbortSignal.any([input.signal, ending.signal]) : ending.signal;
  let onFatal: (reason: StackError) => void = () => {};
  const failed = new Promise<StackError>((resolve) => {
    onFatal = (reason) => {
      ending.abort(reason);
      resolve(reason);
    };
  });
  const folder = claimDataFolder(config.dataDir);
  // In the order of starting; stopped from the end.
  const parts: Part[] = [];
  const keep = <T extends Part>(part: T): T => {
    parts.push(part);
    return part;
  };
  const stop = once(async () => {
    for (const part of parts.toReversed()) await part.stop();
    folder.release();
  });

  try {
    const ports = await withProgress(
      log,
      'Waiting for the ports',
      claimPorts(config, folder.tookOver ? leftoverWaitMs : 0),
    );
    const secrets = createSecrets(config.dataDir);
    const servers = { config, log, fast: input.fast ?? false, onFatal, signal };
    const [database, temporal] = await both(
      provideDatabase(servers).then(keep),
      provideTemporal(servers, ports).then(keep),
      ending,
    );
    const connections = {
      ...temporal.variables,
      DATABASE_URL: database.databaseUrl,
      ...(temporal.uiUrl === null ? {} : { DREAMNET_TEMPORAL_UI_URL: temporal.uiUrl }),
    };
    const services: ServiceInput = {
      config,
      log,
      secrets,
      connections,
      onFatal,
      signal,
      entries: findEntries(config.root, input.entries),
    };
    await withProgress(log, 'Migrating the database', runMigrations(services, database.migrateUrl));
    const [worker, api] = await withProgress(
      log,
      'Starting the API and the worker',
      both(
        startWorker(services).then((child) =>
          keep({
            ...child,
            stop: child.drain,
          }),
        ),
        startApi(services).then((started) =>
          keep({
            ...started,
            stop: started.child.drain,
            kill: started.child.kill,
          }),
        ),
        ending,
      ),
    );
    // Stopped from the end, whichever was ready first: the API drains before what it needs.
    parts.splice(0, parts.length, database, temporal, worker, api);
    signal.throwIfAborted();
    return {
      urls: { ...apiUrls(config.host, api.port), temporalUi: temporal.uiUrl },
      temporal: temporal.variables,
      databaseUrl: database.databaseUrl,
      migrateUrl: database.migrateUrl,
      keys: {
        admin: join(config.dataDir, 'keys', 'admin.key'),
        operator: join(config.dataDir, 'keys', 'operator.key'),
      },
      logs: join(config.dataDir, 'logs'),
      pids: () => ({
        api: api.child.pid(),
        worker: worker.pid(),
        temporal: temporal.pid(),
        postgres: database.pid(),
      }),
      failed,
      stop,
      kill: async () => {
        const gone = Promise.allSettled(parts.map((part) => part.kill()));
        await Promise.race([gone, wait(3000)]);
        folder.release();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  return () => (running ??= work());
}

/** Waits for both even when one fails, so that nothing that has started is forgotten. */
async function both<A, B>(first: Promise<A>, second: Promise<B>, ending: AbortController): Promise<[A, B]> {
  const abort = (error: unknown): void => {
    ending.abort(error);
  };
  first.catch(abort);
  second.catch(abort);
  await Promise.allSettled([first, second]);
  ending.signal.throwIfAborted();
  return [await first, await second];
}

async function claimPorts(
  config: StackConfig,
  waitMs: number,
): Promise<{ port: number; uiPort: number } | null> {
  if (config.port !== 0) {
    await claimPort({ host: config.host, port: config.port, what: 'the API', variable: 'PORT', waitMs });
  }
  if (config.temporal.kind === 'given') return null;
  const local = { host: '127.0.0.1', waitMs };
  const { port, uiPort } = config.temporal;
  return {
    port:
      port === 0
        ? await findFreePort()
        : await claimPort({
            ...local,
            port,
            what: 'the Temporal server',
            variable: 'DREAMNET_TEMPORAL_PORT',
          }),
    uiPort:
      uiPort === 0
        ? await findFreePort()
        : await claimPort({
            ...local,
            port: uiPort,
            what: 'the Temporal Web UI',
            variable: 'DREAMNET_TEMPORAL_UI_PORT',
          }),
  };
}

function findEntries(root: string, given: Partial<Entries> = {}): Entries {
  return {
    migrate: given.migrate ?? join(root, 'db', 'main.ts'),
    api: given.api ?? join(root, 'api', 'main.ts'),
    worker: given.worker ?? join(root, 'workers', 'main.ts'),
  };
}
