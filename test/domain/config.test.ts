import { describe, expect, test } from 'vitest';
import { parseApiConfig, parseWorkerConfig } from '../../domain/config.ts';
import { isRefusal } from '../../domain/refusal.ts';

const shared = { DATABASE_URL: 'postgres://db/dreamnet' };
const api = {
  ...shared,
  DREAMNET_KEY_PEPPER_FILE: '/run/pepper',
  DREAMNET_TICKET_PRIVATE_KEY_FILE: '/run/ticket',
  DREAMNET_AUDIT_PUBLIC_KEY_FILE: '/run/audit.pub',
  DREAMNET_AGENT_ROOT_FILE: '/run/agents',
  DREAMNET_SECRET_BOX_KEY_FILE: '/run/box',
};
const worker = {
  ...shared,
  DREAMNET_TICKET_PUBLIC_KEY_FILE: '/run/ticket.pub',
  DREAMNET_AUDIT_PRIVATE_KEY_FILE: '/run/audit',
  DREAMNET_AGENT_ROOT_FILE: '/run/agents',
  DREAMNET_SECRET_BOX_KEY_FILE: '/run/box',
};

describe('what is left out has a default', () => {
  test('of the API', () => {
    expect(parseApiConfig(api)).toEqual({
      ...api,
      DREAMNET_DATA_DIR: '.dreamnet',
      DREAMNET_CORS_ORIGINS: [],
      DREAMNET_TRUSTED_PROXIES: [],
      DREAMNET_ADDRESS_LIMIT_PER_MINUTE: 100,
      DREAMNET_STREAMS_PER_PRINCIPAL: 20,
      DREAMNET_STREAMS_PER_PROCESS: 200,
      DREAMNET_TEMPORAL_UI_URL: 'http://127.0.0.1:8233',
      DREAMNET_RAW_SIGNALS: 'refuse',
      DREAMNET_HALO_COOLDOWN_MS: 60_000,
      ...{ DREAMNET_HALO_INTERVAL_MS: 300_000, DREAMNET_HALO_REQUESTS: 150, DREAMNET_HALO_ERRORS: 25 },
      DREAMNET_HALO_ERROR_WINDOW_MS: 30_000,
      DREAMNET_HALO_CYCLES_PER_HOUR: 20,
      DREAMNET_HALO_SETTLE_MS: 90_000,
      LOG_LEVEL: 'info',
      PORT: 8080,
      DREAMNET_HOST: '127.0.0.1',
      DREAMNET_KEY_ENVIRONMENT: 'live',
    });
  });

  test('of the worker', () => {
    expect(parseWorkerConfig(worker)).toMatchObject({
      DREAMNET_MAX_CACHED_WORKFLOWS: expect.any(Number),
      DREAMNET_SHUTDOWN_GRACE_MS: 15_000,
    });
  });

  test('raw signals are refused unless somebody says otherwise', () => {
    expect(parseWorkerConfig({ ...worker, DREAMNET_RAW_SIGNALS: 'accept' })).toMatchObject({
      DREAMNET_RAW_SIGNALS: 'accept',
    });
    expect(parseWorkerConfig({ ...worker, DREAMNET_RAW_SIGNALS: 'yes' })).toMatchObject({
      refused: 'INVALID',
    });
  });

  test('variables of others are left alone', () => {
    expect(isRefusal(parseApiConfig({ ...api, HOME: '/root', DREAMNET_UNKNOWN: 'x' }))).toBe(false);
  });

  test.each(['PORT', 'DREAMNET_HALO_COOLDOWN_MS', 'LOG_LEVEL', 'DREAMNET_TEMPORAL_UI_URL', 'DREAMNET_HOST'])(
    'a %s set to nothing counts as left out',
    (name) => {
      expect(parseApiConfig({ ...api, [name]: '' })).toEqual(parseApiConfig(api));
    },
  );
});

describe('logins of an identity provider', () => {
  const issuer = 'https://id.example.org/realms/one';

  test.each([
    { DREAMNET_OIDC_ISSUER: issuer, DREAMNET_OIDC_AUDIENCE: 'dreamnet' },
    { DREAMNET_OIDC_ISSUER: 'http://127.0.0.1:8081', DREAMNET_OIDC_AUDIENCE: 'dreamnet' },
    { DREAMNET_OIDC_ISSUER: 'http://localhost:8081/', DREAMNET_OIDC_AUDIENCE: 'dreamnet' },
    {
      DREAMNET_OIDC_ISSUER: issuer,
      DREAMNET_OIDC_AUDIENCE: 'dreamnet',
      DREAMNET_OIDC_JWKS_URL: 'http://[::1]:1/keys',
    },
  ])('%j can be used', (given) => {
    expect(parseApiConfig({ ...api, ...given })).toMatchObject(given);
  });

  test.each([
    [{ DREAMNET_OIDC_ISSUER: issuer }, 'DREAMNET_OIDC_AUDIENCE'],
    [{ DREAMNET_OIDC_AUDIENCE: 'dreamnet' }, 'DREAMNET_OIDC_AUDIENCE'],
    [{ DREAMNET_OIDC_JWKS_URL: issuer }, 'DREAMNET_OIDC_JWKS_URL'],
    [{ DREAMNET_OIDC_ISSUER: 'http://id.example.org', DREAMNET_OIDC_AUDIENCE: 'x' }, 'DREAMNET_OIDC_ISSUER'],
    [
      { DREAMNET_OIDC_ISSUER: 'http://127.0.0.1.evil.org', DREAMNET_OIDC_AUDIENCE: 'x' },
      'DREAMNET_OIDC_ISSUER',
    ],
    [{ DREAMNET_OIDC_ISSUER: 'id.example.org', DREAMNET_OIDC_AUDIENCE: 'x' }, 'DREAMNET_OIDC_ISSUER'],
    [
      {
        DREAMNET_OIDC_ISSUER: issuer,
        DREAMNET_OIDC_AUDIENCE: 'x',
        DREAMNET_OIDC_JWKS_URL: 'http://id.example.org',
      },
      'DREAMNET_OIDC_JWKS_URL',
    ],
    [{ DREAMNET_KEY_ENVIRONMENT: 'Live' }, 'DREAMNET_KEY_ENVIRONMENT'],
  ])('%j cannot: %s', (given, name) => {
    expect(parseApiConfig({ ...api, ...given })).toMatchObject({
      refused: 'INVALID',
      message: expect.stringContaining(`${name}:`),
    });
  });
});

describe('what is wrong is named', () => {
  test.each(Object.keys(api))('the API without %s', (name) => {
    for (const value of [undefined, '']) {
      const refusal = parseApiConfig({ ...api, [name]: value });
      expect(refusal).toMatchObject({ refused: 'INVALID', message: expect.stringContaining(`${name}:`) });
    }
  });

  test.each(Object.keys(worker))('the worker without %s', (name) => {
    const refusal = parseWorkerConfig({ ...worker, [name]: undefined });
    expect(refusal).toMatchObject({ refused: 'INVALID', message: expect.stringContaining(`${name}:`) });
  });

  test.each([
    ['PORT', 'http'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['DREAMNET_HALO_COOLDOWN_MS', '-1'],
    ['DREAMNET_HALO_INTERVAL_MS', '999'],
    ['DREAMNET_HALO_REQUESTS', '-1'],
    ['DREAMNET_HALO_COOLDOWN_MS', '86400001'],
    ['DREAMNET_HALO_COOLDOWN_MS', '1 minute'],
    ['DREAMNET_HALO_ERROR_WINDOW_MS', 'NaN'],
    ['DREAMNET_HALO_CYCLES_PER_HOUR', '0'],
    ['DREAMNET_HALO_CYCLES_PER_HOUR', '3601'],
    ['DREAMNET_TEMPORAL_UI_URL', 'localhost:8233/ui'.replace('localhost:', '//')],
    ['DREAMNET_RAW_SIGNALS', 'true'],
    ['LOG_LEVEL', 'verbose'],
  ])('%s=%s', (name, value) => {
    expect(parseApiConfig({ ...api, [name]: value })).toMatchObject({
      refused: 'INVALID',
      message: expect.stringContaining(`${name}:`),
    });
  });

  test.each([
    ['DREAMNET_MAX_CACHED_WORKFLOWS', '9'],
    ['DREAMNET_SHUTDOWN_GRACE_MS', 'soon'],
    ['DREAMNET_WATCH_ENV_FILES', '/app/.env'],
    ['DREAMNET_WATCH_ENV_FILES', '/app/.env,/app/.env'],
    ['DREAMNET_WATCH_ENV_FILES', '.env,/app/.env'],
    ['DREAMNET_WATCH_BUILDS', 'dist/main.js'],
    ['DREAMNET_WATCH_LOCK_FILES', '/a\nb'],
    ['DREAMNET_WATCH_DISKS', Array.from({ length: 21 }, (_, n) => `/disk${n}`).join(',')],
    ['DREAMNET_WATCH_HOSTS', 'http://shop'],
    ['DREAMNET_WATCH_HOSTS', '-shop'],
    ['DREAMNET_WATCH_HEALTH_URLS', 'shop/health'],
    ['DREAMNET_WATCH_HEALTH_URLS', 'file:///etc/passwd'],
    ['DREAMNET_WATCH_HEALTH_URLS', 'http://me:secret@shop/health'],
    ['DREAMNET_WATCH_HEALTH_URLS', 'http://shop/health?token=secret'],
    ['DREAMNET_WATCH_PRIVATE_NETWORK', 'yes'],
    ['DREAMNET_WATCH_OWNER', 'admin'],
  ])('of the worker: %s=%s', (name, value) => {
    expect(parseWorkerConfig({ ...worker, [name]: value })).toMatchObject({
      message: expect.stringContaining(`${name}:`),
    });
  });

  test('what is watched is named in lists; nothing is watched unless it is', () => {
    expect(parseWorkerConfig(worker)).toMatchObject({
      ...{ DREAMNET_WATCH_ENV_FILES: [], DREAMNET_WATCH_HOSTS: [], DREAMNET_WATCH_HEALTH_URLS: [] },
      ...{ DREAMNET_WATCH_DISKS: [], DREAMNET_WATCH_BUILDS: [], DREAMNET_WATCH_LOCK_FILES: [] },
      DREAMNET_WATCH_PRIVATE_NETWORK: 'refuse',
    });
    const given = {
      DREAMNET_WATCH_ENV_FILES: '/app/.env.example, /app/.env',
      DREAMNET_WATCH_HOSTS: 'localhost,127.0.0.1,db.example.org',
      DREAMNET_WATCH_HEALTH_URLS: 'http://127.0.0.1:8080/healthz',
      DREAMNET_WATCH_OWNER: 'prn_1',
    };
    expect(parseWorkerConfig({ ...worker, ...given })).toMatchObject({
      DREAMNET_WATCH_ENV_FILES: ['/app/.env.example', '/app/.env'],
      DREAMNET_WATCH_HOSTS: ['localhost', '127.0.0.1', 'db.example.org'],
      DREAMNET_WATCH_HEALTH_URLS: ['http://127.0.0.1:8080/healthz'],
      DREAMNET_WATCH_OWNER: 'prn_1',
    });
  });

  test('all of them at once, and no value of any', () => {
    const refusal = parseApiConfig({ ...api, DATABASE_URL: '', PORT: 'my-secret', LOG_LEVEL: 'my-secret' });
    const message = isRefusal(refusal) ? refusal.message : '';
    for (const name of ['DATABASE_URL', 'PORT', 'LOG_LEVEL']) expect(message).toContain(name);
    expect(message).not.toContain('my-secret');
  });
});

describe('the origins that may read answers', () => {
  test('are a list of exact origins', () => {
    const given = { ...api, DREAMNET_CORS_ORIGINS: 'https://a.example, http://127.0.0.1:5173' };
    expect(parseApiConfig(given)).toMatchObject({
      DREAMNET_CORS_ORIGINS: ['https://a.example', 'http://127.0.0.1:5173'],
    });
  });

  test.each(['*', 'https://*.example', 'https://a.example/', 'a.example', 'null', 'https://a.example/path'])(
    'are never %s',
    (origin) => {
      const refused = parseApiConfig({ ...api, DREAMNET_CORS_ORIGINS: origin });
      expect(refused).toMatchObject({ refused: 'INVALID' });
      expect(JSON.stringify(refused)).toContain('DREAMNET_CORS_ORIGINS');
    },
  );
});
