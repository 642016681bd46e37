import { and, asc, desc, eq, gt, isNull, lt, or, sql, type SQL } from 'drizzle-orm';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { type ShieldRule, type Subject, threatLifetimeMs, type ThreatState } from '../domain/shield.ts';
import { change, type ChangeOutcome, fromNow } from './change.ts';
import type { Db } from './client.ts';
import { newId } from './ids.ts';
import { blocks, threats } from './schema/index.ts';

export type ThreatRow = typeof threats.$inferSelect;
export type BlockRow = typeof blocks.$inferSelect;

const source = { type: 'system', id: 'shield' } as const;

function blockPlaced(block: {
  id: string;
  subject: Omit<Subject, 'kind'> & { kind: string };
  reason: string;
  forMs: number;
  by: string;
}): NewEvent {
  const { id, subject, reason, forMs, by } = block;
  return {
    type: eventTypes.blockPlaced,
    source,
    severity: 'warning',
    payload: {
      blockId: id,
      subjectKind: subject.kind,
      subjectId: subject.id,
      address: subject.address,
      reason,
      forMs,
      by,
    },
  };
}

/** Raises a threat or renews the active one of this kind and subject, and places the rule's block, as one change. */
export async function raiseThreat(
  db: Db,
  input: { rule: ShieldRule; subject: Subject; evidence: JsonObject; opKey: string },
): Promise<ChangeOutcome<{ threatId: string }>> {
  const { rule, subject, evidence, opKey } = input;
  const id = newId('thr');
  const blockId = newId('blk');
  const { kind, severity, threshold, windowMs, blockMs } = rule;
  const reason = `${kind}: ${threshold} times ${rule.signal} within ${Math.round(windowMs / 60_000)} minutes`;
  const isBlocked = blockMs !== null && subject.kind !== 'system';
  return change(db, {
    opKey,
    write: db
      .insert(threats)
      .values({
        id,
        kind,
        subjectKind: subject.kind,
        subjectId: subject.id,
        address: subject.address ?? '',
        severity,
        count: threshold,
        state: 'active',
        evidence,
        expiresAt: fromNow(threatLifetimeMs),
      })
      .onConflictDoUpdate({
        target: [threats.kind, threats.subjectKind, threats.subjectId, threats.address],
        targetWhere: sql`state = 'active'`,
        set: {
          count: sql`${threats.count} + ${threshold}`,
          evidence,
          lastAt: sql`now()`,
          expiresAt: fromNow(threatLifetimeMs),
        },
      })
      .returning()
      .getSQL(),
    also: isBlocked
      ? [
          sql`insert into blocks (id, subject_kind, subject_id, address, reason, threat_id, placed_by, until)
              select ${blockId}, subject_kind, subject_id, nullif(address, ''), ${reason}, id, 'shield', ${fromNow(blockMs)}
              from changed`,
        ]
      : [],
    events: [
      {
        type: eventTypes.threatRaised,
        source,
        severity,
        payload: {
          kind,
          title: `Shield: ${reason}`,
          subjectKind: subject.kind,
          subjectId: subject.id,
          address: subject.address,
          reason,
          blocked: isBlocked,
          evidence,
        },
      },
      ...(isBlocked ? [blockPlaced({ id: blockId, subject, reason, forMs: blockMs, by: 'shield' })] : []),
    ],
    audit: {
      actor: 'shield',
      action: 'threat.raise',
      subjectKind: subject.kind,
      subjectId: subject.id,
      detail: { kind, severity, address: subject.address, blockId: isBlocked ? blockId : null, reason },
    },
    result: sql`jsonb_build_object('threatId', changed.id)`,
  });
}

/** Ends an active threat: closed by a person, or expired when nothing renewed it; its blocks end by themselves. */
export async function endThreat(
  db: Db,
  input: { id: string; state: Exclude<ThreatState, 'active'>; reason: string; actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, state, reason, actor, opKey } = input;
  const isDue = state === 'expired' ? lt(threats.expiresAt, sql`now()`) : undefined;
  return change(db, {
    opKey,
    write: db
      .update(threats)
      .set({ state, closedAt: sql`now()`, closedBy: actor, closedBecause: reason })
      .where(and(eq(threats.id, id), eq(threats.state, 'active'), isDue))
      .returning()
      .getSQL(),
    events: [{ type: eventTypes.threatClosed, source, payload: { threatId: id, state, reason, by: actor } }],
    audit: {
      actor,
      action: `threat.${state === 'closed' ? 'close' : 'expire'}`,
      subjectKind: 'threat',
      subjectId: id,
      detail: { reason },
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

export async function placeBlock(
  db: Db,
  input: {
    id: string;
    subject: { kind: BlockRow['subjectKind']; id: string; address: string | null };
    reason: string;
    forMs: number;
    actor: string;
  },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, subject, reason, forMs, actor } = input;
  return change(db, {
    opKey: `block:${id}`,
    write: db
      .insert(blocks)
      .values({
        id,
        subjectKind: subject.kind,
        subjectId: subject.id,
        address: subject.address,
        reason,
        placedBy: actor,
        until: fromNow(forMs),
      })
      .returning()
      .getSQL(),
    events: [blockPlaced({ id, subject, reason, forMs, by: actor })],
    audit: {
      actor,
      action: 'block.place',
      subjectKind: subject.kind,
      subjectId: subject.id,
      detail: { blockId: id, address: subject.address, reason, forMs },
    },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

/** Ends a block before its time; unchanged when it is unknown or over. */
export async function liftBlock(
  db: Db,
  input: { id: string; reason: string; actor: string; opKey: string },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, reason, actor, opKey } = input;
  return change(db, {
    opKey,
    write: db
      .update(blocks)
      .set({ liftedAt: sql`now()`, liftedBy: actor, liftedBecause: reason })
      .where(and(eq(blocks.id, id), isInForce()))
      .returning()
      .getSQL(),
    events: [{ type: eventTypes.blockLifted, source, payload: { blockId: id, reason, by: actor } }],
    audit: { actor, action: 'block.lift', subjectKind: 'block', subjectId: id, detail: { reason } },
    result: sql`jsonb_build_object('id', changed.id)`,
  });
}

function isInForce(): SQL | undefined {
  return and(isNull(blocks.liftedAt), gt(blocks.until, sql`now()`));
}

/** More than this many at once is an attack that a wall in front of this system has to stop. */
const maxInForce = 10_000;

export async function blocksInForce(db: Db): Promise<BlockRow[]> {
  return db.select().from(blocks).where(isInForce()).orderBy(asc(blocks.until)).limit(maxInForce);
}

export async function getBlock(db: Db, id: string): Promise<BlockRow | null> {
  const [row] = await db.select().from(blocks).where(eq(blocks.id, id));
  return row ?? null;
}

export async function getThreat(db: Db, id: string): Promise<ThreatRow | null> {
  const [row] = await db.select().from(threats).where(eq(threats.id, id));
  return row ?? null;
}

type Place = { at: Date; id: string } | null;

export async function listThreats(
  db: Db,
  filter: { state?: ThreatState | undefined },
  before: Place,
  limit: number,
): Promise<ThreatRow[]> {
  const { lastAt, id } = threats;
  return db
    .select()
    .from(threats)
    .where(
      and(
        filter.state === undefined ? undefined : eq(threats.state, filter.state),
        before === null
          ? undefined
          : or(lt(lastAt, before.at), and(eq(lastAt, before.at), lt(id, before.id))),
      ),
    )
    .orderBy(desc(lastAt), desc(id))
    .limit(limit);
}

export async function listBlocks(
  db: Db,
  filter: { inForce?: boolean | undefined },
  before: Place,
  limit: number,
): Promise<BlockRow[]> {
  const { createdAt, id } = blocks;
  return db
    .select()
    .from(blocks)
    .where(
      and(
        filter.inForce === true ? isInForce() : undefined,
        before === null
          ? undefined
          : or(lt(createdAt, before.at), and(eq(createdAt, before.at), lt(id, before.id))),
      ),
    )
    .orderBy(desc(createdAt), desc(id))
    .limit(limit);
}

/** Ids of active threats whose time is over. */
export async function overdueThreats(db: Db, limit: number): Promise<string[]> {
  const rows = await db
    .select({ id: threats.id })
    .from(threats)
    .where(and(eq(threats.state, 'active'), lt(threats.expiresAt, sql`now()`)))
    .limit(limit);
  return rows.map(({ id }) => id);
}
