import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { readStackConfig } from '../stack/config.ts';
import { createLog } from '../stack/log.ts';
import { type Stack, startStack } from '../stack/start.ts';
import { formatTotals } from './support/totals.ts';

/*
 * `npm run test:fuzz`: schemathesis asks every operation of the OpenAPI document with made-up data, right and wrong, as
 * each role. No answer may be a 5xx, undocumented, or of another shape than the document says.
 */
const version = '4.32.5';
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
];

const { values } = parseArgs({
  options: {
    /** Cases for each operation and role. */
    examples: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
    role: { type: 'string', multiple: true, default: ['admin', 'operator', 'nobody'] },
    /** Part of a path, to look at one operation. */
    only: { type: 'string' },
  },
});

const log = createLog((text) => process.stderr.write(text), false);
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'dreamnet');

function requireOk(what: string, command: string, args: string[]): void {
  const done = spawnSync(command, args, { encoding: 'utf8' });
  if (done.status === 0) return;
  const why = done.error?.message ?? done.stderr.trim().split('\n').slice(-5).join('\n');
  throw new Error(
    `${what} failed: ${why}\nThe fuzz run needs python3 with venv, and PyPI (or schemathesis ${version} on PATH).`,
  );
}

/** schemathesis in a folder of its own, made once per version. */
function installSchemathesis(): string {
  const folder = join(cache, `schemathesis-${version}`);
  const program = join(folder, 'bin', 'schemathesis');
  if (existsSync(program)) return program;
  log.info(`Installing schemathesis ${version} into ${folder}, once`);
  const draft = `${folder}.${process.pid}`;
  // A virtual environment knows its own path: pip's scripts are made after the move.
  requireOk('python3 -m venv', 'python3', ['-m', 'venv', draft]);
  rmSync(folder, { recursive: true, force: true });
  renameSync(draft, folder);
  const python = join(folder, 'bin', 'python3');
  requireOk('pip install', python, ['-m', 'pip', 'install', '-q', `schemathesis==${version}`]);
  return program;
}

async function fuzz(program: string, stack: Stack, role: string): Promise<boolean> {
  const key =
    role === 'nobody' ? null : readFileSync(join(stack.keys.admin, '..', `${role}.key`), 'utf8').trim();
  log.info(`Asking every operation as ${role}`);
  const args = [
    ...['run', `${stack.urls.api}/openapi.json`, '--checks', checks.join(',')],
    ...['--phases', 'examples,coverage,fuzzing', '--max-examples', values.examples, '--seed', values.seed],
    ...['--request-timeout', '20', '--continue-on-failure', '--warnings', 'off', '--no-color'],
    ...(key === null ? [] : ['-H', `Authorization: Bearer ${key}`]),
    ...(values.only === undefined ? [] : ['--include-path-regex', values.only]),
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], cwd: tmpdir() });
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done(code === 0));
  });
}

/** What the API wrote about its own faults: the way from a 500 to its cause. */
function showFaults(logs: string): void {
  const lines = readFileSync(join(logs, 'api.log'), 'utf8').split('\n');
  for (const line of lines.filter((each) => /"level":[56]0/.test(each))) console.log(line);
}

async function main(): Promise<number> {
  const program = installSchemathesis();
  const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-fuzz-'));
  chmodSync(dataDir, 0o711);
  const { PATH, HOME, TEMPORAL_CLI_PATH } = process.env;
  const given = { PATH, HOME, TEMPORAL_CLI_PATH, LOG_LEVEL: 'warn', DREAMNET_DATA_DIR: dataDir };
  const config = readStackConfig(
    { ...given, PORT: '0', DREAMNET_TEMPORAL_PORT: '0', DREAMNET_ADDRESS_LIMIT_PER_MINUTE: '1000000' },
    resolve(import.meta.dirname, '..'),
  );
  const stack = await startStack({ config, log, fast: true });
  const totals = { passed: 0, failed: 0 };
  try {
    const sql = postgres(stack.databaseUrl, { max: 1 });
    await sql`update principals set tier = 'unmetered'`;
    await sql.end();
    for (const role of values.role) {
      const ok = await fuzz(program, stack, role);
      totals[ok ? 'passed' : 'failed'] += 1;
    }
    showFaults(stack.logs);
  } finally {
    await stack.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
  console.log(`fuzz: ${formatTotals(totals)}`);
  return totals.failed === 0 ? 0 : 1;
}

process.exit(await main());
