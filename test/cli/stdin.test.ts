import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Answer, type FakeApi, problem, start, startFakeApi } from './fake-api.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

/** Starts it before a writer who has more to say; what does not end by itself ends with no code. */
function startOpen(args: string[], input: string) {
  const running = start([...args, '--url', api.url], {}, input, 'stays open');
  const late = setTimeout(() => running.kill('SIGKILL'), 10_000);
  void running.ended.then(() => clearTimeout(late));
  return running;
}

test('a refused batch ends the command, though stdin has more to say', async () => {
  api.on('POST /v1/events', () => problem(400, 'INVALID', 'line 3, source: missing'));
  const ended = await startOpen(['event', 'send', '--lines', '-'], '{"a":1}\n'.repeat(2500)).ended;
  expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining('Nothing was stored.') as string });
  expect(api.asked).toHaveLength(1);
});

test.each([
  {
    args: ['event', 'send', '--lines', '-'],
    input: '{"a":1}\n'.repeat(1001),
    first: 'POST /v1/events',
    body: { accepted: [] },
  },
  {
    args: ['subscription', 'change', 'shop', '--handler', '-'],
    input: '{"kind":',
    first: 'GET /v1/subscriptions/shop',
    body: { version: 1 },
  },
])('Ctrl-C ends $args, which waits for stdin, and sends no more', async ({ args, input, first, body }) => {
  const answered = new Promise<void>((resolve) => {
    api.on(first, (): Answer => {
      resolve();
      return { body };
    });
  });
  const running = startOpen(args, input);
  await answered;
  // By then it has read the answer and waits for what stdin says next.
  await sleep(1_000);
  running.kill('SIGINT');
  expect(await running.ended).toEqual({ code: 130, stdout: '', stderr: '' });
  expect(api.asked).toHaveLength(1);
});
