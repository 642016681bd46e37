import { and, desc, eq, lt, type SQL } from 'drizzle-orm';
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

export type AuditRow = typeof auditEntries.$inferSelect;

export type AuditFilter = {
  subjectId?: string | undefined;
  actor?: string | undefined;
  action?: string | undefined;
  outcome?: AuditRow['outcome'] | undefined;
};

/** Newest first, before a place in the chain. */
export async function listAudit(
  db: Db,
  filter: AuditFilter,
  before: number | null,
  limit: number,
): Promise<AuditRow[]> {
  const wanted: (SQL | undefined)[] = [
    filter.subjectId === undefined ? undefined : eq(auditEntries.subjectId, filter.subjectId),
    filter.actor === undefined ? undefined : eq(auditEntries.actor, filter.actor),
    filter.action === undefined ? undefined : eq(auditEntries.action, filter.action),
    filter.outcome === undefined ? undefined : eq(auditEntries.outcome, filter.outcome),
    before === null ? undefined : lt(auditEntries.chainNo, before),
  ];
  return db
    .select()
    .from(auditEntries)
    .where(and(...wanted))
    .orderBy(desc(auditEntries.chainNo))
    .limit(limit);
}
