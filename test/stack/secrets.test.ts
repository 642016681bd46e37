import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createSecrets } from '../../stack/secrets.ts';
import { makeFolder } from './support.ts';

test('secrets are made once and only their owner may read them', () => {
  const folder = makeFolder();
  const paths = createSecrets(folder);
  const before = Object.values(paths).map((path) => readFileSync(path, 'utf8'));
  expect(Object.values(createSecrets(folder)).map((path) => readFileSync(path, 'utf8'))).toEqual(before);
  for (const path of Object.values(paths)) expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 'secrets')).mode & 0o777).toBe(0o700);
  expect(readFileSync(paths.keyPepper, 'utf8').trim()).toMatch(/^[0-9a-f]{64}$/);
  expect(readFileSync(paths.agentRoot, 'utf8').trim()).toMatch(/^[0-9a-f]{64}$/);
  expect(readFileSync(paths.secretBoxKey, 'utf8').trim()).toMatch(/^[0-9a-f]{64}$/);
});

test('the two halves of the ticket key belong together, also when the public one was lost', () => {
  const folder = makeFolder();
  rmSync(createSecrets(folder).ticketPublicKey);
  const paths = createSecrets(folder);
  const signature = sign(null, Buffer.from('yes'), createPrivateKey(readFileSync(paths.ticketPrivateKey)));
  const publicKey = createPublicKey(readFileSync(paths.ticketPublicKey));
  expect(publicKey.asymmetricKeyType).toBe('ed25519');
  expect(verify(null, Buffer.from('yes'), publicKey, signature)).toBe(true);
});

test('a lost private key is not silently replaced', () => {
  const folder = makeFolder();
  rmSync(createSecrets(folder).ticketPrivateKey);
  expect(() => createSecrets(folder)).toThrow('ticket-private.pem is missing');
});

test('an emptied secret is refused', () => {
  const folder = makeFolder();
  writeFileSync(createSecrets(folder).keyPepper, '');
  expect(() => createSecrets(folder)).toThrow('is empty');
});
