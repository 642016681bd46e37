import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import { aKey, createTestApi, type Untyped } from '../support/api.ts';
import { createPeople, openTestDatabase } from '../support/database.ts';
import { run } from './fake-api.ts';

/** The real API behind the real command line. */
let url: string;
let admin: string;
let server: ReturnType<typeof createAdaptorServer>;

beforeAll(async () => {
  const database = await openTestDatabase();
  const people = await createPeople(database);
  admin = (await aKey(database, people.admin)).key;
  server = createAdaptorServer({ fetch: createApp(createTestApi(database).deps).fetch });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
});

const dreamnet = (args: string[], key = admin) => run([...args, '--url', url], { DREAMNET_KEY: key });
async function json(args: string[], key = admin): Promise<Untyped> {
  const { code, stdout, stderr } = await dreamnet([...args, '--json'], key);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
  return JSON.parse(stdout);
}

test('a person gets a role, a grant, a group and a key, rotates it, and is shut out again', async () => {
  const permissions = 'tasks:read, tasks:write@shop*';
  const role = await json([
    'role',
    'create',
    'seller',
    '--permissions',
    permissions,
    '--description',
    'sells',
  ]);
  expect(role.permissions).toEqual(['tasks:read', 'tasks:write@shop*']);
  const person = await json(['principal', 'create', 'kim', '--role', 'seller', '--tier', 'builder']);
  const grant = await json([
    ...['grant', 'create', person.id, '--role', 'viewer', '--scope', 'probe:*'],
    ...['--reason', 'on call', '--expires-in-seconds', '3600'],
  ]);
  await json(['group', 'create', 'sales', '--description', 'who sells']);
  expect((await json(['group', 'add', 'sales', person.id])).members).toHaveLength(1);

  const issued = await json(['key', 'issue', person.id, '--scopes', 'tasks:read,tasks:write,probes:read']);
  const me = await dreamnet(['me'], issued.key);
  expect(me.stdout).toMatch(/role +seller/);
  expect(me.stdout).toMatch(/groups +sales/);
  expect(me.stdout).toMatch(/grant +viewer for probe:\*, until .* \(on call\)/);
  expect(me.stdout).toMatch(new RegExp(`key +${issued.id}, until `));
  expect(me.stdout).toMatch(/may +tasks:read tasks:write@shop\* .*probes:read@probe:\*/);

  const rotated = await json(['key', 'rotate', issued.id, '--overlap-seconds', '0'], issued.key);
  expect((await dreamnet(['me'], issued.key)).code).toBe(3);
  const list = await dreamnet(['key', 'list'], rotated.key);
  expect(list.stdout).toContain(rotated.id);
  for (const key of [issued.key, rotated.key]) expect(list.stdout).not.toContain(key);

  expect((await json(['grant', 'revoke', grant.id])).revokedAt).toEqual(expect.any(String));
  expect((await dreamnet(['grant', 'list', person.id])).stdout).toContain('revoked');
  expect((await json(['group', 'remove', 'sales', person.id])).members).toEqual([]);
  expect((await json(['principal', 'set', person.id, '--role', 'viewer'])).role).toBe('viewer');
  await json(['role', 'change', 'seller', '--permissions', 'tasks:read']);
  await json(['role', 'delete', 'seller']);
  expect((await dreamnet(['role', 'list'])).stdout).not.toContain('seller');
  expect((await dreamnet(['principal', 'disable', person.id])).stdout).toMatch(/status +disabled/);
  expect((await dreamnet(['me'], rotated.key)).code).toBe(3);
  await json(['principal', 'enable', person.id]);
  expect((await dreamnet(['me'], rotated.key)).code).toBe(0);
  await json(['key', 'revoke', rotated.id]);
  expect((await dreamnet(['me'], rotated.key)).code).toBe(3);
});

test('a login is linked by its subject and taken away again', async () => {
  const subject = 'https://id.example.org|a-b-c';
  const person = await json(['principal', 'create', 'lee', '--role', 'viewer', '--oidc-subject', subject]);
  expect((await dreamnet(['principal', 'show', person.id])).stdout).toContain(subject);
  expect((await json(['principal', 'set', person.id, '--oidc-subject', 'none'])).oidcSubject).toBeNull();
});

test('a service has a person who answers for it', async () => {
  const without = await dreamnet(['principal', 'create', 'robot', '--kind', 'service', '--role', 'viewer']);
  expect(without.code).not.toBe(0);
  expect(without.stderr).toContain('owner');
});

test.each([
  [['principal', 'set', 'prn_1']],
  [['role', 'change', 'seller']],
  [['key', 'rotate', 'no/id']],
  [['key', 'issue', 'prn_1', '--expires-in-days', 'soon']],
])('%j is refused before anything is sent', async (args) => {
  expect((await dreamnet(args)).code).toBe(2);
});
