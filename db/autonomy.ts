import { and, asc, eq, sql, type SQL } from 'drizzle-orm';
import {
  afterVerdict,
  type AutonomyFacts,
  type AutonomyThreshold,
  checkGrant,
  pairOf,
} from '../domain/autonomy.ts';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { databaseNow } from './approvals.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { autonomy } from './schema/index.ts';

export type AutonomyRow = typeof autonomy.$inferSelect;
export type Pair = { action: string; targetClass: string };

const ofPair = ({ action, targetClass }: Pair): SQL =>
  sql`${autonomy.action} = ${action} and ${autonomy.targetClass} = ${targetClass}`;

export async function getAutonomy(db: Db, pair: Pair): Promise<AutonomyRow | null> {
  const [row] = await db.select().from(autonomy).where(ofPair(pair));
  return row ?? null;
}

/** All pairs that were ever judged; there are as many as strategies and classes. */
export async function listAutonomy(db: Db): Promise<AutonomyRow[]> {
  return db.select().from(autonomy).orderBy(asc(autonomy.action), asc(autonomy.targetClass)).limit(1000);
}

/** A pair that was never judged has a row of zeros from here on, so that its counts have something to be compared with. */
export async function ensureAutonomy(db: Db, pair: Pair): Promise<AutonomyRow> {
  await db.insert(autonomy).values(pair).onConflictDoNothing();
  const row = await getAutonomy(db, pair);
  if (row === null) throw new Error(`autonomy has no row ${pairOf(pair.action, pair.targetClass)}`);
  return row;
}

/** True in a statement while the pair is as it was read; the statement and a grant wait for each other. */
export function isSameAutonomy(row: AutonomyRow): SQL {
  return sql`exists (
    select from autonomy a
    where a.action = ${row.action} and a.target_class = ${row.targetClass} and a.version = ${row.version}::int
      and a.state = ${row.state} and a.helped = ${row.helped}::int and a.failed = ${row.failed}::int
      and a.streak = ${row.streak}::int
    for update)`;
}

/** True in a statement while this grant is in force; a withdrawal waits for the statement, or it for the withdrawal. */
export function isGrantInForce({ action, targetClass, version }: Pair & { version: number }): SQL {
  return sql`exists (
    select from autonomy a
    where a.action = ${action} and a.target_class = ${targetClass} and a.version = ${version}::int
      and a.state = 'granted' and (a.expires_at is null or a.expires_at > now())
    for share)`;
}

/** What a verdict makes of a pair: more rows, events and detail of the statement that records it. */
export function countVerdict(
  row: AutonomyRow,
  verdict: Parameters<typeof afterVerdict>[1],
  threshold: AutonomyThreshold,
): { also: SQL[]; events: NewEvent[]; detail: JsonObject } {
  const { action, targetClass } = row;
  const before: AutonomyFacts = row;
  const after = afterVerdict(before, verdict, threshold);
  const moved = after.state !== row.state;
  const because = moved && after.state === 'manual' ? `a repair did not help: ${verdict}` : null;
  const also = [
    sql`
      update autonomy set
        helped = ${after.helped}::int, failed = ${after.failed}::int, streak = ${after.streak}::int,
        state = ${after.state}, version = version + ${moved ? 1 : 0}::int,
        granted_by = case when ${moved}::boolean then null else granted_by end,
        granted_at = case when ${moved}::boolean then null else granted_at end,
        expires_at = case when ${moved}::boolean then null else expires_at end,
        withdrawn_because = case when ${moved}::boolean then ${because}::text else withdrawn_because end,
        updated_at = now()
      from changed where autonomy.action = ${action} and autonomy.target_class = ${targetClass}`,
  ];
  const { helped, failed } = after;
  const pair = pairOf(action, targetClass);
  const told = { title: `${pair}: ${after.state}`, pair, state: after.state, helped, failed };
  return {
    also,
    events: moved ? [changedEvent(row, { ...told, before: row.state, reason: because })] : [],
    detail: { pair, autonomy: after.state, autonomyBefore: row.state },
  };
}

function changedEvent({ action, targetClass }: Pair, payload: JsonObject): NewEvent {
  return {
    type: eventTypes.autonomyChanged,
    source: { type: 'halo', id: pairOf(action, targetClass) },
    severity: payload.before === 'granted' ? 'warning' : 'info',
    payload: { action, targetClass, ...payload },
  };
}

async function hadHighRisk(db: Db, { action, targetClass }: Pair): Promise<boolean> {
  const [row] = await db.execute(sql`
    select exists (
      select from repairs r join tasks t on t.id = r.task_id
      where r.action = ${action} and r.target_class = ${targetClass} and t.risk = 'high') as high`);
  return row?.high === true;
}

export type Granting = Pair & {
  version: number;
  reason: string;
  expiresInMs: number | null;
  person: { id: string; name: string; kind: string };
  opKey: string;
};

/** A person lets a suggested pair go without a question each time. */
export async function grantAutonomy(db: Db, input: Granting): Promise<AutonomyRow | Refusal> {
  const { action, targetClass, person, reason, expiresInMs } = input;
  const pair = pairOf(action, targetClass);
  const [row, hasHighRisk, nowMs] = await Promise.all([
    getAutonomy(db, input),
    hadHighRisk(db, input),
    databaseNow(db),
  ]);
  if (row === null) return unknown(pair);
  const asked = { ...row, expiresAtMs: row.expiresAt?.getTime() ?? null };
  const refusal = checkGrant({ pair, row: asked, person, version: input.version, hasHighRisk }, nowMs);
  if (refusal !== null) return refusal;
  const expiresAt = expiresInMs === null ? null : new Date(nowMs + expiresInMs).toISOString();
  const grant = { version: row.version + 1, expiresAt };
  const outcome = await change(db, {
    opKey: input.opKey,
    write: db
      .update(autonomy)
      .set({
        state: 'granted',
        version: sql`${autonomy.version} + 1`,
        grantedBy: person.id,
        reason,
        grantedAt: sql`now()`,
        expiresAt: expiresAt === null ? null : sql`${expiresAt}::timestamptz`,
        withdrawnBecause: null,
        updatedAt: sql`now()`,
      })
      .where(and(ofPair(input), eq(autonomy.version, row.version), eq(autonomy.state, row.state)))
      .returning()
      .getSQL(),
    events: [
      changedEvent(input, {
        ...{ title: `${pair}: granted`, pair, state: 'granted', before: row.state },
        ...{ by: person.name, reason, expiresAt },
      }),
    ],
    audit: {
      actor: person.id,
      action: 'autonomy.grant',
      subjectKind: 'autonomy',
      subjectId: pair,
      detail: { ...grant, reason, helped: row.helped, failed: row.failed },
    },
  });
  if (outcome.status === 'unchanged')
    return refuse('STALE', `${pair} changed while it was granted; read it again, then grant it.`);
  return (await getAutonomy(db, input)) ?? unknown(pair);
}

/** Anybody who operates HALO puts a pair back to manual; what was counted in a row begins anew. */
export async function withdrawAutonomy(
  db: Db,
  input: Pair & { reason: string; person: { id: string; name: string }; opKey: string },
): Promise<AutonomyRow | Refusal> {
  const { action, targetClass, person, reason } = input;
  const pair = pairOf(action, targetClass);
  const before = await getAutonomy(db, input);
  if (before === null) return unknown(pair);
  const outcome = await change(db, {
    opKey: input.opKey,
    write: db
      .update(autonomy)
      .set({
        state: 'manual',
        version: sql`${autonomy.version} + 1`,
        streak: 0,
        ...{ grantedBy: null, grantedAt: null, expiresAt: null },
        withdrawnBecause: reason,
        updatedAt: sql`now()`,
      })
      .where(and(ofPair(input), eq(autonomy.state, before.state), sql`${autonomy.state} <> 'manual'`))
      .returning()
      .getSQL(),
    events: [
      changedEvent(input, {
        ...{ title: `${pair}: manual`, pair, state: 'manual', before: before.state, by: person.name, reason },
      }),
    ],
    audit: {
      actor: person.id,
      action: 'autonomy.withdraw',
      subjectKind: 'autonomy',
      subjectId: pair,
      detail: { reason },
    },
  });
  if (outcome.status === 'unchanged')
    return before.state === 'manual'
      ? refuse('CONFLICT', `${pair} is manual already; there is nothing to withdraw.`)
      : refuse('STALE', `${pair} changed while it was withdrawn; read it again, then withdraw it.`);
  return (await getAutonomy(db, input)) ?? unknown(pair);
}

function unknown(pair: string): Refusal {
  return refuse('NOT_FOUND', `No repair of ${pair} was ever judged; see dreamnet autonomy list.`);
}
