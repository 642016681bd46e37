import { and, asc, eq, gt, type SQL, sql } from 'drizzle-orm';
import type { ChannelConfig, ChannelKind } from '../domain/channel.ts';
import { eventTypes, type NewEvent, type Severity } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { change, type ChangeOutcome, fromNow } from './change.ts';
import type { Db } from './client.ts';
import { channels } from './schema/index.ts';

export type ChannelRow = typeof channels.$inferSelect;

export async function getChannel(db: Db, id: string): Promise<ChannelRow | null> {
  const [row] = await db.select().from(channels).where(eq(channels.id, id));
  return row ?? null;
}

export async function listChannels(db: Db, after: string, limit: number): Promise<ChannelRow[]> {
  return db.select().from(channels).where(gt(channels.id, after)).orderBy(asc(channels.id)).limit(limit);
}

export type NewChannel = {
  id: string;
  name: string;
  kind: ChannelKind;
  config: ChannelConfig;
  sealed: string | null;
  topics: string[];
  minSeverity: Severity;
  cooldownMs: number;
};
type By = { actor: string; opKey: string };

function changed(id: string, payload: JsonObject): NewEvent {
  return {
    type: eventTypes.channelChanged,
    source: { type: 'system', id: 'notifications' },
    payload: { channelId: id, ...payload },
  };
}

const idOnly = sql`jsonb_build_object('id', changed.id)`;

/** Stores a channel; unchanged when its name is taken. */
export async function createChannel(db: Db, input: NewChannel & By): Promise<ChangeOutcome<{ id: string }>> {
  const { opKey, actor, ...channel } = input;
  const { id, name, kind, topics, minSeverity } = channel;
  return change(db, {
    opKey,
    write: db
      .insert(channels)
      .values({ ...channel, createdBy: actor })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    events: [changed(id, { change: 'created', name, kind, by: actor })],
    audit: {
      actor,
      action: 'channel.create',
      subjectKind: 'channel',
      subjectId: id,
      detail: { name, kind, topics, minSeverity, config: forAudit(channel.config) },
    },
    result: idOnly,
  });
}

// The audit says where messages go; certificates are long and say nothing to a reader.
function forAudit(config: ChannelConfig): JsonObject {
  return 'host' in config ? { ...config, ca: config.ca === null ? null : 'given' } : { ...config };
}

async function updateChannel(
  db: Db,
  input: By & { id: string; set: Parameters<ReturnType<Db['update']>['set']>[0]; when?: SQL },
  said: { action: string; change: string; detail?: JsonObject },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, actor, opKey } = input;
  return change(db, {
    opKey,
    write: db
      .update(channels)
      .set({ ...input.set, updatedAt: sql`now()` })
      .where(and(eq(channels.id, id), input.when))
      .returning()
      .getSQL(),
    events: [changed(id, { change: said.change, by: actor })],
    audit: {
      actor,
      action: said.action,
      subjectKind: 'channel',
      subjectId: id,
      ...(said.detail === undefined ? {} : { detail: said.detail }),
    },
    result: idOnly,
  });
}

export type ChannelEdit = Partial<
  Pick<NewChannel, 'name' | 'config' | 'sealed' | 'topics' | 'minSeverity' | 'cooldownMs'>
>;

/** Changes what is given of a channel; unchanged when somebody changed it since `seen`. */
export async function editChannel(
  db: Db,
  input: By & { id: string; seen: Date; edit: ChannelEdit },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, actor, opKey, seen, edit } = input;
  const { config, sealed, ...plain } = edit;
  const detail: JsonObject = {
    ...plain,
    ...(config === undefined ? {} : { config: forAudit(config) }),
    ...(sealed === undefined ? {} : { secret: 'given anew' }),
  };
  return updateChannel(
    db,
    { id, actor, opKey, set: edit, when: eq(channels.updatedAt, seen) },
    { action: 'channel.change', change: 'changed', detail },
  );
}

/** Switches a channel on or off; unchanged when it already is. */
export async function setChannelEnabled(
  db: Db,
  input: By & { id: string; enabled: boolean },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, actor, opKey, enabled } = input;
  const word = enabled ? 'enable' : 'disable';
  return updateChannel(
    db,
    { id, actor, opKey, set: { enabled }, when: eq(channels.enabled, !enabled) },
    { action: `channel.${word}`, change: `${word}d` },
  );
}

/** Makes the next signing secret; the one before it signs too until the overlap is over. */
export async function rotateChannelSecret(
  db: Db,
  input: By & { id: string; fromVersion: number; overlapMs: number },
): Promise<ChangeOutcome<{ id: string }>> {
  const { id, actor, opKey, fromVersion, overlapMs } = input;
  return updateChannel(
    db,
    {
      ...{ id, actor, opKey },
      set: { secretVersion: fromVersion + 1, previousSecretUntil: fromNow(overlapMs) },
      when: eq(channels.secretVersion, fromVersion),
    },
    {
      action: 'channel.rotate-secret',
      change: 'secret-rotated',
      detail: { version: fromVersion + 1, overlapMs },
    },
  );
}
