import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashSecret, mintKey } from '../../api/keys.ts';
import { formatKey, parseKey } from '../../domain/key.ts';
import { createSecrets, type SecretPaths } from '../../stack/secrets.ts';
import { portOf, spawnApi } from '../support/api-spawn.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'dreamnet-test-revoke-'));
const running: ChildProcess[] = [];
let database: TestDatabase;
let secrets: SecretPaths;
let bases: string[];
let admin: string;

async function startApi(): Promise<string> {
  const child = spawnApi({ databaseUrl: database.url, dataDir });
  running.push(child);
  return `http://127.0.0.1:${await portOf(child)}`;
}

beforeAll(async () => {
  database = await openTestDatabase();
  secrets = createSecrets(dataDir);
  // The first makes the first keys; the second finds them.
  bases = [await startApi()];
  bases.push(await startApi());
  admin = readFileSync(join(dataDir, 'keys', 'admin.key'), 'utf8').trim();
});
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(dataDir, { recursive: true, force: true });
});

async function send(base: string, method: string, path: string, as: string, body?: object) {
  const response = await fetch(base + path, {
    method,
    headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}
const statusesOf = (key: string): Promise<number[]> =>
  Promise.all(bases.map(async (base) => (await send(base, 'GET', '/v1/me', key)).status));

async function aKeyOf(name: string): Promise<{ principalId: string; id: string; key: string }> {
  const [first = ''] = bases;
  const person = await send(first, 'POST', '/v1/principals', admin, { name, role: 'viewer' });
  const principalId = person.body.id ?? '';
  const { body } = await send(first, 'POST', '/v1/keys', admin, { principalId, label: name });
  const key = { principalId, id: body.id ?? '', key: body.key ?? '' };
  expect(await statusesOf(key.key)).toEqual([200, 200]);
  return key;
}

/** Both processes refuse the key from now on, and did so within a second of `since`. */
async function expectRefused(key: string, since: number): Promise<void> {
  expect(await statusesOf(key)).toEqual([401, 401]);
  expect(Date.now() - since).toBeLessThan(1000);
}

describe('TRUST 4.4: every API process refuses within a second', () => {
  test.each([0, 1])('a key that process %i was told to revoke', async (at) => {
    const { id, key } = await aKeyOf(`revoked-${at}`);
    const { status } = await send(bases[at] ?? '', 'POST', `/v1/keys/${id}/revoke`, admin, {});
    expect(status).toBe(200);
    await expectRefused(key, Date.now());
  });

  test('a key that has expired', async () => {
    const { id, key } = await aKeyOf('expired');
    await database.root`update keys set expires_at = now() where id = ${id}`;
    await expectRefused(key, Date.now());
  });

  test('a key of somebody who was disabled', async () => {
    const { principalId, key } = await aKeyOf('disabled');
    await send(bases[1] ?? '', 'POST', `/v1/principals/${principalId}/disable`, admin, {});
    await expectRefused(key, Date.now());
  });

  test('a key of another environment, whatever secret it carries', async () => {
    const { id, key } = await aKeyOf('staging');
    const secret = parseKey(key)?.secret ?? '';
    await expectRefused(formatKey('test', id, secret), Date.now());
    expect(await statusesOf(key)).toEqual([200, 200]);
    // Also one that was stored here under the same pepper: the environment is part of what opens the door.
    const pepper = readFileSync(secrets.keyPepper, 'utf8').trim();
    const staged = mintKey(pepper, 'test');
    await database.root`
      insert into keys (id, principal_id, label, hash)
      values (${staged.id}, 'prn_admin', 'staged', ${hashSecret(pepper, parseKey(staged.key)?.secret ?? '')})`;
    await expectRefused(staged.key, Date.now());
  });

  test('what a role, a grant or a key no longer permits', async () => {
    const { principalId, key } = await aKeyOf('demoted');
    const [first = '', second = ''] = bases;
    const listing = async () =>
      Promise.all(bases.map(async (base) => (await send(base, 'GET', '/v1/probes', key)).status));
    expect(await listing()).toEqual([200, 200]);
    await send(first, 'POST', '/v1/roles', admin, {
      name: 'less',
      description: 'd',
      permissions: ['tasks:read'],
    });
    await send(first, 'PATCH', `/v1/principals/${principalId}`, admin, { role: 'less' });
    expect(await listing()).toEqual([403, 403]);
    const grant = await send(second, 'POST', '/v1/grants', admin, {
      principalId,
      role: 'viewer',
      reason: 'again',
    });
    expect(await listing()).toEqual([200, 200]);
    await send(second, 'POST', `/v1/grants/${grant.body.id}/revoke`, admin, {});
    expect(await listing()).toEqual([403, 403]);
  });
});
