import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readStackConfig, type StackConfig } from '../stack/config.ts';
import { StackError } from '../stack/error.ts';
import { createLog } from '../stack/log.ts';
import { auditParts, benchAudit } from './audit/parts.ts';
import { benchBus, busParts } from './bus/parts.ts';
import { benchDecision, decisionParts } from './decision/parts.ts';
import { benchHalo, haloParts } from './halo/parts.ts';
import { createReport, renderReport, type Bar, type Report } from './report.ts';
import { openStage, type Stage } from './stage.ts';

export type BenchOptions = { tasks: number; only: string[] };

type Bench = {
  about: string;
  parts: readonly string[];
  run: (stage: Stage, options: BenchOptions) => Promise<Bar[]>;
};

const benches: Record<string, Bench> = {
  decision: {
    about:
      'from a decision to its agent: idle, with many tasks waiting, after kill -9; history and idle cost',
    parts: decisionParts,
    run: benchDecision,
  },
  audit: {
    about: '10,000 entries exported and verified; an altered, a removed and an inserted one found',
    parts: auditParts,
    run: benchAudit,
  },
  bus: {
    about: 'events posted, enqueued, delivered; graphile-worker and pg-boss doing the same work',
    parts: busParts,
    run: benchBus,
  },
  halo: {
    about: 'weak points found in a seeded simulation of 200 services, beside tuned thresholds',
    parts: haloParts,
    run: benchHalo,
  },
};

const usage = `Usage: npm run bench -- NAME [--tasks N] [--only PART,PART] [--json]
${Object.entries(benches)
  .map(([name, { about, parts }]) => `  ${name}  ${about}\n    parts: ${parts.join(', ')}`)
  .join('\n')}
  --tasks N  how many tasks wait for approval at once (default 10000)
  --only     some parts only
  --json     print only the JSON object to standard output, and the table to standard error`;

// npm passes a signal on to its child, and the terminal sends it too: two of them so close are one Ctrl-C.
const sameKeyPressMs = 1000;

function readConfig(dataDir: string): StackConfig {
  const { PATH, HOME, TZ, TEMPORAL_CLI_PATH } = process.env;
  // Nothing else of the environment: the measured system is the local one, with the settings it comes with.
  const settings = {
    ...{ PATH, HOME, TZ, TEMPORAL_CLI_PATH },
    DREAMNET_DATA_DIR: dataDir,
    PORT: '0',
    DREAMNET_TEMPORAL_PORT: '0',
    DREAMNET_TEMPORAL_UI_PORT: '0',
  };
  return readStackConfig(settings, resolve(import.meta.dirname, '..'));
}

function readArguments(
  args: string[],
): { name: string; bench: Bench; json: boolean; options: BenchOptions } | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        tasks: { type: 'string', default: '10000' },
        only: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
    const [name = ''] = positionals;
    const bench = Object.hasOwn(benches, name) ? benches[name] : undefined;
    if (bench === undefined || positionals.length > 1)
      return name === '' ? 'Which one?' : `There is no bench "${positionals.join(' ')}".`;
    const tasks = Number(values.tasks);
    if (!Number.isInteger(tasks) || tasks < 1) return '--tasks takes a whole number from 1.';
    const only = values.only?.split(',') ?? [...bench.parts];
    const unknown = only.find((part) => !bench.parts.includes(part));
    if (unknown !== undefined) return `${name} has no part "${unknown}".`;
    return { name, bench, json: values.json ?? false, options: { tasks, only } };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function main(args: string[]): Promise<number> {
  const wanted = readArguments(args);
  if (typeof wanted === 'string') {
    process.stderr.write(`${wanted}\n${usage}\n`);
    return 2;
  }
  const log = createLog((text) => process.stderr.write(text), false);
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
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

  const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-bench-'));
  // The database server, which root runs under another name, has to pass through.
  chmodSync(dataDir, 0o711);
  let stage: Stage | null = null;
  let report: Report;
  try {
    stage = await openStage({ config: readConfig(dataDir), log, ending });
    report = createReport(wanted.name, await wanted.bench.run(stage, wanted.options));
  } catch (error) {
    if (stop.by === null) throw error;
    return 128 + constants.signals[stop.by];
  } finally {
    log.info('Stopping what was started');
    await stage?.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
  (wanted.json ? process.stderr : process.stdout).write(`\n${renderReport(report)}\n\n`);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.ok ? 0 : 1;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const isForReader = error instanceof StackError;
  const text = isForReader ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
