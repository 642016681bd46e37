import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  explainFetchError,
  guardedFetch,
  type GuardedRequest,
  isPublicAddress,
  refusalIn,
} from '../../activities/guarded-fetch.ts';
import { eventually } from '../db/eventually.ts';

let server: Server;
let port: number;
const hits: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    hits.push(`${request.method} ${request.url}`);
    if (request.url === '/redirect') return response.writeHead(302, { location: '/target' }).end();
    if (request.url === '/silent') return undefined;
    if (request.url === '/trickle') return response.writeHead(200).write('a little');
    if (request.url === '/large') return response.end('é'.repeat(100_000));
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () =>
      response.writeHead(200, { 'x-seen': request.headers['x-say'] ?? '' }).end(`got ${body}`),
    );
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function aRequest(url: string, given: Partial<GuardedRequest> = {}): GuardedRequest {
  return {
    url,
    method: 'GET',
    headers: {},
    body: null,
    timeoutMs: 5_000,
    maxBytes: 1024,
    allowPrivateNetwork: false,
    ...given,
  };
}

async function refusalOf(request: GuardedRequest): Promise<string | null> {
  try {
    await guardedFetch(request);
    return null;
  } catch (error) {
    return refusalIn(error)?.code ?? `not a refusal: ${explainFetchError(error)}`;
  }
}

const closed: [string, string][] = [
  ['loopback', '127.0.0.1'],
  ['loopback elsewhere', '127.255.255.254'],
  ['loopback as a decimal number', '2130706433'],
  ['loopback in octal', '0177.0.0.1'],
  ['loopback in hex', '0x7f.0.0.1'],
  ['loopback as one hex number', '0x7f000001'],
  ['loopback cut short', '127.1'],
  ['loopback with a full-width digit', '１27.0.0.1'],
  ['this host', '0.0.0.0'],
  ['this host as a number', '0'],
  ['this network', '0.1.2.3'],
  ['private 10/8', '10.0.0.1'],
  ['private 172.16/12', '172.31.255.255'],
  ['private 192.168/16', '192.168.0.1'],
  ['shared 100.64/10', '100.64.0.1'],
  ['link-local and metadata', '169.254.169.254'],
  ['metadata as a number', '2852039166'],
  ['Alibaba metadata', '100.100.100.200'],
  ['protocol assignments', '192.0.0.192'],
  ['documentation', '192.0.2.1'],
  ['benchmarking', '198.18.0.1'],
  ['multicast', '224.0.0.1'],
  ['reserved', '240.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['IPv6 loopback', '[::1]'],
  ['IPv6 unspecified', '[::]'],
  ['IPv4-mapped loopback', '[::ffff:127.0.0.1]'],
  ['IPv4-mapped in hex', '[::ffff:7f00:1]'],
  ['IPv4-mapped private', '[::ffff:10.0.0.1]'],
  ['IPv4-compatible loopback', '[::127.0.0.1]'],
  ['IPv4-translated', '[::ffff:0:127.0.0.1]'],
  ['NAT64 of loopback', '[64:ff9b::127.0.0.1]'],
  ['NAT64 of metadata', '[64:ff9b::a9fe:a9fe]'],
  ['local NAT64', '[64:ff9b:1::10.0.0.1]'],
  ['6to4 of loopback', '[2002:7f00:1::]'],
  ['Teredo', '[2001:0:7f00:1::]'],
  ['IPv6 unique local', '[fd00:ec2::254]'],
  ['IPv6 link-local', '[fe80::1]'],
  ['IPv6 site-local', '[fec0::1]'],
  ['IPv6 multicast', '[ff02::1]'],
  ['IPv6 documentation', '[2001:db8::1]'],
  ['IPv6 discard', '[100::1]'],
];

describe('addresses that are not public', () => {
  test.each(closed)('%s is refused: %s', async (_what, host) => {
    expect(await refusalOf(aRequest(`http://${host}:${port}/`))).toBe('FORBIDDEN');
  });

  test.each(['localhost', 'LOCALHOST'])(
    'a name that leads to one is refused at connect: %s',
    async (host) => {
      expect(await refusalOf(aRequest(`http://${host}:${port}/`))).toBe('FORBIDDEN');
    },
  );

  test('none of these was ever connected to (TRUST 4.40)', () => {
    expect(hits).toEqual([]);
  });

  test.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.32.0.1',
    '192.167.255.255',
    '2606:4700:4700::1111',
    '::ffff:8.8.8.8',
  ])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each(['', 'example.org', '127.0.0.1', '999.1.1.1'])('%j is not', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each(['ftp://example.org/', 'file:///etc/passwd', 'data:text/plain,hi', 'javascript:1'])(
    '%s is no address for a request',
    async (url) => {
      expect(await refusalOf(aRequest(url))).toBe('INVALID');
      expect(await refusalOf(aRequest(url, { allowPrivateNetwork: true }))).toBe('INVALID');
    },
  );
});

describe('where its owner allowed private addresses', () => {
  const allowed = (path: string, given: Partial<GuardedRequest> = {}) =>
    guardedFetch(aRequest(`http://127.0.0.1:${port}${path}`, { allowPrivateNetwork: true, ...given }));

  test('a request goes through as it was given', async () => {
    const answer = await allowed('/hello', { method: 'POST', body: 'you', headers: { 'x-say': 'hi' } });
    expect(answer).toMatchObject({ status: 200, body: 'got you', cut: false, headers: { 'x-seen': 'hi' } });
  });

  test('a name works too', async () => {
    const answer = await guardedFetch(aRequest(`http://localhost:${port}/`, { allowPrivateNetwork: true }));
    expect(answer.status).toBe(200);
  });

  test('a long body is cut with a mark, and the rest is not waited for', async () => {
    const answer = await allowed('/large', { maxBytes: 1001 });
    expect(answer.cut).toBe(true);
    expect(Buffer.byteLength(answer.body)).toBeLessThanOrEqual(1003);
    expect(answer.body.startsWith('é'.repeat(500))).toBe(true);
  });

  test('a body of exactly the limit is whole', async () => {
    expect(await allowed('/', { method: 'POST', body: 'x'.repeat(996), maxBytes: 1000 })).toMatchObject({
      cut: false,
      body: `got ${'x'.repeat(996)}`,
    });
  });

  test('a redirect is told, not followed', async () => {
    hits.length = 0;
    expect(await allowed('/redirect')).toMatchObject({ status: 302, headers: { location: '/target' } });
    expect(hits).toEqual(['GET /redirect']);
  });

  test.each(['/silent', '/trickle'])(
    'an answer that does not come in time is explained: %s',
    async (path) => {
      const error: unknown = await allowed(path, { timeoutMs: 100 }).catch((caught: unknown) => caught);
      expect(explainFetchError(error)).toBe('timed out');
      expect(refusalIn(error)).toBeNull();
    },
  );

  test('whoever asked can stop it', async () => {
    const stop = new AbortController();
    const pending = allowed('/silent', { signal: stop.signal });
    await eventually(() => hits).toContain('GET /silent');
    stop.abort(new Error('enough'));
    await expect(pending).rejects.toThrow('enough');
  });

  test.each(['127.0.0.1', 'localhost'])('nobody listening at %s is explained', async (host) => {
    const unused = createServer();
    await new Promise<void>((resolve) => unused.listen(0, '127.0.0.1', resolve));
    const free = (unused.address() as AddressInfo).port;
    await new Promise((resolve) => unused.close(resolve));
    const error: unknown = await guardedFetch(
      aRequest(`http://${host}:${free}/`, { allowPrivateNetwork: true }),
    ).catch((caught: unknown) => caught);
    expect(explainFetchError(error)).toMatch(/ECONNREFUSED/);
  });
});

describe('explainFetchError', () => {
  test('several refused addresses of one name are told, not an empty text', () => {
    const both = new AggregateError([
      new Error('connect ECONNREFUSED ::1:80'),
      new Error('connect ECONNREFUSED 127.0.0.1:80'),
    ]);
    expect(explainFetchError(new TypeError('fetch failed', { cause: both }))).toBe(
      'connect ECONNREFUSED ::1:80; connect ECONNREFUSED 127.0.0.1:80',
    );
  });

  test.each([
    ['boom', 'boom'],
    [new Error('plain'), 'plain'],
    [new TypeError('fetch failed', { cause: new Error('inner') }), 'inner'],
  ])('%s', (error, text) => {
    expect(explainFetchError(error)).toBe(text);
  });
});
