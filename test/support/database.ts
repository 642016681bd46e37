import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';
import { type Database, openDatabase } from '../../db/client.ts';
import type { BuiltInRole } from '../../domain/access.ts';
import { createPrincipal, systemPrincipals } from '../../db/principals.ts';
import { templateName, testPasswords } from './database-setup.ts';
import { atFileEnd } from './file-end.ts';

export type TestDatabase = Database & {
  /** Address as the application role: what the product itself uses. */
  url: string;
  /** A connection that may do everything, to look at and to break things. */
  root: postgres.Sql;
};

/** A fresh copy of the migrated template, opened as the application role; dropped after the test file. */
export async function openTestDatabase(connections = 10): Promise<TestDatabase> {
  const superuserUrl = inject('superuserUrl');
  const name = `t_${randomBytes(6).toString('hex')}`;
  const admin = postgres(superuserUrl, { max: 1, onnotice: () => undefined });
  await admin`create database ${admin(name)} template ${admin(templateName)} owner dreamnet_owner`;
  await admin`grant connect on database ${admin(name)} to dreamnet_app`;
  const rootUrl = new URL(superuserUrl);
  rootUrl.pathname = `/${name}`;
  const url = new URL(rootUrl);
  url.username = 'dreamnet_app';
  url.password = testPasswords.appPassword;
  const root = postgres(rootUrl.href, { max: 2, onnotice: () => undefined });
  const database = openDatabase(url.href, { name: 'test', connections });
  atFileEnd(async () => {
    await database.close();
    await root.end({ timeout: 5 });
    await admin`drop database ${admin(name)} with (force)`;
    await admin.end({ timeout: 5 });
  });
  return { ...database, url: url.href, root };
}

export type People = Record<'requester' | 'admin' | 'operator' | 'viewer' | 'agent' | 'breakGlass', string>;

/** One principal of each kind that the rules tell apart, and HALO itself. */
export async function createPeople(database: Database): Promise<People> {
  const suffix = randomBytes(4).toString('hex');
  const make = async (name: string, kind: 'human' | 'agent' | 'service', role: BuiltInRole) => {
    const id = `prn_${name}_${suffix}`;
    await createPrincipal(database.db, {
      id,
      kind,
      name: `${name}-${suffix}`,
      role,
      tier: 'unmetered',
      actor: 'test',
      opKey: `test:${id}`,
    });
    return id;
  };
  await createPrincipal(database.db, {
    id: systemPrincipals.halo,
    kind: 'service',
    name: 'halo',
    role: 'agent',
    actor: 'test',
    opKey: 'test:halo',
  });
  return {
    requester: await make('requester', 'human', 'operator'),
    admin: await make('admin', 'human', 'admin'),
    operator: await make('operator', 'human', 'operator'),
    viewer: await make('viewer', 'human', 'viewer'),
    agent: await make('agent', 'agent', 'agent'),
    breakGlass: await make('breakGlass', 'human', 'break-glass'),
  };
}
