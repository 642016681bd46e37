import { and, asc, eq, gt, type SQL, sql } from 'drizzle-orm';
import { eventTypes, type NewEvent, type Severity } from '../domain/events.ts';
import type { HookForm, HookMapping, HookScheme } from '../domain/hook.ts';
import type { JsonObject } from '../domain/json.ts';
import { change, type ChangeOutcome, fromNow } from './change.ts';
import type { Db, Sql } from './client.ts';
import { hooks } from './schema/index.ts';

export type HookRow = typeof hooks.$inferSelect;

export async function getHook(db: Db, id: string): Promise<HookRow | null> {
  const [row] = await db.select().from(hooks).where(eq(hooks.id, id));
  return row ?? null;
}

export async function listHooks(db: Db, after: string, limit: number): Promise<HookRow[]> {
  return db.select().from(hooks).where(gt(hooks.id, after)).orderBy(asc(hooks.id)).limit(limit);
}

export type NewHook = {
  id: string;
  name: string;
  scheme: HookScheme;
  form: HookForm;
  eventType: string;
  severity: Severity;
  mapping: HookMapping;
  perMinute: number;
  sealed: string;
};
type By = { actor: string; opKey: string };

/** Stores a hook; unchanged when its name is taken. */
export async function createHook(db: Db, input: NewHook & By): Promise<ChangeOutcome<JsonObject>> {
  const { opKey, actor, ...hook } = input;
  const { id, sealed: _secret, ...said } = hook;
  return change(db, {
    opKey,
    write: db
      .insert(hooks)
      .values({ ...hook, owner: actor })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    ...recordOf({ id, actor }, 'created', said),
  });
}

async function updateHook(
  db: Db,
  input: By & { id: string; set: Parameters<ReturnType<Db['update']>['set']>[0]; when: SQL | undefined },
  what: string,
  detail: JsonObject = {},
): Promise<ChangeOutcome<JsonObject>> {
  const { id, actor, opKey } = input;
  return change(db, {
    opKey,
    write: db
      .update(hooks)
      .set({ ...input.set, updatedAt: sql`now()` })
      .where(and(eq(hooks.id, id), input.when))
      .returning()
      .getSQL(),
    ...recordOf({ id, actor }, what, detail),
  });
}

/** Switches a hook on or off; unchanged when it already is. */
export async function setHookEnabled(
  db: Db,
  input: By & { id: string; enabled: boolean },
): Promise<ChangeOutcome<JsonObject>> {
  const { enabled, ...by } = input;
  const when = eq(hooks.enabled, !enabled);
  return updateHook(db, { ...by, set: { enabled }, when }, enabled ? 'enabled' : 'disabled');
}

/** Gives a hook another secret; the one before it counts until the overlap is over. */
export async function rotateHookSecret(
  db: Db,
  input: By & { id: string; fromVersion: number; sealed: string; overlapMs: number },
): Promise<ChangeOutcome<JsonObject>> {
  const { fromVersion, sealed, overlapMs, ...by } = input;
  const set = {
    sealed,
    secretVersion: fromVersion + 1,
    previousSealed: overlapMs === 0 ? null : sql`${hooks.sealed}`,
    previousSecretUntil: overlapMs === 0 ? null : fromNow(overlapMs),
  };
  const when = eq(hooks.secretVersion, fromVersion);
  return updateHook(db, { ...by, set, when }, 'secret-rotated', { version: fromVersion + 1, overlapMs });
}

/** Removes a hook; its events stay in the log. */
export async function removeHook(db: Db, input: By & { id: string }): Promise<ChangeOutcome<JsonObject>> {
  const { id, actor, opKey } = input;
  return change(db, {
    opKey,
    write: db.delete(hooks).where(eq(hooks.id, id)).returning().getSQL(),
    ...recordOf({ id, actor }, 'removed', {}),
  });
}

function recordOf(
  { id, actor }: { id: string; actor: string },
  what: string,
  detail: JsonObject,
): {
  events: NewEvent[];
  audit: { actor: string; action: string; subjectKind: string; subjectId: string; detail: JsonObject };
  result: SQL;
} {
  return {
    events: [
      {
        type: eventTypes.hookChanged,
        source: { type: 'system', id: 'hooks' },
        payload: { hookId: id, change: what, by: actor },
      },
    ],
    audit: { actor, action: `hook.${what}`, subjectKind: 'hook', subjectId: id, detail },
    result: sql`jsonb_build_object('id', changed.id)`,
  };
}

/** How many messages hooks took and refused since the last time. */
export type HookCount = { id: string; received: number; refused: number };

/** Adds to the counts of hooks; the log and the audit are the record, these are for who looks at a hook. */
export async function addHookCounts(log: Sql, counts: HookCount[]): Promise<void> {
  await log`
    update hooks h
    set received = h.received + c.received, refused = h.refused + c.refused,
        last_received_at = case when c.received > 0 then now() else h.last_received_at end,
        last_refused_at = case when c.refused > 0 then now() else h.last_refused_at end
    from jsonb_to_recordset(${JSON.stringify(counts)}::text::jsonb) as c(id text, received bigint, refused bigint)
    where h.id = c.id`;
}
