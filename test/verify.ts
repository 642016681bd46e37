import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { formatTotals } from './support/totals.ts';

const parts = ['format:check', 'lint', 'check', 'test:unit', 'test:replay'];

const results = await Promise.all(
  parts.map(async (part) => {
    const started = Date.now();
    const { ok, output } = await run(part);
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    console.log(`${ok ? 'ok  ' : 'FAIL'} ${part} (${seconds} s)`);
    if (!ok) console.log(output);
    return ok;
  }),
);

const passed = results.filter(Boolean).length;
console.log(`verify: ${formatTotals({ passed, failed: parts.length - passed })}`);
process.exitCode = passed === parts.length ? 0 : 1;

function run(part: string): Promise<{ ok: boolean; output: string }> {
  return new Promise((resolve) => {
    const npm = spawn('npm', ['run', '--silent', part], {
      cwd: join(import.meta.dirname, '..'),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output: Buffer[] = [];
    npm.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    npm.stderr.on('data', (chunk: Buffer) => output.push(chunk));
    npm.on('error', (error) => resolve({ ok: false, output: error.message }));
    npm.on('close', (code) => resolve({ ok: code === 0, output: Buffer.concat(output).toString() }));
  });
}
