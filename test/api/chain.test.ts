import { describe, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import { createTestApi, noDatabase } from '../support/api.ts';

const { call, deps } = createTestApi(noDatabase);
const origin = 'https://console.example';
const open = createTestApi(noDatabase, { http: { ...deps.http, corsOrigins: [origin] } });
const askFirst = { origin, 'access-control-request-method': 'POST' };
const cors = (headers: Headers): string[] =>
  [...headers.keys()].filter((name) => name.startsWith('access-control'));

describe('TRUST 4.37: CORS', () => {
  test('is off by default: no answer and no preflight says anything about origins', async () => {
    for (const [method, path] of [
      ['GET', '/healthz'],
      ['GET', '/v1/tasks'],
      ['OPTIONS', '/v1/tasks'],
    ] as const)
      expect(cors((await call(method, path, { headers: askFirst })).headers)).toEqual([]);
  });

  test('lets a listed origin read answers, refusals included, and never with credentials', async () => {
    const { status, headers } = await open.call('GET', '/v1/tasks', { headers: { origin } });
    expect(status).toBe(401);
    expect(headers.get('access-control-allow-origin')).toBe(origin);
    expect(headers.get('access-control-expose-headers')).toContain('Retry-After');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
    expect(headers.get('vary')).toContain('Origin');
  });

  test('answers the preflight of a listed origin without a key', async () => {
    const { status, headers } = await open.call('OPTIONS', '/v1/tasks', { headers: askFirst });
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-methods')).toContain('PATCH');
    expect(headers.get('access-control-allow-headers')).toContain('Authorization');
    expect(headers.get('access-control-allow-headers')).toContain('Idempotency-Key');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
  });

  test.each([
    'https://console.example.evil',
    'http://console.example',
    'https://console.example:8443',
    'https://CONSOLE.example',
    'null',
    '*',
  ])('says nothing to %s', async (other) => {
    const { headers } = await open.call('GET', '/healthz', { headers: { origin: other } });
    expect(cors(headers)).toEqual([]);
    const preflight = await open.call('OPTIONS', '/v1/tasks', { headers: { ...askFirst, origin: other } });
    expect(preflight.status).toBe(401);
    expect(cors(preflight.headers)).toEqual([]);
  });
});

describe('a trace', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;

  test('of the caller goes on: in the answer, in the problem and in its tracestate', async () => {
    const { body, headers } = await call('GET', '/v1/tasks', {
      headers: { traceparent, tracestate: 'vendor=1' },
    });
    expect(body.traceId).toBe(traceId);
    expect(headers.get('traceparent')).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    expect(headers.get('traceparent')).not.toBe(traceparent);
    expect(headers.get('tracestate')).toBe('vendor=1');
  });

  test('begins here where the caller has none, or something that is none', async () => {
    const seen = new Set<string>();
    for (const given of [undefined, 'garbage', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`]) {
      const { body, headers } = await call('GET', '/nothing', {
        headers: given === undefined ? {} : { traceparent: given },
      });
      expect(headers.get('traceparent')).toContain(body.traceId);
      expect(headers.get('tracestate')).toBeNull();
      seen.add(body.traceId);
    }
    expect(seen.size).toBe(3);
  });

  test('is in the refusal of every step, also before the step that joins the caller (K28)', async () => {
    const strict = createTestApi(noDatabase, { http: { ...deps.http, addressLimitPerMinute: 1 } });
    const answers = [];
    for (let times = 0; times < 2; times += 1)
      answers.push(await strict.call('GET', '/v1/tasks', { from: '203.0.113.1' }));
    expect(answers.map(({ status }) => status)).toEqual([401, 429]);
    for (const { body, headers } of answers) {
      expect(body.traceId).toMatch(/^[0-9a-f]{32}$/);
      expect(headers.get('traceparent')).toContain(body.traceId);
      expect(headers.get('x-request-id')).toBe(body.requestId);
    }
  });
});

describe('every answer', () => {
  test('is kept out of search engines (N-123)', async () => {
    for (const path of ['/healthz', '/nothing', '/v1/tasks', '/docs', '/openapi.json'])
      expect((await call('GET', path)).headers.get('x-robots-tag'), path).toBe('noindex');
  });
});

describe('the address limit', () => {
  const limited = (more: { trustedProxies?: string[] } = {}) =>
    createTestApi(noDatabase, { http: { ...deps.http, addressLimitPerMinute: 3, ...more } }).call;
  const statuses = async (times: number, ask: (at: number) => Promise<{ status: number }>) => {
    const answers: number[] = [];
    for (let at = 0; at < times; at += 1) answers.push((await ask(at)).status);
    return answers;
  };

  test('refuses who comes too often without a key, before any key is looked at, and says until when', async () => {
    const ask = limited();
    expect(await statuses(4, () => ask('GET', '/v1/me', { from: '203.0.113.1' }))).toEqual([
      401, 401, 401, 429,
    ]);
    const { headers, body } = await ask('GET', '/v1/me', { from: '203.0.113.1' });
    expect(body.code).toBe('LIMIT');
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(60);
  });

  test('is of each address: one does not use up that of another', async () => {
    const ask = limited();
    await statuses(5, () => ask('GET', '/v1/me', { from: '203.0.113.1' }));
    expect((await ask('GET', '/v1/me', { from: '203.0.113.2' })).status).toBe(401);
  });

  test('counts public paths, and never the health checks', async () => {
    const ask = limited();
    expect(await statuses(4, () => ask('GET', '/docs', { from: '203.0.113.3' }))).toEqual([
      200, 200, 200, 429,
    ]);
    expect(await statuses(5, () => ask('GET', '/healthz', { from: '203.0.113.3' }))).toEqual(
      Array(5).fill(200),
    );
  });

  test('believes X-Forwarded-For only where a trusted proxy wrote it', async () => {
    const direct = limited();
    const forged = (at: number) => ({ 'x-forwarded-for': `198.51.100.${at}` });
    expect(
      await statuses(4, (at) => direct('GET', '/v1/me', { from: '203.0.113.1', headers: forged(at) })),
    ).toEqual([401, 401, 401, 429]);

    const proxied = limited({ trustedProxies: ['10.0.0.0/8', '::1'] });
    const through = (chain: string, from = '10.1.2.3') =>
      proxied('GET', '/v1/me', { from, headers: { 'x-forwarded-for': chain } });
    // What stands before the first address that is not trusted was written by the caller.
    expect(await statuses(4, (at) => through(`192.0.2.${at}, 198.51.100.7, 10.9.9.9`))).toEqual([
      401, 401, 401, 429,
    ]);
    expect((await through('198.51.100.8')).status).toBe(401);
    expect((await through('198.51.100.7', '::1')).status).toBe(429);
  });

  test('takes IPv4 in IPv6 for what it is, and a /64 of IPv6 for one address', async () => {
    const ask = limited();
    await statuses(3, () => ask('GET', '/v1/me', { from: '203.0.113.4' }));
    expect((await ask('GET', '/v1/me', { from: '::ffff:203.0.113.4' })).status).toBe(429);
    expect(await statuses(4, (at) => ask('GET', '/v1/me', { from: `2001:db8:1:2::${at}` }))).toEqual([
      401, 401, 401, 429,
    ]);
    expect((await ask('GET', '/v1/me', { from: '2001:db8:1:3::1' })).status).toBe(401);
  });

  test('holds for requests without a socket too', async () => {
    const ask = limited();
    expect(await statuses(4, () => ask('GET', '/v1/me'))).toEqual([401, 401, 401, 429]);
  });

  test('does not start with a proxy that is no address', () => {
    expect(() => createApp({ ...deps, http: { ...deps.http, trustedProxies: ['proxy.local'] } })).toThrow(
      'DREAMNET_TRUSTED_PROXIES',
    );
  });
});
