import { and, asc, eq, gt, isNull, or, type SQL, sql } from 'drizzle-orm';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import type { EventMatch } from '../domain/subscription.ts';
import type { WormholeAction } from '../domain/wormhole.ts';
import { wormholePresets } from '../domain/wormhole-presets.ts';
import { change, type ChangeOutcome, fromNow } from './change.ts';
import type { Db } from './client.ts';
import { wormholes } from './schema/index.ts';

export type WormholeRow = typeof wormholes.$inferSelect;

const present = isNull(wormholes.removedAt);

export async function getWormhole(db: Db, id: string): Promise<WormholeRow | null> {
  const [row] = await db
    .select()
    .from(wormholes)
    .where(and(eq(wormholes.id, id), present));
  return row ?? null;
}

/** By id or by name: people know a wormhole by its name. */
export async function findWormhole(db: Db, idOrName: string): Promise<WormholeRow | null> {
  const [row] = await db
    .select()
    .from(wormholes)
    .where(and(or(eq(wormholes.id, idOrName), eq(wormholes.name, idOrName)), present))
    .orderBy(sql`${wormholes.id} = ${idOrName} desc`)
    .limit(1);
  return row ?? null;
}

export async function listWormholes(db: Db, after: string, limit: number): Promise<WormholeRow[]> {
  return db
    .select()
    .from(wormholes)
    .where(and(gt(wormholes.id, after), present))
    .orderBy(asc(wormholes.id))
    .limit(limit);
}

/** Each event is held against all of them, so there is a limit to how many there can be. */
export const maxEnabled = 200;

export async function enabledWormholes(db: Db): Promise<WormholeRow[]> {
  return db
    .select()
    .from(wormholes)
    .where(and(wormholes.enabled, present))
    .orderBy(asc(wormholes.id))
    .limit(maxEnabled);
}

/** Stores the presets that were never there; one that somebody changed or removed stays as they left it. */
export async function ensureWormholePresets(db: Db): Promise<void> {
  await db
    .insert(wormholes)
    .values(wormholePresets.map((preset) => ({ ...preset })))
    .onConflictDoNothing();
}

export type NewWormhole = {
  id: string;
  name: string;
  description: string;
  match: EventMatch;
  action: WormholeAction;
  sealed: string | null;
  maxHops: number;
};
type By = { actor: string; opKey: string };

function changed(id: string, payload: JsonObject): NewEvent {
  return {
    type: eventTypes.wormholeChanged,
    source: { type: 'system', id: 'bus' },
    payload: { wormholeId: id, ...payload },
  };
}

const summary = sql`jsonb_build_object('id', changed.id, 'version', changed.version)`;
type Changed = { id: string; version: number };

/** Stores a wormhole, switched off; unchanged when its name is taken. */
export async function createWormhole(db: Db, input: NewWormhole & By): Promise<ChangeOutcome<Changed>> {
  const { opKey, actor, ...wormhole } = input;
  const { id, name, match, action } = wormhole;
  return change(db, {
    opKey,
    write: db
      .insert(wormholes)
      .values({ ...wormhole, owner: actor })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [changed(id, { change: 'created', name, by: actor })],
    audit: {
      actor,
      action: 'wormhole.create',
      subjectKind: 'wormhole',
      subjectId: id,
      detail: { name, match, action },
    },
    result: summary,
  });
}

type Update = {
  set: Parameters<ReturnType<Db['update']>['set']>[0];
  when: SQL | undefined;
  action: string;
  said: JsonObject;
  detail: JsonObject;
};

async function update(db: Db, input: By & { id: string } & Update): Promise<ChangeOutcome<Changed>> {
  const { id, actor, opKey, set, when, action, said, detail } = input;
  return change(db, {
    opKey,
    write: db
      .update(wormholes)
      .set({ ...set, updatedAt: sql`now()` })
      .where(and(eq(wormholes.id, id), present, when))
      .returning()
      .getSQL(),
    events: [changed(id, { ...said, by: actor })],
    audit: { actor, action, subjectKind: 'wormhole', subjectId: id, detail },
    result: summary,
  });
}

export type WormholeEdit = Partial<Omit<NewWormhole, 'id'>>;

/** Writes the next version, switched off and owned by who wrote it; unchanged when the version is not `seen` any more. */
export async function changeWormhole(
  db: Db,
  input: By & { id: string; seen: number; edit: WormholeEdit },
): Promise<ChangeOutcome<Changed>> {
  const { id, actor, opKey, seen, edit } = input;
  const { sealed, ...plain } = edit;
  return update(db, {
    ...{ id, actor, opKey },
    set: { ...edit, version: seen + 1, enabled: false, enabledBy: null, enabledAt: null, owner: actor },
    when: eq(wormholes.version, seen),
    action: 'wormhole.change',
    said: { change: 'changed', version: seen + 1 },
    detail: { version: seen + 1, ...plain, ...(sealed === undefined ? {} : { address: 'given anew' }) },
  });
}

export type Enabling = By & { id: string; version: number; withoutBackTest: string | null };

/** How long a back-test counts for enabling the version it was run for. */
export const backTestValidMs = 3_600_000;

/** Switches a version on; unchanged when it is no longer the one, or was back-tested too long ago and no reason is given. */
export async function enableWormhole(db: Db, input: Enabling): Promise<ChangeOutcome<Changed>> {
  const { id, actor, opKey, version, withoutBackTest } = input;
  const isTested = and(
    eq(wormholes.backTestedVersion, version),
    sql`${wormholes.backTestedAt} > ${fromNow(-backTestValidMs)}`,
  );
  return update(db, {
    ...{ id, actor, opKey },
    set: {
      enabled: true,
      enabledBy: actor,
      enabledAt: sql`now()`,
      owner: sql`coalesce(${wormholes.owner}, ${actor})`,
    },
    when: and(
      eq(wormholes.version, version),
      eq(wormholes.enabled, false),
      withoutBackTest === null ? isTested : sql`true`,
    ),
    action: 'wormhole.enable',
    said: { change: 'enabled', version },
    detail: { version, withoutBackTest },
  });
}

/** Switches it off; unchanged when it is off. */
export async function disableWormhole(db: Db, input: By & { id: string }): Promise<ChangeOutcome<Changed>> {
  return update(db, {
    ...input,
    set: { enabled: false },
    when: eq(wormholes.enabled, true),
    action: 'wormhole.disable',
    said: { change: 'disabled' },
    detail: {},
  });
}

/** Takes it out of every list; its results stay until they are old. */
export async function removeWormhole(db: Db, input: By & { id: string }): Promise<ChangeOutcome<Changed>> {
  return update(db, {
    ...input,
    set: { enabled: false, removedAt: sql`now()`, sealed: null },
    when: undefined,
    action: 'wormhole.remove',
    said: { change: 'removed' },
    detail: {},
  });
}

/** Notes that a version was run over the recorded log; unchanged when it is no longer the one. */
export async function noteBackTest(
  db: Db,
  input: By & { id: string; version: number; detail: JsonObject },
): Promise<ChangeOutcome<Changed>> {
  const { id, version, actor, opKey, detail } = input;
  return change(db, {
    opKey,
    write: db
      .update(wormholes)
      .set({ backTestedVersion: version, backTestedAt: sql`now()` })
      .where(and(eq(wormholes.id, id), eq(wormholes.version, version), present))
      .returning()
      .getSQL(),
    audit: {
      actor,
      action: 'wormhole.back-test',
      subjectKind: 'wormhole',
      subjectId: id,
      detail: { version, ...detail },
    },
    result: summary,
  });
}
