import { sql, type SQL } from 'drizzle-orm';
import { categoryOf, defaultPriority, type NewEvent } from '../domain/events.ts';
import { canonical, type JsonObject } from '../domain/json.ts';
import type { Db } from './client.ts';
import { derivedId } from './ids.ts';

export type AuditStatement = {
  /** Principal id, or the name of the part of this system that acted. */
  actor: string;
  action: string;
  subjectKind: string;
  subjectId: string;
  detail?: JsonObject;
};

export type Change = {
  /** Unique in the audit: a repetition of the same operation is answered with the first one's result. */
  opKey: string;
  /** An INSERT or conditional UPDATE of at most one row, `returning *`; the other parts see it as `changed`. */
  write: SQL;
  /** More rows of the same change, each a data-modifying statement that selects from `changed`. */
  also?: SQL[];
  events?: NewEvent[];
  audit: AuditStatement;
  /** JSON object over `changed`, kept small: it is stored as the recorded outcome. */
  result?: SQL;
};

export type ChangeOutcome<T> =
  | { status: 'changed'; result: T }
  /** This operation was done before; `result` is what it answered then. */
  | { status: 'repeated'; result: T }
  /** The row was not in the expected state; nothing was written. */
  | { status: 'unchanged' };

/**
 * One state change as one statement: the row, its events and its audit entry stand or fall together (DESIGN 7).
 * There is no transaction around it, because postgres.js can commit the rest of one on a fresh connection after the
 * first has died (TRUST 0).
 */
export async function change<T extends JsonObject>(db: Db, spec: Change): Promise<ChangeOutcome<T>> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await changeOnce<T>(db, spec);
    } catch (error) {
      // A decision locks approval, then task; a cancellation task, then approval. Who lost has written nothing.
      if (tries === maxTries || databaseError(error)?.code !== '40P01') throw error;
    }
  }
}

const maxTries = 5;

async function changeOnce<T extends JsonObject>(db: Db, spec: Change): Promise<ChangeOutcome<T>> {
  try {
    const [row] = await db.execute(statementOf(spec));
    // The same operation may have changed the row while this one waited for it: this statement cannot see that yet.
    if (row === undefined) {
      const earlier = await recordedResult<T>(db, spec.opKey);
      return earlier === null ? { status: 'unchanged' } : { status: 'repeated', result: earlier };
    }
    return { status: row.status === 'changed' ? 'changed' : 'repeated', result: row.result as T };
  } catch (error) {
    const earlier = isRepeatedOperation(error) ? await recordedResult<T>(db, spec.opKey) : null;
    if (earlier === null) throw error;
    return { status: 'repeated', result: earlier };
  }
}

/** What an earlier operation of this key answered; null when there was none. */
export async function recordedResult<T>(db: Db, opKey: string): Promise<T | null> {
  const [row] = await db.execute(
    sql`select result::jsonb as result from audit_entries where op_key = ${opKey}`,
  );
  return row === undefined ? null : (row.result as T);
}

function statementOf(spec: Change): SQL {
  const extras = (spec.also ?? []).map(
    (part, index) => sql`, ${sql.identifier(`extra_${index}`)} as (${part})`,
  );
  const { audit } = spec;
  const body = canonical({
    ...statement(audit),
    outcome: 'ok',
    opKey: spec.opKey,
    detail: audit.detail ?? {},
  });
  return sql`
    with prior as (select result from audit_entries where op_key = ${spec.opKey}),
    changed as (${spec.write})${sql.join(extras)},
    ${logEvents(spec)},
    audited as (
      insert into audit_entries (op_key, actor, action, subject_kind, subject_id, outcome, body, result)
      select ${spec.opKey}, ${audit.actor}, ${audit.action}, ${audit.subjectKind}, ${audit.subjectId}, 'ok', ${body},
             (${spec.result ?? sql`'{}'::jsonb`})::text
      -- The count orders the writes: the chain lock is taken last and held shortest.
      from changed, (select count(*) from logged) as after_events
      returning result
    )
    select 'changed' as status, result::jsonb as result from audited
    union all
    select 'repeated', result::jsonb from prior where not exists (select from audited)`;
}

/** The events of a statement, written once `changed` has its row. */
function logEvents(spec: Pick<Change, 'opKey' | 'events'>): SQL {
  return sql`
    stated as (
      select e.* from changed, jsonb_to_recordset(${eventRows(spec)}::text::jsonb) as e(
        place int, id text, type text, category text, source_type text, source_id text, severity text, priority text,
        payload jsonb, correlation_id text, causation_id text)
    ),
    keyed as (insert into event_keys (id) select id from stated on conflict do nothing returning id),
    logged as (
      insert into events (id, type, category, source_type, source_id, severity, priority, payload, metadata,
                          correlation_id, causation_id, occurred_at)
      select s.id, s.type, s.category, s.source_type, s.source_id, s.severity, s.priority, s.payload, '{}'::jsonb,
             s.correlation_id, s.causation_id, now()
      from stated s join keyed using (id)
      order by s.place
      returning seq
    )`;
}

function eventRows(spec: Pick<Change, 'opKey' | 'events'>): string {
  const rows = (spec.events ?? []).map((event, index) => {
    const severity = event.severity ?? 'info';
    return {
      place: index,
      id: event.id ?? derivedId('evt', `${spec.opKey}#${index}`),
      type: event.type,
      category: categoryOf(event.type),
      source_type: event.source.type,
      source_id: event.source.id,
      severity,
      priority: event.priority ?? defaultPriority(severity),
      payload: event.payload,
      correlation_id: event.correlationId ?? null,
      causation_id: event.causationId ?? null,
    };
  });
  return JSON.stringify(rows);
}

/** Records a refusal: an audit entry of its own, without a changed row (TRUST 4.47), and what it makes known. */
export async function auditRefusal(
  db: Db,
  opKey: string,
  audit: AuditStatement,
  refusal: { refused: string; message: string },
  events: NewEvent[] = [],
): Promise<void> {
  const detail = { ...audit.detail, code: refusal.refused, message: refusal.message };
  const body = canonical({ ...statement(audit), outcome: 'refused', opKey, detail });
  try {
    // No "on conflict do nothing": the chain trigger has moved the head by the time a conflict is found.
    await db.execute(sql`
      with changed as (select 1), ${logEvents({ opKey, events })}
      insert into audit_entries (op_key, actor, action, subject_kind, subject_id, outcome, body, result)
      select ${opKey}, ${audit.actor}, ${audit.action}, ${audit.subjectKind}, ${audit.subjectId}, 'refused', ${body}, '{}'
      from (select count(*) from logged) as after_events`);
  } catch (error) {
    if (!isRepeatedOperation(error)) throw error;
  }
}

function statement(audit: AuditStatement): JsonObject {
  return {
    actor: audit.actor,
    action: audit.action,
    subjectKind: audit.subjectKind,
    subjectId: audit.subjectId,
  };
}

function isRepeatedOperation(error: unknown): boolean {
  return databaseError(error)?.constraint_name === 'audit_entries_op_key_unique';
}

/** What Postgres said; drizzle puts an error of its own around it. */
export function databaseError(error: unknown): { code?: unknown; constraint_name?: unknown } | null {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return typeof cause === 'object' ? cause : null;
}

/** `now()` moved by some milliseconds, by the database's clock. */
export function fromNow(ms: number): SQL {
  return sql`now() + make_interval(secs => ${ms / 1000}::double precision)`;
}
