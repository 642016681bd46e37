import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countTests, formatTotals, type Report, type Totals } from './support/totals.ts';

const folder = mkdtempSync(join(tmpdir(), 'dreamnet-test-'));
const report = join(folder, 'report.json');

const vitest = spawn(
  process.execPath,
  [
    join(import.meta.dirname, '../node_modules/vitest/vitest.mjs'),
    'run',
    '--config=test/vitest.config.ts',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ],
  { cwd: join(import.meta.dirname, '..'), stdio: 'inherit' },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => vitest.kill(signal));

vitest.on('error', (error) => finish(error.message));
vitest.on('exit', (code, signal) => finish(code === 0 ? undefined : `vitest ended with ${signal ?? code}`));

function finish(fault: string | undefined): void {
  const totals = readTotals();
  if (fault && totals.failed === 0) {
    console.error(fault);
    totals.failed = 1;
  }
  rmSync(folder, { recursive: true, force: true });
  console.log(formatTotals(totals));
  process.exitCode = totals.failed === 0 ? 0 : 1;
}

function readTotals(): Totals {
  try {
    return countTests(JSON.parse(readFileSync(report, 'utf8')) as Report);
  } catch (error) {
    console.error(`no test report: ${String(error)}`);
    return { passed: 0, failed: 1 };
  }
}
