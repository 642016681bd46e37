import { eq } from 'drizzle-orm';
import type { JsonObject } from '../domain/json.ts';
import type { Db } from './client.ts';
import { auditEntries } from './schema/index.ts';

/** What an earlier operation stated in the audit, null when there was none. */
export async function findAuditDetail(db: Db, opKey: string): Promise<JsonObject | null> {
  const [row] = await db
    .select({ body: auditEntries.body })
    .from(auditEntries)
    .where(eq(auditEntries.opKey, opKey));
  if (row === undefined) return null;
  const body = JSON.parse(row.body) as { detail: JsonObject };
  return body.detail;
}
