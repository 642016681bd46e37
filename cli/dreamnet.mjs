#!/usr/bin/env node
// Starts the command line on Node 24, whatever Node (18 or newer) this file itself was started with.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const main = join(root, 'cli', 'main.ts');
const packages = join(root, 'node_modules');
const pinned = join(packages, '.bin', 'node');
const isNewEnough = Number(process.versions.node.split('.')[0]) >= 24;

if (!existsSync(join(packages, 'citty')) || !(isNewEnough || existsSync(pinned))) {
  process.stderr.write(
    `dreamnet is not set up in ${root}: its packages are missing.\nRun \`node scripts/setup.mjs --packages\` there, then try again.\n`,
  );
  process.exitCode = 1;
} else if (isNewEnough) {
  await import('./main.ts');
} else {
  runOn(pinned);
}

function runOn(node) {
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  // The child decides what a signal means; this process stays until it has.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(
      `dreamnet cannot start ${node}: ${error.message}\nRun \`node scripts/setup.mjs --packages\` in ${root}, then try again.\n`,
    );
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}
