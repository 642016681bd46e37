import { eq, sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import type { RetentionCounts, RetentionRule } from '../domain/retention.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db, Sql } from './client.ts';
import { retentionRules } from './schema/index.ts';

export type RetentionRow = typeof retentionRules.$inferSelect;

export async function getRetention(db: Db): Promise<RetentionRow> {
  const [row] = await db.select().from(retentionRules);
  if (row === undefined) throw new Error('the migrations left no retention rules');
  return row;
}

/** Puts the rules in the place of those of a version; unchanged when somebody else changed them since. */
export async function putRetention(
  db: Db,
  input: { rules: RetentionRule[]; from: number; actor: string; opKey: string },
): Promise<ChangeOutcome<{ version: number }>> {
  const { rules, from, actor, opKey } = input;
  return change(db, {
    opKey,
    write: db
      .update(retentionRules)
      .set({ rules, version: from + 1, changedBy: actor, changedAt: sql`now()` })
      .where(eq(retentionRules.version, from))
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.retentionChanged,
        source: { type: 'system', id: 'retention' },
        payload: { rules, version: from + 1, by: actor },
      },
    ],
    audit: {
      actor,
      action: 'retention.change',
      subjectKind: 'retention',
      subjectId: 'events',
      detail: { rules, version: from + 1 },
    },
    result: sql`jsonb_build_object('version', changed.version)`,
  });
}

/**
 * Takes the oldest month that nobody needs any more out of the log; null when there is none. It waits for its lock for
 * a moment only and then fails with 55P03, so that writers never wait long behind it.
 */
export async function detachPartition(log: Sql): Promise<string | null> {
  const [row] = await log<{ name: string | null }[]>`select detach_event_partition() as name`;
  return row?.name ?? null;
}

/** Drops one month that was taken out; null when there is none. */
export async function dropDetached(log: Sql): Promise<{ name: string; events: number } | null> {
  const [row] = await log<
    { name: string; events: string }[]
  >`select name, events from drop_detached_partition()`;
  return row === undefined ? null : { name: row.name, events: Number(row.events) };
}

/** Deletes single events that are over, so many at most; answers how many went. */
export async function deleteExpiredEvents(log: Sql, batch: number): Promise<number> {
  const [row] = await log<{ gone: number }[]>`select delete_expired_events(${batch}::int) as gone`;
  return row?.gone ?? 0;
}

/** Deletes remembered ids whose events are gone, so many at most; answers how many went. */
export async function deleteExpiredKeys(log: Sql, batch: number): Promise<number> {
  const [row] = await log<{ gone: number }[]>`select delete_expired_event_keys(${batch}::int) as gone`;
  return row?.gone ?? 0;
}

/** Records what a run removed: the row, its event and its audit entry. */
export async function recordRetention(
  db: Db,
  input: { counts: RetentionCounts; opKey: string },
): Promise<ChangeOutcome<RetentionCounts>> {
  const { counts, opKey } = input;
  return change(db, {
    opKey,
    write: db
      .update(retentionRules)
      .set({ applied: counts, appliedAt: sql`now()` })
      .returning()
      .getSQL(),
    events: [
      { type: eventTypes.retentionApplied, source: { type: 'system', id: 'retention' }, payload: counts },
    ],
    audit: {
      actor: 'retention',
      action: 'retention.apply',
      subjectKind: 'retention',
      subjectId: 'events',
      detail: counts,
    },
    result: sql`changed.applied`,
  });
}
