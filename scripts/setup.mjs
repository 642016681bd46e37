// Runs before `npm start` and `npm test`, on whatever Node the machine has: Node built-ins only.
import { join } from 'node:path';
import { setUpPackages } from './setup-packages.mjs';
import { SetupError, isRunnable, readJson, root, writeAtomically } from './setup-shared.mjs';
import { setUpTemporal } from './setup-temporal.mjs';
import { setUpTestServer } from './setup-test-server.mjs';

const toolchainFile = join(root, 'node_modules', '.cache', 'dreamnet', 'toolchain.json');

async function setUp(flag) {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    throw new SetupError(
      `this is Node ${process.versions.node}; set-up needs Node 20 or newer. Install it, then try again.`,
    );
  }
  await setUpPackages();
  if (flag === '--packages') return;
  const temporalCli = await setUpTemporal();
  const known = readJson(toolchainFile) ?? {};
  const keptTestServer = known.testServer && isRunnable(known.testServer) ? known.testServer : null;
  const testServer = flag === '--test' ? await setUpTestServer() : keptTestServer;
  if (known.temporalCli !== temporalCli || known.testServer !== testServer) {
    writeAtomically(toolchainFile, `${JSON.stringify({ temporalCli, testServer })}\n`);
  }
}

const [flag, ...rest] = process.argv.slice(2);
try {
  if (rest.length > 0 || !['--test', '--packages', undefined].includes(flag)) {
    throw new SetupError(`unknown argument ${rest[0] ?? flag}. Allowed: --test or --packages, or none.`);
  }
  await setUp(flag);
} catch (error) {
  if (error instanceof SetupError) {
    process.stderr.write(`set-up stopped: ${error.message}\n`);
  } else if (['EACCES', 'EPERM', 'EROFS', 'ENOSPC'].includes(error?.code)) {
    const place = error.path ?? root;
    process.stderr.write(
      `set-up stopped: cannot write ${place} (${error.code}).\n` +
        'Make that place writable for this user (or free some space), then try again.\n',
    );
  } else {
    process.stderr.write(`set-up stopped by a fault of its own: ${error?.stack ?? error}\n`);
  }
  process.exitCode = 1;
}
