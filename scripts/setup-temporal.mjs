import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { withLock } from './lock.mjs';
import {
  SetupError,
  cacheDir,
  everySeconds,
  findOnPath,
  isRunnable,
  lastLines,
  makeFolder,
  projectNode,
  root,
  run,
  say,
  seconds,
} from './setup-shared.mjs';

const goPackage = 'github.com/temporalio/cli/cmd/temporal@v1.5.1';
const cached = join(cacheDir, `temporal-cli-${process.platform}-${process.arch}`, 'temporal');
const neededFlags = ['--sqlite-pragma', '--dynamic-config-value', '--search-attribute', '--ui-ip'];
const connectionVariables = ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE'];

async function findProblem(path) {
  if (!isRunnable(path)) return 'it is not a file that can be run';
  const version = await run(path, ['--version'], { timeoutMs: 20_000 });
  if (!version.ok)
    return `"${path} --version" failed: ${version.reason ?? lastLines(version.output, 2).trim()}`;
  const help = await run(path, ['server', 'start-dev', '--help'], { timeoutMs: 20_000 });
  const missing = neededFlags.filter((flag) => !help.output.includes(flag));
  if (missing.length === 0) return null;
  return `its "server start-dev" does not know ${missing.join(', ')} (version 1.1.0 or newer is needed)`;
}

function sizeOf(folder) {
  try {
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  } catch {
    return 0;
  }
}

/** The SDK's own download. Ends itself when nothing has arrived for 20 seconds. */
export async function downloadBySdk(kind, folder) {
  mkdirSync(folder, { recursive: true });
  let size = -1;
  let since = Date.now();
  const keepGoing = () => {
    const now = sizeOf(folder);
    if (now !== size) [size, since] = [now, Date.now()];
    return Date.now() - since < 20_000;
  };
  const onTick = everySeconds(
    10,
    `downloading the ${kind === 'cli' ? 'Temporal server' : 'time-skipping test server'}`,
  );
  const script = join(root, 'scripts', 'sdk-download.mjs');
  const result = await run(projectNode, [script, kind, folder], { keepGoing, onTick });
  const name = readdirSync(folder).find(
    (entry) => !entry.endsWith('.downloading') && isRunnable(join(folder, entry)),
  );
  if (name !== undefined) return { path: join(folder, name), reason: null };
  return { path: null, reason: result.reason ?? lastLines(result.output, 1).trim() };
}

async function buildWithGo(go, folder) {
  const started = Date.now();
  say('building the Temporal server with Go, once: three to five minutes on two cores');
  const result = await run(go, ['install', '-ldflags', '-s -w', goPackage], {
    cwd: folder,
    env: { ...process.env, GOBIN: folder },
    timeoutMs: 40 * 60_000,
    onTick: everySeconds(10, 'building the Temporal server'),
  });
  const built = join(folder, 'temporal');
  if (!result.ok)
    return {
      path: null,
      reason: `${result.reason ?? `exit code ${result.code}`}\n${lastLines(result.output, 6)}`,
    };
  say(`Temporal server built in ${seconds(started)}`);
  return { path: built, reason: null };
}

async function obtain(tried) {
  const place = dirname(cached);
  makeFolder(cacheDir, 'the Temporal server');
  const onWait = (pid, waited) =>
    say(`waiting for the set-up of process ${pid}, which is getting the Temporal server (${waited} s)`);
  return withLock(join(cacheDir, 'temporal-cli.lock'), onWait, async () => {
    if ((await findProblem(cached)) === null) return cached;
    const draft = mkdtempSync(join(cacheDir, 'temporal-cli-draft-'));
    try {
      const sdk = await downloadBySdk('cli', draft);
      let found = sdk;
      tried.push(`the SDK's download: ${sdk.reason ?? 'done'}`);
      if (sdk.path === null) {
        const go = findOnPath('go');
        found = go === null ? { path: null, reason: 'no "go" on PATH' } : await buildWithGo(go, draft);
        tried.push(`building with Go: ${found.reason ?? 'done'}`);
      }
      if (found.path === null) return null;
      const problem = await findProblem(found.path);
      if (problem !== null) {
        tried.push(`the program that this gave: ${problem}`);
        return null;
      }
      mkdirSync(place, { recursive: true });
      renameSync(found.path, cached);
      return cached;
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  });
}

/** Where the Temporal program is; null when an existing Temporal cluster is to be used. */
export async function setUpTemporal() {
  if (connectionVariables.some((name) => process.env[name])) return null;
  const chosen = process.env.TEMPORAL_CLI_PATH;
  if (chosen) {
    const problem = await findProblem(resolve(chosen));
    if (problem === null) return resolve(chosen);
    throw new SetupError(
      `TEMPORAL_CLI_PATH is ${chosen}, but ${problem}.\nSet it to a working "temporal" program, or unset it to let set-up find one.`,
    );
  }
  const tried = [];
  const onPath = findOnPath('temporal');
  if (onPath !== null) {
    const problem = await findProblem(onPath);
    if (problem === null) return onPath;
    tried.push(`${onPath}: ${problem}`);
  }
  if ((await findProblem(cached)) === null) return cached;
  const path = await obtain(tried);
  if (path !== null) return path;
  throw new SetupError(
    'no Temporal server was found, and none could be had. Tried:\n' +
      tried.map((line) => `  - ${line}`).join('\n') +
      '\nAny one of these four ways mends it; then run the same command again:\n' +
      '  1. Use a Temporal cluster you have: set TEMPORAL_ADDRESS (and TEMPORAL_NAMESPACE, TEMPORAL_API_KEY or TLS files).\n' +
      '  2. Install the Temporal CLI: put "temporal" on PATH, or set TEMPORAL_CLI_PATH to it.\n' +
      '  3. Let set-up download it: allow this machine to reach temporal.download.\n' +
      '  4. Install Go 1.25 or newer: put "go" on PATH, and set-up builds the server once.',
  );
}
