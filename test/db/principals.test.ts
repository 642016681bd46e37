import { permissionsOf } from '../../domain/access.ts';
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { mintKey } from '../../api/keys.ts';
import { getKey, listKeys, principalNames } from '../../db/access.ts';
import { newId } from '../../db/ids.ts';
import {
  createPrincipal,
  findKey,
  getPrincipal,
  listPrincipals,
  revokeKey,
  storeKey,
} from '../../db/principals.ts';
import { parseKey } from '../../domain/key.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let people: People;
const pepper = randomBytes(32).toString('hex');

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});

async function issue(principalId: string, expiresAt: Date | null = null) {
  const minted = mintKey(pepper);
  await storeKey(database.db, {
    id: minted.id,
    principalId,
    label: 'test',
    hash: minted.hash,
    expiresAt,
    actor: people.admin,
    opKey: newId('op'),
  });
  return minted;
}

describe('keys', () => {
  test('a stored key is found by its id, with whom it belongs to', async () => {
    const { id, hash } = await issue(people.operator);
    expect(await findKey(database.db, id)).toEqual({
      hash,
      expired: false,
      revoked: false,
      active: true,
      stale: true,
      principal: {
        id: people.operator,
        kind: 'human',
        name: expect.any(String),
        role: 'operator',
        person: people.operator,
        permissions: permissionsOf('operator'),
        tier: 'unmetered',
      },
    });
    expect(await findKey(database.db, 'none')).toBeNull();
    expect(await getKey(database.db, id)).toMatchObject({ id, principalId: people.operator });
  });

  test('expiry is decided by the clock of the database', async () => {
    const { id } = await issue(people.operator, new Date('2000-01-01'));
    expect(await findKey(database.db, id)).toMatchObject({ expired: true });
    const later = await issue(people.operator, new Date('2100-01-01'));
    expect(await findKey(database.db, later.id)).toMatchObject({ expired: false });
  });

  test('a revoked key stays revoked, and is revoked once', async () => {
    const { id } = await issue(people.operator);
    const revoke = () => revokeKey(database.db, { id, actor: people.admin, opKey: newId('op') });
    const answers = await Promise.all([revoke(), revoke(), revoke()]);
    expect(answers.filter((answer) => answer.status === 'changed')).toHaveLength(1);
    expect(await findKey(database.db, id)).toMatchObject({ revoked: true });
  });

  test('the key of a disabled person is not active', async () => {
    const { id } = await issue(people.viewer);
    await database.root`update principals set status = 'disabled' where id = ${people.viewer}`;
    expect(await findKey(database.db, id)).toMatchObject({ active: false });
  });

  test('a list of keys shows no hash', async () => {
    await issue(people.admin);
    const rows = await listKeys(database.db, people.admin);
    expect(rows).toHaveLength(1);
    expect(rows[0]).not.toHaveProperty('hash');
  });

  test('a dump of every table contains nothing that authenticates', async () => {
    const minted = await Promise.all([people.admin, people.operator, people.agent].map((id) => issue(id)));
    const tables = await database.root<{ name: string }[]>`
      select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname in ('public', 'drizzle')`;
    expect(tables.length).toBeGreaterThan(12);
    let dump = '';
    for (const { name } of tables) {
      const rows = await database.root.unsafe<{ row: string }[]>(`select t::text as row from ${name} t`);
      dump += rows.map(({ row }) => row).join('\n');
    }
    for (const { id, key, hash } of minted) {
      const secret = parseKey(key)?.secret ?? '';
      expect(secret.length).toBeGreaterThanOrEqual(32);
      expect(dump).toContain(id);
      expect(dump).toContain(hash);
      expect(dump).not.toContain(secret);
      expect(dump).not.toContain(Buffer.from(secret).toString('base64'));
      expect(dump).not.toContain(Buffer.from(secret).toString('hex'));
      expect(hash).not.toContain(secret);
    }
    expect(dump).not.toContain(pepper);
    const words = dump.match(/[A-Za-z0-9_]+/g) ?? [];
    expect(words.filter((word) => parseKey(word) !== null)).toEqual([]);
  });
});

describe('principals', () => {
  test('an id or a name is taken once', async () => {
    const id = newId('prn');
    const make = (given: object) =>
      createPrincipal(database.db, {
        id,
        kind: 'human',
        name: `name-${id}`,
        role: 'viewer',
        actor: people.admin,
        opKey: newId('op'),
        ...given,
      });
    expect(await make({})).toMatchObject({ status: 'changed', result: { id } });
    expect(await make({ name: 'other', role: 'admin' })).toEqual({ status: 'unchanged' });
    expect(await make({ id: newId('prn') })).toEqual({ status: 'unchanged' });
    expect(await getPrincipal(database.db, id)).toMatchObject({ role: 'viewer', status: 'active' });
  });

  test('ids have names, and those nobody knows are left out', async () => {
    expect([...(await principalNames(database.db, [people.admin, 'system', people.admin])).keys()]).toEqual([
      people.admin,
    ]);
    expect((await principalNames(database.db, [])).size).toBe(0);
  });

  test('pages of principals show each once', async () => {
    const seen: string[] = [];
    for (let after = ''; ;) {
      const page = await listPrincipals(database.db, after, 2);
      const last = page.at(-1);
      if (last === undefined) break;
      seen.push(...page.map((row) => row.id));
      after = last.id;
    }
    expect(seen).toEqual([...new Set(seen)].sort());
    expect(seen.length).toBeGreaterThanOrEqual(6);
  });
});
