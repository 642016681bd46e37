import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listKeys } from '../db/access.ts';
import type { Db } from '../db/client.ts';
import { newId } from '../db/ids.ts';
import { createPrincipal, type NewPrincipal, storeKey, systemPrincipals } from '../db/principals.ts';
import { parseKey } from '../domain/key.ts';
import { hashSecret, mintKey } from './keys.ts';

const people = [
  { id: 'prn_admin', kind: 'human', name: 'admin', role: 'admin' },
  { id: 'prn_operator', kind: 'human', name: 'operator', role: 'operator' },
] as const satisfies NewPrincipal[];

const parts = [
  { id: systemPrincipals.halo, kind: 'service', name: 'halo', role: 'agent' },
  { id: systemPrincipals.system, kind: 'service', name: 'system', role: 'viewer' },
] as const satisfies NewPrincipal[];

export type FirstKeys = { issued: { name: string; file: string }[]; elsewhere: string[] };

/**
 * Makes sure that the two first people and the parts of this system exist, and that each person has a key. The file is
 * made before the key is stored: two API processes that start together take the same file, and one that died between
 * the two steps leaves what the next needs. A file that was removed after use is not made again.
 */
export async function prepareFirstStart(
  db: Db,
  input: { pepper: string; keyEnvironment: string; dataDir: string },
): Promise<FirstKeys> {
  for (const principal of [...people, ...parts])
    await createPrincipal(db, { ...principal, actor: 'system', opKey: `first-start:${principal.id}` });
  const result: FirstKeys = { issued: [], elsewhere: [] };
  for (const { id, name } of people) {
    if ((await listKeys(db, id)).length > 0) continue;
    const file = join(input.dataDir, 'keys', `${name}.key`);
    const isStored = await issueFirstKey(db, { ...input, principalId: id, name, file });
    if (isStored) result.issued.push({ name, file });
    else result.elsewhere.push(name);
  }
  return result;
}

async function issueFirstKey(
  db: Db,
  input: { principalId: string; name: string; file: string; pepper: string; keyEnvironment: string },
): Promise<boolean> {
  const { principalId, name, file, pepper, keyEnvironment } = input;
  const { id, secret } = takeKeyFile(file, pepper, keyEnvironment);
  const stored = await storeKey(db, {
    id,
    principalId,
    label: `first key of ${name}`,
    hash: hashSecret(pepper, secret),
    expiresAt: null,
    actor: 'system',
    opKey: `first-start.key:${principalId}`,
  });
  if (stored.status !== 'unchanged' && stored.result.id === id) return true;
  // A process with another data folder was faster: the key in this file opens nothing.
  rmSync(file, { force: true });
  return false;
}

/** Reads the key file, making it first when it is missing; of two processes that make it, both read the one. */
function takeKeyFile(file: string, pepper: string, keyEnvironment: string): { id: string; secret: string } {
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
  for (let tries = 0; tries < 5; tries += 1) {
    const known = readKey(file);
    if (known !== null) return known;
    const draft = `${file}.${newId('new')}`;
    writeFileSync(draft, `${mintKey(pepper, keyEnvironment).key}\n`, { mode: 0o600, flag: 'wx' });
    try {
      linkSync(draft, file);
    } catch (error) {
      if (!isExisting(error)) throw error;
      // It appeared just now, or it holds something that is no key.
      if (readKey(file) === null) rmSync(file, { force: true });
    } finally {
      rmSync(draft, { force: true });
    }
  }
  throw new Error(`${file} cannot be made into a key file; remove it and start again.`);
}

function readKey(file: string): { id: string; secret: string } | null {
  try {
    return parseKey(readFileSync(file, 'utf8').trim());
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}
