import { describe, expect, test } from 'vitest';
import { mintKey } from '../../api/keys.ts';
import { createTestApi, noDatabase, pepper } from '../support/api.ts';

const { call } = createTestApi(noDatabase);
const { key } = mintKey(pepper);

describe('a request without a usable key', () => {
  test.each([
    ['no header', undefined],
    ['another scheme', `Basic ${key}`],
    ['nothing behind the scheme', 'Bearer '],
    ['no key of this system', 'Bearer abcdef'],
    ['a mistyped character', `Bearer ${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`],
    ['a part that is missing', `Bearer ${key.slice(0, 30)}`],
    ['two keys', `Bearer ${key} ${key}`],
  ])('%s is refused without a query', async (_what, authorization) => {
    const answer = await call(
      'GET',
      '/v1/tasks',
      authorization === undefined ? {} : { headers: { authorization } },
    );
    expect(answer.status).toBe(401);
    expect(answer.body).toMatchObject({ code: 'UNAUTHENTICATED', status: 401 });
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
  });

  test('learns nothing about which paths exist', async () => {
    expect((await call('GET', '/v1/no-such-thing')).status).toBe(401);
  });

  test('does not have its body read', async () => {
    const raw = new ReadableStream({
      pull() {
        throw new Error('the body was read');
      },
    });
    const answer = await call('POST', '/v1/tasks', { raw, headers: { 'content-type': 'application/json' } });
    expect(answer.status).toBe(401);
  });
});

describe('open paths', () => {
  test('/healthz says that the process is up', async () => {
    expect(await call('GET', '/healthz')).toMatchObject({ status: 200, body: { ok: true } });
  });

  test('an unknown path is a 404 problem, a wrong method a 405 with what is allowed', async () => {
    const unknown = await call('GET', '/nothing');
    expect(unknown).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
    const wrong = await call('DELETE', '/healthz');
    expect(wrong).toMatchObject({ status: 405, body: { code: 'METHOD_NOT_ALLOWED' } });
    expect(wrong.headers.get('allow')).toBe('GET, HEAD');
  });
});

describe('every answer', () => {
  test('has a request id and the security headers', async () => {
    for (const path of ['/healthz', '/nothing', '/v1/tasks']) {
      const { headers, body } = await call('GET', path);
      expect(headers.get('x-request-id')).toMatch(/^req_/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      if ('requestId' in body) expect(body.requestId).toBe(headers.get('x-request-id'));
    }
  });

  test('keeps a sane request id of the caller and replaces any other', async () => {
    const kept = await call('GET', '/nothing', { headers: { 'x-request-id': 'trace-12345678' } });
    expect(kept.body.requestId).toBe('trace-12345678');
    for (const id of ['short', 'has space in it', 'x'.repeat(101)]) {
      const replaced = await call('GET', '/nothing', { headers: { 'x-request-id': id } });
      expect(replaced.body.requestId).toMatch(/^req_/);
    }
  });

  test('allows no other origin', async () => {
    const { headers } = await call('GET', '/healthz', { headers: { origin: 'https://example.org' } });
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });
});
