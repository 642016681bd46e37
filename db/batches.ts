import type { Attempt } from '../domain/delivery.ts';
import type { Sql } from './client.ts';
import { type FailureNote, noteFailures } from './dead-letters.ts';
import { heldLanes, type LaneMove } from './lanes.ts';

/** A delivery that gets a row of its own: it failed, it is to be made apart or later, or it was given up at once. */
export type NewDelivery = {
  id: string;
  eventId: string;
  eventRecordedAt: string;
  part: string;
  replayId: string | null;
  sideEffects: boolean;
  state: 'pending' | 'failed';
  attempts: number;
  /** A moment, or a time from now. */
  dueAt: string | null;
  dueInMs: number;
  deadlineAt: string | null;
  history: Attempt[];
  lastError: string | null;
};

export type BatchEnd = {
  key: string;
  /** The lane of the batch; others may move along. */
  lane: string;
  moves: LaneMove[];
  deliveries: NewDelivery[];
  notes: FailureNote[];
};

/** The version of the subscription after the batch, and whether it was paused meanwhile. */
export type Committed = { version: number; isPaused: boolean };

/**
 * Ends a batch in one statement: the cursor passes it, and what was not done in it is kept. Null for a consumer whose
 * lease was taken over: then nothing is written.
 */
export async function commitBatch(log: Sql, batch: BatchEnd): Promise<Committed | null> {
  const { key, lane, moves, deliveries, notes } = batch;
  // Most batches leave nothing behind; a statement that names the log would announce new events to everybody.
  const [row] =
    deliveries.length === 0
      ? await log<Committed[]>`
          with ${heldLanes(log, key, moves)}
          select version, is_paused as "isPaused" from held where lane = ${lane}`
      : await log<Committed[]>`
          with ${heldLanes(log, key, moves)},
          mine as (select key from held where lane = ${lane}),
          written as (${insertDeliveries(log, log`mine`, deliveries)}),
          ${noteFailures(log, key, notes)}
          select version, is_paused as "isPaused" from held where lane = ${lane}`;
  return row ?? null;
}

/**
 * Inserts deliveries for the subscription that `from` has as `key`, once if it has a row at all. One that has ended begins
 * anew: its event came by again after a rewind. One that is on its way stays as it is.
 */
export function insertDeliveries(log: Sql, from: ReturnType<Sql>, deliveries: NewDelivery[]) {
  const rows = deliveries.map((one) => ({
    id: one.id,
    event_id: one.eventId,
    event_recorded_at: one.eventRecordedAt,
    part: one.part,
    replay_id: one.replayId,
    side_effects: one.sideEffects,
    state: one.state,
    attempts: one.attempts,
    due_at: one.dueAt,
    due_in_ms: one.dueInMs,
    deadline_at: one.deadlineAt,
    history: one.history,
    last_error: one.lastError,
  }));
  return log`
    insert into deliveries as d (id, subscription, event_id, event_recorded_at, part, replay_id, side_effects, state,
                                 attempts, due_at, deadline_at, history, last_error, ended_at)
    select r.id, f.key, r.event_id, r.event_recorded_at, r.part, r.replay_id, r.side_effects, r.state, r.attempts,
           coalesce(r.due_at, now() + make_interval(secs => r.due_in_ms / 1000.0)), r.deadline_at, r.history,
           r.last_error, case when r.state = 'failed' then now() end
    from (select distinct key from ${from}) f,
         jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r(
           id text, event_id text, event_recorded_at timestamptz, part text, replay_id text, side_effects boolean,
           state text, attempts int, due_at timestamptz, due_in_ms float8, deadline_at timestamptz, history jsonb,
           last_error text)
    order by r.id
    on conflict (id) do update
    set state = excluded.state, attempts = excluded.attempts, due_at = excluded.due_at,
        deadline_at = excluded.deadline_at, claimed_until = null, history = d.history || excluded.history,
        last_error = excluded.last_error, previews = null, ended_at = excluded.ended_at
    where d.state in ('completed', 'failed')
    returning d.id, d.subscription, d.part, d.event_id, d.history, d.attempts`;
}
