import { asc, eq, inArray } from 'drizzle-orm';
import type { Db } from './client.ts';
import { keys, principals } from './schema/index.ts';

export type KeyRow = Omit<typeof keys.$inferSelect, 'hash'>;

/** Everything of a key but what could be compared with one. */
const shown = {
  id: keys.id,
  principalId: keys.principalId,
  label: keys.label,
  expiresAt: keys.expiresAt,
  revokedAt: keys.revokedAt,
  scopes: keys.scopes,
  issuedBy: keys.issuedBy,
  rotatedFrom: keys.rotatedFrom,
  lastUsedAt: keys.lastUsedAt,
  createdAt: keys.createdAt,
};

/** The keys of a principal, without anything that could be compared with a key. */
export async function listKeys(db: Db, principalId: string): Promise<KeyRow[]> {
  return db
    .select(shown)
    .from(keys)
    .where(eq(keys.principalId, principalId))
    .orderBy(asc(keys.createdAt), asc(keys.id))
    .limit(1000);
}

export async function getKey(db: Db, id: string): Promise<KeyRow | null> {
  const [row] = await db.select(shown).from(keys).where(eq(keys.id, id));
  return row ?? null;
}

/** Names for ids, to show people; ids of parts of this system itself are left out. */
export async function principalNames(db: Db, ids: string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .select({ id: principals.id, name: principals.name })
    .from(principals)
    .where(inArray(principals.id, [...new Set(ids)]));
  return new Map(rows.map((row) => [row.id, row.name]));
}
