import type { Attempt, Preview } from '../domain/delivery.ts';
import type { LoggedEvent } from '../domain/events.ts';
import { insertDeliveries, type NewDelivery } from './batches.ts';
import type { Sql } from './client.ts';
import { type FailureNote, noteFailures } from './dead-letters.ts';
import { loggedColumns } from './events.ts';

/** What a consumer claimed and does not renew falls to another one after this time. */
export const claimMs = 4_500;

export type ClaimedDelivery = {
  id: string;
  /** While it stands, this consumer alone ends the delivery. */
  epoch: number;
  eventId: string;
  eventRecordedAt: string;
  /** As the log has it, or else the dead letter it was redriven from; null when both have forgotten it. */
  event: LoggedEvent | null;
  part: string;
  replayId: string | null;
  sideEffects: boolean;
  /** How often it was tried before. */
  attempts: number;
  deadlineAt: string | null;
  isOverdue: boolean;
};

/** Takes due deliveries that nobody else holds, the longest due first; none while the subscription is paused. */
export async function claimDue(log: Sql, key: string, limit: number): Promise<ClaimedDelivery[]> {
  return log<ClaimedDelivery[]>`
    with due as (
      select d.id from deliveries d
      join subscriptions s on s.key = d.subscription and s.enabled and s.paused_at is null
      where d.subscription = ${key} and d.state in ('pending', 'processing') and d.due_at <= now()
        and (d.state = 'pending' or d.claimed_until < now())
      order by d.due_at limit ${limit}
      for update of d skip locked
    ),
    claimed as (
      update deliveries d
      set state = 'processing', claim_epoch = d.claim_epoch + 1,
          claimed_until = now() + make_interval(secs => ${claimMs / 1000}::float8)
      from due where d.id = due.id
      returning d.*
    )
    select c.id, c.claim_epoch as epoch, c.event_id as "eventId", c.part, c.replay_id as "replayId",
           c.side_effects as "sideEffects", c.attempts, coalesce(to_jsonb(e), letter.event) as event,
           ${timeText(log, log`c.event_recorded_at`)} as "eventRecordedAt",
           ${timeText(log, log`c.deadline_at`)} as "deadlineAt",
           coalesce(c.deadline_at <= now(), false) as "isOverdue"
    from claimed c
    left join lateral (
      select ${loggedColumns(log)} from events
      where events.id = c.event_id and events.recorded_at = c.event_recorded_at limit 1
    ) e on true
    left join lateral (
      select l.event from dead_letters l where e.id is null and l.delivery_id = c.id order by l.created_at desc limit 1
    ) letter on true
    order by c.due_at`;
}

function timeText(log: Sql, column: ReturnType<Sql>) {
  return log`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/** How long until the next delivery of this subscription is due, or falls free; null when there is none. */
export async function nextDueInMs(log: Sql, key: string): Promise<number | null> {
  const [row] = await log<{ ms: number | null }[]>`
    select extract(epoch from min(
             case when state = 'pending' then due_at else greatest(due_at, claimed_until) end) - now())::float8 * 1000 as ms
    from deliveries where subscription = ${key} and state in ('pending', 'processing')`;
  return row?.ms ?? null;
}

export type Claim = { id: string; epoch: number };

/** Keeps claims while their handler is busy. */
export async function renewClaims(log: Sql, claims: Claim[]): Promise<void> {
  await log`
    update deliveries d set claimed_until = now() + make_interval(secs => ${claimMs / 1000}::float8)
    from jsonb_to_recordset(${JSON.stringify(claims)}::text::jsonb) as c(id text, epoch int)
    where d.id = c.id and d.claim_epoch = c.epoch and d.state = 'processing'`;
}

/** How a claimed delivery ends: done, to be tried again, given up, or put back as it was because nothing could be tried. */
export type ClaimEnd = Claim &
  (
    | { state: 'completed'; previews: Preview[] | null }
    | { state: 'pending' | 'failed'; dueInMs: number; attempt: Attempt }
    | { state: 'released'; dueInMs: number; error: string | null }
  );

/**
 * Ends claimed deliveries in one statement, with what they leave behind: deliveries of parts, dead letters and news.
 * Those that another consumer has claimed meanwhile stay as they are.
 */
export async function endDeliveries(
  log: Sql,
  input: { key: string; ends: ClaimEnd[]; deliveries: NewDelivery[]; notes: FailureNote[] },
): Promise<number> {
  const { key, deliveries, notes } = input;
  const ends = input.ends.map((end) => ({
    id: end.id,
    epoch: end.epoch,
    state: end.state === 'released' ? 'pending' : end.state,
    counts: end.state === 'released' ? 0 : 1,
    due_in_ms: end.state === 'completed' ? 0 : end.dueInMs,
    history: 'attempt' in end ? [end.attempt] : [],
    error: 'attempt' in end ? end.attempt.error : end.state === 'released' ? end.error : null,
    previews: end.state === 'completed' ? end.previews : null,
  }));
  const ended = log`
    ended as (
      update deliveries d
      set state = e.state, attempts = d.attempts + e.counts,
          due_at = case when e.state = 'pending' then now() + make_interval(secs => e.due_in_ms / 1000.0) else d.due_at end,
          claimed_until = null, history = d.history || e.history, last_error = coalesce(e.error, d.last_error),
          previews = e.previews, ended_at = case when e.state = 'pending' then null else now() end
      from jsonb_to_recordset(${JSON.stringify(ends)}::text::jsonb) as e(
        id text, epoch int, state text, counts int, due_in_ms float8, history jsonb, error text, previews jsonb)
      where d.id = e.id and d.claim_epoch = e.epoch and d.state = 'processing'
      returning d.id, d.subscription, d.part, d.event_id, d.history, d.attempts
    )`;
  const rows =
    deliveries.length === 0 && notes.length === 0
      ? await log<{ id: string }[]>`with ${ended} select id from ended`
      : await log<{ id: string }[]>`
          with ${ended},
          mine as (select subscription as key from ended),
          added as (${insertDeliveries(log, log`mine`, deliveries)}),
          written as (select * from ended union all select * from added),
          ${noteFailures(log, key, notes)}
          select id from ended`;
  return rows.length;
}
