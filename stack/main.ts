import { resolve } from 'node:path';
import { readStackConfig } from './config.ts';
import { StackError } from './error.ts';
import { createLog } from './log.ts';
import { startStack, type Stack } from './start.ts';
import { asJson, asTable } from './summary.ts';

const usage = `Usage: npm start [-- --json] [-- --verbose]
  --json     print one JSON line instead of the table
  --verbose  show everything that the API and the worker log`;

// npm passes a signal on to its child, and the terminal sends it too: two of them so close are one Ctrl-C.
const sameKeyPressMs = 1000;

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((argument) => !['--json', '--verbose', '--help'].includes(argument));
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
  const root = resolve(import.meta.dirname, '..');
  const config = readStackConfig(process.env, root);

  const stopping = new AbortController();
  let stack: Stack | null = null;
  let firstSignalAt = 0;
  const onSignal = (): void => {
    if (!stopping.signal.aborted) {
      firstSignalAt = Date.now();
      log.info('Stopping: requests and tasks under way are finished first (Ctrl-C again stops at once).');
      stopping.abort();
    } else if (Date.now() - firstSignalAt > sameKeyPressMs) {
      void (stack?.kill() ?? Promise.resolve()).finally(() => process.exit(130));
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  // A terminal that was closed cannot be written to; stopping in order matters more.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

  try {
    stack = await startStack({ config, log, signal: stopping.signal });
  } catch (error) {
    if (stopping.signal.aborted && !(error instanceof StackError)) return 0;
    throw error;
  }
  process.stdout.write(json ? asJson(stack, config) : asTable(stack, config));
  const stopAsked = new Promise<null>((done) => {
    if (stopping.signal.aborted) done(null);
    stopping.signal.addEventListener('abort', () => {
      done(null);
    });
  });
  const failure = await Promise.race([stopAsked, stack.failed]);
  if (failure !== null) log.warn(`stopping everything: ${failure.message}`);
  await stack.stop();
  log.info('Stopped.');
  return failure === null ? 0 : 1;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(
    error instanceof StackError
      ? `DreamNet did not start: ${error.message}\n`
      : `${error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exit(1);
}
