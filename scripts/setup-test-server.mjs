import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import {
  SetupError,
  cacheDir,
  everySeconds,
  findOnPath,
  isRunnable,
  lastLines,
  makeFolder,
  run,
  say,
  seconds,
} from './setup-shared.mjs';
import { downloadBySdk } from './setup-temporal.mjs';

const version = '1.31.0';
const home = join(cacheDir, `temporal-test-server-${version}-${process.platform}-${process.arch}`);
const program = join(home, 'temporal-test-server');

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dreamnet</groupId><artifactId>test-server</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>io.temporal</groupId><artifactId>temporal-test-server</artifactId><version>${version}</version></dependency>
  </dependencies>
</project>
`;
const wrapper = `#!/bin/sh
exec java -cp "$(dirname "$0")/lib/*" io.temporal.testserver.TestServer "$@"
`;

async function findJavaProblem() {
  if (findOnPath('java') === null) return 'no "java" on PATH (17 or newer is needed)';
  if (findOnPath('mvn') === null) return 'no "mvn" (Maven) on PATH';
  const { output } = await run('java', ['-version'], { timeoutMs: 20_000 });
  const major = Number(/version "(\d+)/.exec(output)?.[1] ?? 0);
  return major >= 17 ? null : `Java is version ${major}, 17 or newer is needed`;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket
      .on('connect', () => resolve(true))
      .on('error', () => resolve(false))
      .on('connect', () => socket.destroy());
  });
}

async function findStartProblem(path) {
  const port = await freePort();
  const child = spawn(path, [String(port), '--enable-time-skipping'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let ended = false;
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const closed = new Promise((resolve) => {
    child.on('error', (error) => ((output += error.message), (ended = true), resolve()));
    child.on('close', () => ((ended = true), resolve()));
  });
  try {
    for (const until = Date.now() + 40_000; Date.now() < until && !ended;) {
      if (await accepts(port)) return null;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return `it did not open its port: ${lastLines(output.trim(), 4).trim() || 'no output'}`;
  } finally {
    child.kill('SIGKILL');
    await closed;
  }
}

async function collectWithMaven(draft) {
  const problem = await findJavaProblem();
  if (problem !== null) return problem;
  const started = Date.now();
  say('fetching the time-skipping test server with Maven, once');
  writeFileSync(join(draft, 'pom.xml'), pom);
  const goal = ['-q', '-B', '-f', join(draft, 'pom.xml'), 'dependency:copy-dependencies'];
  const result = await run(
    'mvn',
    [...goal, `-DoutputDirectory=${join(draft, 'lib')}`, '-DincludeScope=runtime'],
    {
      cwd: draft,
      timeoutMs: 20 * 60_000,
      onTick: everySeconds(10, 'fetching the time-skipping test server'),
    },
  );
  if (!result.ok) return `${result.reason ?? `exit code ${result.code}`}\n${lastLines(result.output, 6)}`;
  writeFileSync(join(draft, 'temporal-test-server'), wrapper);
  chmodSync(join(draft, 'temporal-test-server'), 0o755);
  say(`time-skipping test server fetched in ${seconds(started)}`);
  return null;
}

async function obtain(draft, tried) {
  const downloads = join(draft, 'sdk');
  const sdk = await downloadBySdk('test-server', downloads);
  if (sdk.path !== null) {
    renameSync(sdk.path, join(draft, 'temporal-test-server'));
    rmSync(downloads, { recursive: true, force: true });
  } else {
    tried.push(`the SDK's download: ${sdk.reason}`);
    const problem = await collectWithMaven(draft);
    if (problem !== null) {
      tried.push(`Java and Maven: ${problem}`);
      return false;
    }
  }
  const problem = await findStartProblem(join(draft, 'temporal-test-server'));
  if (problem !== null) tried.push(`the program that this gave: ${problem}`);
  return problem === null;
}

/** Where the time-skipping test server is. */
export async function setUpTestServer() {
  if (isRunnable(program)) return program;
  makeFolder(cacheDir, 'the time-skipping test server');
  const tried = [];
  const onWait = (pid, waited) =>
    say(
      `waiting for the set-up of process ${pid}, which is getting the time-skipping test server (${waited} s)`,
    );
  return withLock(join(cacheDir, 'test-server.lock'), onWait, async () => {
    if (isRunnable(program)) return program;
    const draft = mkdtempSync(join(cacheDir, 'test-server-draft-'));
    try {
      mkdirSync(join(draft, 'sdk'));
      if (await obtain(draft, tried)) {
        rmSync(home, { recursive: true, force: true });
        chmodSync(draft, 0o755);
        renameSync(draft, home);
        return program;
      }
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
    throw new SetupError(
      'the time-skipping test server, which the timer tests need, could not be had. Tried:\n' +
        tried.map((line) => `  - ${line}`).join('\n') +
        '\nEither of these two ways mends it; then run the same command again:\n' +
        '  1. Let set-up download it: allow this machine to reach temporal.download.\n' +
        '  2. Install Java 17 or newer and Maven: put "java" and "mvn" on PATH.',
    );
  });
}
