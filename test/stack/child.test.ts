import { expect, onTestFinished, test } from 'vitest';
import { superviseChild, type ChildInput } from '../../stack/child.ts';
import { StackError } from '../../stack/error.ts';
import { fixture, isAlive, keepLog, makeFolder, until } from './support.ts';

function inputFor(behaviour: string, more: Partial<ChildInput> = {}): ChildInput {
  return {
    name: 'sample',
    command: process.execPath,
    args: [fixture('child'), behaviour],
    env: () => ({}),
    logFolder: makeFolder(),
    log: keepLog(),
    onFatal: () => undefined,
    ...more,
  };
}

test('a child that is killed is started again', async () => {
  const child = await superviseChild(inputFor('stays'));
  onTestFinished(child.drain);
  const first = child.pid();
  process.kill(first, 'SIGKILL');
  await until(() => child.restarts() === 1 && child.pid() !== first);
  expect(child.ready().port).toBe(child.pid());
  expect(isAlive(first)).toBe(false);
});

test('a drained child is gone and is not started again', async () => {
  const child = await superviseChild(inputFor('stays'));
  const pid = child.pid();
  await child.drain();
  expect(isAlive(pid)).toBe(false);
  expect(child.restarts()).toBe(0);
});

test('a child that ignores the request to stop is ended when the grace is over', async () => {
  const child = await superviseChild(inputFor('stubborn', { graceMs: 100 }));
  const pid = child.pid();
  await child.drain();
  expect(isAlive(pid)).toBe(false);
});

test('a child that never starts is given up, and its last words are told', async () => {
  const log = keepLog();
  await expect(superviseChild(inputFor('fails', { log }))).rejects.toThrow('there is no reason to live');
  expect(log.lines.filter((line) => line.includes('trying again'))).toHaveLength(4);
});

test('a reason that no restart mends is told at once', async () => {
  const log = keepLog();
  const explain = (lines: string) =>
    lines.includes('EADDRINUSE') ? new StackError('port 1 is in use') : null;
  await expect(superviseChild(inputFor('port-in-use', { log, explain }))).rejects.toThrow('port 1 is in use');
  expect(log.lines.filter((line) => line.includes('trying again'))).toHaveLength(0);
});

test('a child that is not ready in time is stopped', async () => {
  const input = inputFor('silent', { args: ['-e', 'setInterval(() => {}, 1000)'], readyTimeoutMs: 50 });
  const stopping = new AbortController();
  const started = superviseChild({
    ...input,
    signal: stopping.signal,
    log: {
      ...keepLog(),
      warn: () => {
        stopping.abort();
      },
    },
  });
  await expect(started).rejects.toThrow('aborted');
});
