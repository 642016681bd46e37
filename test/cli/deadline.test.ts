import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeApi, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

const schema = ['--schema', '{"type":"object"}'];
const slow = [
  { route: 'POST /v1/policies/back-test', args: ['policy', 'back-test', '--id', 'pol_1'] },
  { route: 'POST /v1/wormholes/back-test', args: ['wormhole', 'back-test', 'loud'] },
  { route: 'POST /v1/event-schemas/back-test', args: ['schema', 'check', 'shop.order', ...schema] },
  { route: 'POST /v1/subscriptions/shop/test', args: ['subscription', 'test', 'shop'] },
  {
    route: 'POST /v1/replays',
    args: ['replay', 'start', 'shop', '--type', 'shop.*', '--only-matching', '--preview'],
  },
];
const usual = { route: 'GET /v1/policies', args: ['policy', 'list'] };

/** Ten of its seconds are one of ours. */
const hurried =
  '--import=data:text/javascript,const{timeout}=AbortSignal;AbortSignal.timeout=(ms)=>timeout.call(AbortSignal,ms/10)';

test('what reads much or waits for others may take longer than any other request', async () => {
  const ask = ({ args }: { args: string[] }) =>
    run([...args, '--json', '--url', api.url], { NODE_OPTIONS: hurried });
  const body = { state: 'completed', invalid: 0, examples: [], items: [] };
  for (const { route } of [...slow, usual]) api.on(route, () => ({ body, afterMs: 2_500 }));
  const late = await ask(usual);
  expect(late.stderr).toContain('gave no answer within 15 seconds');
  for (const ended of await Promise.all(slow.map(ask)))
    expect(ended).toEqual({ code: 0, stdout: `${JSON.stringify(body)}\n`, stderr: '' });
});
