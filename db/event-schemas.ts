import { and, asc, desc, eq, gt, inArray, or, sql } from 'drizzle-orm';
import type { SchemaMode } from '../domain/event-schema-mode.ts';
import { eventTypes, type NewEvent } from '../domain/events.ts';
import type { JsonObject } from '../domain/json.ts';
import { change, type ChangeOutcome } from './change.ts';
import type { Db, Sql } from './client.ts';
import { eventSchemas } from './schema/index.ts';

export type EventSchemaRow = typeof eventSchemas.$inferSelect;
type By = { actor: string; opKey: string };
type Version = { type: string; version: number };

/** The versions in force: of each type the newest that is enabled. */
export async function schemasInForce(db: Db): Promise<EventSchemaRow[]> {
  const enabled = await db
    .select()
    .from(eventSchemas)
    .where(eq(eventSchemas.enabled, true))
    .orderBy(asc(eventSchemas.type), asc(eventSchemas.version));
  return [...new Map(enabled.map((row) => [row.type, row])).values()];
}

/** The stamp while no schema is in force. */
export const stampOfNone = '0:0';

/** Another text whenever the versions in force are others; cheap enough to be asked each second. */
export async function schemaStamp(log: Sql): Promise<string> {
  // xmin is the transaction that wrote the row last, so a change shows whatever the order of commits was.
  const [row] = await log<{ stamp: string }[]>`
    select count(*)::text || ':' || coalesce(sum(xmin::text::bigint), 0)::text as stamp
    from event_schemas where enabled`;
  return row?.stamp ?? stampOfNone;
}

export async function listEventSchemas(
  db: Db,
  filter: { type?: string | undefined; enabled?: boolean | undefined },
  after: Version | null,
  limit: number,
): Promise<EventSchemaRow[]> {
  const { type, version, enabled } = eventSchemas;
  return db
    .select()
    .from(eventSchemas)
    .where(
      and(
        filter.type === undefined ? undefined : eq(type, filter.type),
        filter.enabled === undefined ? undefined : eq(enabled, filter.enabled),
        after === null
          ? undefined
          : or(gt(type, after.type), and(eq(type, after.type), gt(version, after.version))),
      ),
    )
    .orderBy(asc(type), asc(version))
    .limit(limit);
}

/** The versions of a type, newest first. */
export async function versionsOf(db: Db, type: string, limit = 100): Promise<EventSchemaRow[]> {
  return db
    .select()
    .from(eventSchemas)
    .where(eq(eventSchemas.type, type))
    .orderBy(desc(eventSchemas.version))
    .limit(limit);
}

/** Of these types those that have a version in force. */
export async function typesWithSchema(db: Db, types: string[]): Promise<Set<string>> {
  if (types.length === 0) return new Set();
  const rows = await db
    .select({ type: eventSchemas.type })
    .from(eventSchemas)
    .where(and(inArray(eventSchemas.type, types), eq(eventSchemas.enabled, true)));
  return new Set(rows.map(({ type }) => type));
}

function changed(payload: JsonObject): NewEvent {
  return { type: eventTypes.eventSchemaChanged, source: { type: 'system', id: 'bus' }, payload };
}

const versionOnly = sql`jsonb_build_object('type', changed.type, 'version', changed.version)`;
/** Of several enabled versions the newest would count; the others are switched off, so that the list says so too. */
const othersOff = sql`
  update event_schemas set enabled = false, updated_at = now()
  from changed
  where changed.enabled and event_schemas.type = changed.type and event_schemas.enabled
    and event_schemas.version <> changed.version`;

export type NewEventSchema = {
  type: string;
  /** The next free one, as `versionsOf` tells; taken by somebody else it is a conflict. */
  version: number;
  description: string;
  schema: JsonObject;
  mode: SchemaMode;
  enabled: boolean;
};

/** Stores a version; an enabled one takes the place of the one in force. Unchanged when its number is taken. */
export async function addEventSchema(db: Db, input: NewEventSchema & By): Promise<ChangeOutcome<Version>> {
  const { actor, opKey, ...row } = input;
  const { type, version, mode, enabled } = row;
  return change(db, {
    opKey,
    write: db
      .insert(eventSchemas)
      .values({ ...row, owner: actor })
      .onConflictDoNothing()
      .returning()
      .getSQL(),
    also: [othersOff],
    events: [changed({ eventType: type, version, change: 'added', mode, enabled, by: actor })],
    audit: {
      actor,
      action: 'event-schema.add',
      subjectKind: 'event-schema',
      subjectId: type,
      detail: { version, mode, enabled },
    },
    result: versionOnly,
  });
}

/** Changes the mode of a version, or puts it in force or out of it. Unchanged when there is none. */
export async function changeEventSchema(
  db: Db,
  input: Version & { mode?: SchemaMode | undefined; enabled?: boolean | undefined } & By,
): Promise<ChangeOutcome<Version>> {
  const { type, version, mode, enabled, actor, opKey } = input;
  const said = { ...(mode === undefined ? {} : { mode }), ...(enabled === undefined ? {} : { enabled }) };
  return change(db, {
    opKey,
    write: db
      .update(eventSchemas)
      .set({ ...said, updatedAt: sql`now()` })
      .where(and(eq(eventSchemas.type, type), eq(eventSchemas.version, version)))
      .returning()
      .getSQL(),
    also: [othersOff],
    events: [changed({ eventType: type, version, change: 'changed', ...said, by: actor })],
    audit: {
      actor,
      action: 'event-schema.change',
      subjectKind: 'event-schema',
      subjectId: type,
      detail: { version, ...said },
    },
    result: versionOnly,
  });
}
