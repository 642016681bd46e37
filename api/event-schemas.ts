import type { Database } from '../db/client.ts';
import { type EventSchemaRow, schemasInForce, schemaStamp, stampOfNone } from '../db/event-schemas.ts';
import type { StatedEvent } from '../db/events.ts';
import { compileSchema, type SchemaCheck } from '../domain/event-schema.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { type Cache, createCache } from './cache.ts';

/** The schemas in force by type; each is compiled when the first event of its type comes. */
type InForce = Map<string, { row: EventSchemaRow; check: () => SchemaCheck | Refusal }>;

export type EventSchemas = {
  /** Passes an event on with what its schema says of it, or refuses it. */
  judge(): Promise<(event: StatedEvent) => StatedEvent | Refusal>;
  forget(): void;
};

/** What events are checked against, at most a second old; while no type has a schema it costs an event nothing. */
export function createEventSchemas({ db, log }: Database): EventSchemas {
  let known: { stamp: string; inForce: InForce } = { stamp: stampOfNone, inForce: new Map() };

  const cache: Cache<InForce> = createCache(async () => {
    // Read first: what is changed between the two reads is read again next time.
    const stamp = await schemaStamp(log);
    if (stamp !== known.stamp) {
      const rows = await schemasInForce(db);
      known = { stamp, inForce: new Map(rows.map((row) => [row.type, { row, check: compileOnce(row) }])) };
    }
    return known.inForce;
  });

  return {
    forget: () => cache.forget(),
    async judge() {
      const inForce = await cache.current();
      return (event) => {
        const found = inForce.get(event.type);
        return found === undefined ? event : judgeBy(found.row, found.check(), event);
      };
    },
  };
}

function compileOnce(row: EventSchemaRow): () => SchemaCheck | Refusal {
  let made: SchemaCheck | Refusal | null = null;
  return () => (made ??= compileSchema(row.schema));
}

function judgeBy(
  row: EventSchemaRow,
  check: SchemaCheck | Refusal,
  event: StatedEvent,
): StatedEvent | Refusal {
  const { type, version, mode } = row;
  // It was compiled before it was stored; only a newer validator can refuse it now.
  if (isRefusal(check)) throw new Error(`version ${version} of the schema of ${type}: ${check.message}`);
  const problem = check(event.payload);
  if (problem === null) return { ...event, schemaVersion: version };
  if (mode === 'warn')
    return {
      ...event,
      schemaVersion: version,
      metadata: { ...event.metadata, schemaWarning: { version, ...problem } },
    };
  return refuse(
    'INVALID',
    `${problem.path}: ${problem.message} (version ${version} of the schema of ${type}).`,
    { in: 'body', path: problem.path, schema: { type, version } },
  );
}
