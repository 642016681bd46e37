import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { readStackConfig } from '../../stack/config.ts';
import { claimPort } from '../../stack/ports.ts';

test('without variables everything is local, on loopback, in the checkout', () => {
  const config = readStackConfig({}, '/srv/dreamnet');
  expect(config).toMatchObject({
    dataDir: '/srv/dreamnet/.dreamnet',
    host: '127.0.0.1',
    port: 8080,
    database: { kind: 'embedded' },
    temporal: { kind: 'local', port: 7233, uiPort: 8233, namespace: 'default' },
  });
});

test('any of the three ways to name a Temporal cluster means that none is started', () => {
  for (const name of ['TEMPORAL_ADDRESS', 'TEMPORAL_PROFILE', 'TEMPORAL_CONFIG_FILE']) {
    const { temporal } = readStackConfig({ [name]: 'x', TEMPORAL_API_KEY: 'k', OTHER: 'o' }, '/srv');
    expect(temporal).toEqual({ kind: 'given', variables: { [name]: 'x', TEMPORAL_API_KEY: 'k' } });
  }
});

test('a given database is migrated under its own address unless another is named', () => {
  expect(readStackConfig({ DATABASE_URL: 'postgres://a' }, '/srv').database).toMatchObject({
    migrateUrl: 'postgres://a',
  });
  const both = { DATABASE_URL: 'postgres://a', MIGRATE_DATABASE_URL: 'postgres://b' };
  expect(readStackConfig(both, '/srv').database).toMatchObject({ migrateUrl: 'postgres://b' });
});

test('children are given named variables only', () => {
  const env = {
    PATH: '/bin',
    AWS_SECRET_ACCESS_KEY: 's',
    DREAMNET_X: '1',
    LOG_LEVEL: 'debug',
    NODE_OPTIONS: '-r x',
  };
  expect(readStackConfig(env, '/srv').childEnv).toEqual({
    PATH: '/bin',
    DREAMNET_X: '1',
    LOG_LEVEL: 'debug',
  });
});

test.each(['http', '-1', '65536', '80.5', '0x50'])('PORT=%s is refused with what is allowed', (port) => {
  expect(() => readStackConfig({ PORT: port }, '/srv')).toThrow('1 to 65535');
});

test('a port in use is named together with the variable that changes it', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const claim = claimPort({ host: '127.0.0.1', port, what: 'the API', variable: 'PORT' });
  await expect(claim).rejects.toThrow(`port ${port}, wanted for the API, is in use by another program`);
});
