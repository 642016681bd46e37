import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');
const limit = { timeout: 170_000 };

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dreamnet-test-demo-'));
  chmodSync(folder, 0o711);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function startDemo(folder: string): ChildProcess {
  const demo = spawn(process.execPath, [join(root, 'demo', 'main.ts'), '--json'], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Its parts end by themselves when it is gone.
  onTestFinished(() => void demo.kill('SIGKILL'));
  return demo;
}

function processesOf(folder: string): string[] {
  const { stdout } = spawnSync('ps', ['-A', '-ww', '-o', 'pid=,command='], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line.includes(folder));
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('the demo plays the whole story and leaves nothing behind', limit, async () => {
  const folder = makeFolder();
  const demo = startDemo(folder);
  const [stdout, stderr, [code]] = await Promise.all([
    text(demo.stdout!),
    text(demo.stderr!),
    once(demo, 'exit'),
  ]);
  expect(code, stderr).toBe(0);
  const lines = stdout.trim().split('\n');
  expect(lines).toHaveLength(1);
  const summary = JSON.parse(lines[0] ?? '');
  expect(summary).toMatchObject({ ok: true, durationMs: expect.any(Number) });

  expect(summary.steps).toHaveLength(13);
  for (const step of summary.steps)
    expect(step).toMatchObject({ ok: true, name: expect.any(String), durationMs: expect.any(Number) });
  const withoutRun = [0, 2, 12];
  for (const [index, step] of summary.steps.entries())
    if (withoutRun.includes(index)) expect(step.run).toBeNull();
    else
      expect(step.run).toMatch(
        /^http:\/\/127\.0\.0\.1:\d+\/namespaces\/[^/]+\/workflows\/[^/]+\/[^/]+\/history$/,
      );

  const names = summary.stopped.map(({ name }: { name: string }) => name);
  expect([...names].sort()).toEqual([
    'agent',
    'api',
    'postgres',
    'shop',
    'shop',
    'shop',
    'temporal',
    'worker',
  ]);
  expect(summary.stopped.filter(({ pid }: { pid: number }) => isRunning(pid))).toEqual([]);
  expect(processesOf(folder)).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});

test('a demo that is interrupted stops everything it started', limit, async () => {
  const folder = makeFolder();
  const demo = startDemo(folder);
  const output = text(demo.stdout!);
  let told = '';
  let isAsked = false;
  demo.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    told += chunk;
    if (isAsked || !told.includes('2/13')) return;
    isAsked = true;
    demo.kill('SIGINT');
  });
  const [code] = await once(demo, 'exit');
  expect(code, told).toBe(130);
  expect(JSON.parse(await output)).toMatchObject({ ok: false });
  expect(processesOf(folder)).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
});
