import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { readBody } from '../../api/body.ts';
import type { ApiEnv } from '../../api/context.ts';
import { envelope, handleError } from '../../api/http.ts';
import { createMetrics } from '../../api/metrics.ts';
import { createTestApi, noDatabase, type RawBody, type Untyped } from '../support/api.ts';

const { deps } = createTestApi(noDatabase);
const app = new Hono<ApiEnv>();
app.use('*', envelope(deps, { metrics: createMetrics(), operationOf: () => null }));
app.onError(handleError(deps));
app.post('/', readBody(1000), async (c) => c.json({ got: await c.req.json() }));

async function post(body: RawBody, headers: Record<string, string> = {}) {
  const response = await app.request('/', {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
    duplex: 'half',
  });
  return { status: response.status, body: (await response.json()) as Untyped };
}

function inParts(text: string, size: number): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + size));
      at += size;
    },
  });
}

describe('a body', () => {
  test('that is JSON is handed on', async () => {
    expect(await post('{"a":[1,"ü",null]}')).toEqual({ status: 200, body: { got: { a: [1, 'ü', null] } } });
    expect(await post('{"a":1}', { 'content-type': 'Application/JSON; charset=utf-8' })).toMatchObject({
      status: 200,
    });
  });

  test('may come in parts that cut a character', async () => {
    expect(await post(inParts('{"a":"üöä"}', 1))).toMatchObject({ body: { got: { a: 'üöä' } } });
  });

  test.each([
    ['announced as too large', JSON.stringify('x'.repeat(2000)), { 'content-length': '2002' }],
    ['too large without a length', inParts(JSON.stringify('x'.repeat(2000)), 100), {}],
    [
      'too large under a false length',
      inParts(JSON.stringify('x'.repeat(2000)), 100),
      { 'content-length': '5' },
    ],
  ])('%s is refused with 413', async (_what, body, headers) => {
    expect(await post(body, headers as Record<string, string>)).toMatchObject({
      status: 413,
      body: { code: 'PAYLOAD_TOO_LARGE' },
    });
  });

  test('that goes on for ever is read no further than the limit', async () => {
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 100;
        controller.enqueue(new Uint8Array(100).fill(32));
      },
    });
    expect((await post(endless)).status).toBe(413);
    expect(sent).toBeLessThan(3000);
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', ''])(
    'of type "%s" is refused with 415',
    async (type) => {
      expect(await post('{"a":1}', { 'content-type': type })).toMatchObject({
        status: 415,
        body: { code: 'UNSUPPORTED_MEDIA_TYPE' },
      });
    },
  );

  test.each([
    ['is cut', '{"a":1'],
    ['is no JSON', 'hello'],
    ['has a trailing comma', '{"a":1,}'],
    ['is not UTF-8', new Uint8Array([0x22, 0xc3, 0x28, 0x22])],
    ['has a NUL', '{"a":"x\\u0000y"}'],
    ['has a NUL in a key', '{"x\\u0000y":1}'],
    ['has half a surrogate pair', '{"a":"\\ud800"}'],
    ['has a number beyond all numbers', '{"a":1e999}'],
    ['is nested too deep', `${'['.repeat(80)}${']'.repeat(80)}`],
  ])('that %s is refused with 400', async (_what, body) => {
    expect(await post(body)).toMatchObject({ status: 400, body: { code: 'INVALID' } });
  });

  test('that is missing reads as an empty object', async () => {
    const response = await app.request('/', { method: 'POST' });
    expect(await response.json()).toEqual({ got: {} });
  });
});
