import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readStackConfig, type StackConfig } from '../stack/config.ts';
import { StackError } from '../stack/error.ts';
import { createLog } from '../stack/log.ts';
import { playDemo } from './play.ts';

const usage = `Usage: npm run demo [-- --json] [-- --keep] [-- --verbose]
  --json     print one JSON object as the last line of standard output, and everything else to standard error
  --keep     leave everything running at the end, to look at it, until Ctrl-C
  --verbose  show everything that the API, the worker and the agent log`;

// npm passes a signal on to its child, and the terminal sends it too: two of them so close are one Ctrl-C.
const sameKeyPressMs = 1000;

function readConfig(dataDir: string): StackConfig {
  const { TEMPORAL_ADDRESS, DREAMNET_TEMPORAL_UI_URL } = process.env;
  // The story is made up: it never goes to a database, a data folder or a key that somebody uses.
  const isOthers = (name: string): boolean => /^DREAMNET_|^(MIGRATE_)?DATABASE_URL$/.test(name);
  const environment = Object.entries(process.env).filter(([name]) => !isOthers(name));
  const settings = {
    DREAMNET_DATA_DIR: dataDir,
    DREAMNET_TEMPORAL_UI_URL: TEMPORAL_ADDRESS ? DREAMNET_TEMPORAL_UI_URL : '',
    DREAMNET_HOST: '127.0.0.1',
    PORT: '0',
    DREAMNET_TEMPORAL_PORT: '0',
    DREAMNET_TEMPORAL_UI_PORT: '0',
    DREAMNET_RAW_SIGNALS: 'refuse',
    DREAMNET_HALO_COOLDOWN_MS: '1000',
    DREAMNET_HALO_ERROR_WINDOW_MS: '500',
    // The story is told in seconds: its outage is real when it is first seen.
    DREAMNET_HALO_SETTLE_MS: '0',
  };
  return readStackConfig(
    { ...Object.fromEntries(environment), ...settings },
    resolve(import.meta.dirname, '..'),
  );
}

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((argument) => !['--json', '--keep', '--verbose', '--help'].includes(argument));
  if (unknown !== undefined) throw new StackError(`unknown argument ${unknown}.\n${usage}`);
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const json = args.includes('--json');
  const log = createLog(
    (text) => (json ? process.stderr : process.stdout).write(text),
    args.includes('--verbose'),
  );
  const ending = new AbortController();
  const stop: { by: NodeJS.Signals | null; atMs: number } = { by: null, atMs: 0 };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.by === null) {
      stop.by = signal;
      stop.atMs = performance.now();
      log.info('Stopping everything that was started (Ctrl-C again stops at once).');
      ending.abort(new StackError(`stopped by ${signal}`));
    } else if (performance.now() - stop.atMs > sameKeyPressMs) {
      // What is left ends by itself: each process has a guard that notices the end of this one.
      process.exit(128 + constants.signals[signal]);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  // A terminal that was closed cannot be written to; stopping in order matters more.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

  const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-demo-'));
  // The database server, which root runs under another name, has to pass through.
  chmodSync(dataDir, 0o711);
  const summary = await playDemo({
    config: readConfig(dataDir),
    log,
    keep: args.includes('--keep'),
    ending,
  });
  const isWorthKeeping = !summary.ok && stop.by === null;
  if (isWorthKeeping) log.info(`The logs are in ${join(dataDir, 'logs')}.`);
  else rmSync(dataDir, { recursive: true, force: true });
  if (json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  if (summary.ok) return 0;
  return stop.by === null ? 1 : 128 + constants.signals[stop.by];
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const isForReader = error instanceof StackError;
  const text = isForReader ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
