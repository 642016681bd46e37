import { describe, expect, test } from 'vitest';
import { configFor } from '../../api/routes/agent-input.ts';
import { probeInput } from '../../api/routes/probe-input.ts';

const probe = { name: 'shop', url: 'https://shop.example/health' };
const isValid = (given: object): boolean => probeInput.safeParse({ ...probe, ...given }).success;

describe('a probe', () => {
  test('needs a name and an address; the rest has a sensible default', () => {
    expect(probeInput.parse(probe)).toMatchObject({
      method: 'GET',
      assertions: { statusFrom: 200, statusTo: 299 },
      timeoutMs: 10_000,
      allowPrivateNetwork: false,
    });
  });

  test.each([
    'Authorization',
    'cookie',
    'X-Api-Key',
    'x-auth-token',
    'Proxy-Authorization',
    'X-Client-Secret',
  ])('carries no secret in %s', (name) => {
    expect(isValid({ headers: { [name]: 'x' } })).toBe(false);
  });

  test.each(['Host', 'Content-Length', 'Transfer-Encoding', 'Connection', 'bad name', ''])(
    'does not set %s',
    (name) => {
      expect(isValid({ headers: { [name]: 'x' } })).toBe(false);
    },
  );

  test('cannot smuggle a header in a value', () => {
    expect(isValid({ headers: { 'x-trace': 'a\r\nx-other: b' } })).toBe(false);
    expect(isValid({ headers: { 'x-trace': 'a' } })).toBe(true);
  });

  test.each([
    'ftp://a/',
    'file:///etc/passwd',
    'http://user:pw@a/',
    'http://user@a/',
    'shop',
    'javascript:alert(1)',
  ])('does not call %s', (url) => {
    expect(isValid({ url })).toBe(false);
  });

  test.each([
    [{ timeoutMs: 60_001 }],
    [{ intervalSeconds: 4 }],
    [{ assertions: { statusFrom: 300, statusTo: 200 } }],
    [{ body: 'x' }],
    [{ method: 'DELETE' }],
    [{ owner: 'prn_admin' }],
  ])('is refused with %j', (given) => {
    expect(isValid(given)).toBe(false);
  });

  test('a POST may have a body', () => {
    expect(isValid({ method: 'POST', body: '{}' })).toBe(true);
  });
});

describe('the configuration of an agent', () => {
  test('is checked by the rules of its executor', () => {
    expect(configFor('temporal', { taskQueue: 'agents' })).toEqual({ taskQueue: 'agents' });
    expect(configFor('command', { command: ['true'], env: { A: 'b' } })).toEqual({
      command: ['true'],
      env: { A: 'b' },
    });
    expect(() => configFor('temporal', { url: 'http://a/' })).toThrow(/temporal/);
    expect(() => configFor('http', { url: 'file:///x' })).toThrow(/http/);
    expect(() => configFor('command', { command: [] })).toThrow(/command/);
    expect(() => configFor('command', { command: ['true'], shell: true })).toThrow(/command/);
  });
});
