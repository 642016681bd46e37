import { asc, eq, sql, type SQL } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import {
  epochFor,
  holdFor,
  type HoldLevel,
  type KillSwitch,
  stopFor,
  type SwitchAction,
  type Work,
} from '../domain/kill-switch.ts';
import { refuse, type Refusal } from '../domain/refusal.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { killSwitches, killSwitchHead, principals, taskAttempts, tasks } from './schema/index.ts';

/** All switches at one moment; `epoch` names the moment, so that a statement can ask whether it still lasts. */
export type SwitchBoard = { epoch: number; switches: KillSwitch[] };

export async function readSwitches(db: Db): Promise<SwitchBoard> {
  const rows = await db
    .select({ head: killSwitchHead.epoch, row: killSwitches, name: principals.name })
    .from(killSwitchHead)
    .leftJoin(killSwitches, sql`true`)
    .leftJoin(principals, eq(principals.id, killSwitches.engagedBy));
  return {
    epoch: rows[0]?.head ?? 0,
    switches: rows.flatMap(({ row, name }) => {
      if (row === null) return [];
      const { scope, level, epoch, reason, engagedBy, engagedAt } = row;
      return [
        { scope, level, epoch, reason, engagedBy: name ?? engagedBy, engagedAt: engagedAt.toISOString() },
      ];
    }),
  };
}

/**
 * True in a statement while no switch was engaged since `board` was read. The statement and an engage shut each other
 * out until they commit, so that nothing begins beside a switch that it was not checked against.
 */
export function isSameBoard(board: SwitchBoard): SQL {
  return sql`(select kill_switch_epoch()) = ${board.epoch}::bigint`;
}

/** Refuses what the switches over this work do not allow now. */
export async function holdOn(db: Db, work: Work, action: SwitchAction): Promise<Refusal | null> {
  return holdFor((await readSwitches(db)).switches, work, action);
}

/** Refuses a yes while the switches over the approval's work do not allow it; an outcome may always be told. */
export function holdOnApproval(
  board: SwitchBoard,
  approval: { kind: string; target: string },
): Refusal | null {
  return approval.kind === 'outcome' ? null : holdFor(board.switches, approval, 'approve');
}

/** The fencing epoch of this work now. */
export async function epochOf(db: Db, work: Work): Promise<number> {
  return epochFor((await readSwitches(db)).switches, work);
}

/** Why the running attempt of a task has to stop; null while it may go on, or nothing runs. */
export async function findStop(db: Db, taskId: string): Promise<{ attempt: number; because: string } | null> {
  const [[running], board] = await Promise.all([
    db
      .select({ attempt: taskAttempts.attempt, epoch: taskAttempts.epoch, target: tasks.target })
      .from(taskAttempts)
      .innerJoin(
        tasks,
        sql`${tasks.id} = ${taskAttempts.taskId} and ${tasks.attempt} = ${taskAttempts.attempt}`,
      )
      .where(
        sql`${tasks.id} = ${taskId} and ${tasks.state} = 'running' and ${taskAttempts.state} = 'intent'`,
      ),
    readSwitches(db),
  ]);
  if (running === undefined) return null;
  const because = stopFor(board.switches, { kind: 'task', target: running.target }, running.epoch);
  return because === null ? null : { attempt: running.attempt, because };
}

type Engaging = { scope: string; level: HoldLevel; reason: string; actor: string; opKey: string };

/** Engages a switch, or changes the level of an engaged one: each time with a new epoch, which fences what came before. */
export async function engageSwitch(db: Db, input: Engaging): Promise<{ epoch: number }> {
  const { scope, level, reason, actor } = input;
  const outcome = await change<{ epoch: number }>(db, {
    opKey: input.opKey,
    write: sql`
      update kill_switch_head set epoch = epoch + 1
      where (select true from pg_advisory_xact_lock(hashtext('dreamnet.kill_switch')))
      returning epoch`,
    also: [
      sql`
        insert into kill_switches (scope, level, epoch, reason, engaged_by, engaged_at)
        select ${scope}, ${level}, changed.epoch, ${reason}, ${actor}, now() from changed
        on conflict (scope) do update
        set level = excluded.level, epoch = excluded.epoch, reason = excluded.reason, engaged_by = excluded.engaged_by,
            engaged_at = excluded.engaged_at, released_by = null, released_at = null, release_reason = null`,
    ],
    events: [
      {
        type: eventTypes.killSwitchEngaged,
        severity: 'critical',
        source: { type: 'system', id: 'kill-switch' },
        payload: { title: `Kill switch over ${scope}: ${level}`, scope, level, reason, by: actor },
        correlationId: `kill-switch:${scope}`,
      },
    ],
    audit: {
      actor,
      action: 'kill-switch.engage',
      subjectKind: 'kill-switch',
      subjectId: scope,
      detail: { level, reason },
    },
    result: sql`jsonb_build_object('epoch', changed.epoch)`,
  });
  if (outcome.status === 'unchanged') throw new Error('kill_switch_head has no row; run `npm run migrate`');
  return outcome.result;
}

type Releasing = { scope: string; reason: string; perMinute: number; actor: string; opKey: string };

/** Releases an engaged switch; what it parked is let go by the relay, so many a minute. Its epoch stays. */
export async function releaseSwitch(db: Db, input: Releasing): Promise<{ epoch: number } | Refusal> {
  const { scope, reason, perMinute, actor } = input;
  const outcome = await change<{ epoch: number }>(db, {
    opKey: input.opKey,
    write: db
      .update(killSwitches)
      .set({
        level: 'dispatch',
        releasedBy: actor,
        releasedAt: sql`now()`,
        releaseReason: reason,
        releasePerMinute: perMinute,
        drained: 0,
      })
      .where(sql`${killSwitches.scope} = ${scope} and ${killSwitches.level} <> 'dispatch'`)
      .returning()
      .getSQL(),
    events: [
      {
        type: eventTypes.killSwitchReleased,
        severity: 'warning',
        source: { type: 'system', id: 'kill-switch' },
        payload: { title: `Kill switch over ${scope} released`, scope, reason, by: actor, perMinute },
        correlationId: `kill-switch:${scope}`,
      },
    ],
    audit: {
      actor,
      action: 'kill-switch.release',
      subjectKind: 'kill-switch',
      subjectId: scope,
      detail: { reason, perMinute },
    },
    result: sql`jsonb_build_object('epoch', changed.epoch)`,
  });
  if (outcome.status !== 'unchanged') return outcome.result;
  const known = await listSwitches(db);
  const engaged = known.filter(({ level }) => level !== 'dispatch').map((row) => row.scope);
  return refuse(
    known.some((row) => row.scope === scope) ? 'CONFLICT' : 'NOT_FOUND',
    `No switch over ${scope} is engaged; engaged: ${engaged.join(', ') || 'none'}.`,
  );
}

export type KillSwitchRow = typeof killSwitches.$inferSelect;

/** Every scope that was ever switched, the newest engagement first. */
export async function listSwitches(db: Db): Promise<KillSwitchRow[]> {
  return db
    .select()
    .from(killSwitches)
    .orderBy(sql`${killSwitches.epoch} desc`, asc(killSwitches.scope));
}

/** `coversWork` for tasks, as SQL: true where the switch `k` covers a task with this target. */
export function coversTask(scope: SQL, target: SQL): SQL {
  return sql`(
    ${scope} in ('all', 'kind:task', 'target:' || ${target})
    or ${scope} like 'target:%*' and starts_with('target:' || ${target}, left(${scope}, -1)))`;
}
