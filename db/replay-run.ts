import { and, eq, sql } from 'drizzle-orm';
import { eventTypes, type LoggedEvent } from '../domain/events.ts';
import { type ReplayState, replayPageSize } from '../domain/replay.ts';
import { change } from './change.ts';
import type { Db, Sql } from './client.ts';
import { settleRequest } from './decisions.ts';
import { deliveryId } from './deliveries.ts';
import type { Position } from './events.ts';
import { isSettled, readSelected } from './replay-log.ts';
import { getReplay, type ReplayRow } from './replays.ts';
import { replays } from './schema/index.ts';

/** Notes which run has the replay in hand; null where there is no such replay. */
export async function claimReplay(
  db: Db,
  input: { replayId: string; runId: string },
): Promise<{ state: ReplayState; isQueued: boolean } | null> {
  const [row] = await db
    .update(replays)
    .set({ runId: input.runId })
    .where(eq(replays.id, input.replayId))
    .returning({ state: replays.state, queuedAt: replays.queuedAt });
  return row === undefined ? null : { state: row.state, isQueued: row.queuedAt !== null };
}

export type Page = {
  /** Behind which the next page begins. */
  to: Position;
  events: Pick<LoggedEvent, 'id' | 'recordedAt'>[];
  skipped: number;
  /** Nothing more is to be queued; `because` says why where that is not for lack of events. */
  isLast: boolean;
  because: string | null;
};

/**
 * The next page of a replay, which may be empty; null while older transactions may still add to it.
 * What they add commits late, but was asked for.
 */
export async function readPage(
  log: Sql,
  replay: ReplayRow,
  isWanted: (event: LoggedEvent) => boolean,
): Promise<Page | null> {
  const { selection, untilTx, matched, maximum } = replay;
  const from: Position = { tx: replay.cursorTx, seq: replay.cursorSeq };
  // Asked before the events are read: what became visible in between is found by the next look.
  const settled = await isSettled(log, untilTx);
  const room = maximum - matched;
  const limit = Math.min(replayPageSize, room + 1);
  const found = await readSelected(log, { selection, untilTx }, from, limit);
  const events = found.slice(0, Math.min(replayPageSize, room));
  const isOver = found.length > room;
  const isLast = isOver || (settled && found.length < limit);
  const last = events.at(-1);
  if (last === undefined && !isLast) return null;
  const wanted = events.filter(isWanted);
  return {
    to: last === undefined ? from : { tx: last.tx, seq: last.seq },
    events: wanted,
    skipped: events.length - wanted.length,
    isLast,
    because: isOver ? `The maximum of ${maximum} events was reached; there are more.` : null,
  };
}

/**
 * Queues a page and moves the cursor behind it, in one statement: a page that was stored, and whose answer was lost, is
 * found behind the cursor, and no event is queued twice. False where the replay has ended or went on elsewhere.
 */
export async function queuePage(log: Sql, replay: ReplayRow, page: Page): Promise<boolean> {
  const { id, subscription } = replay;
  const rows = page.events.map(({ id: eventId, recordedAt }, place) => ({
    place,
    id: deliveryId({ subscription, eventId, replayId: id }),
    event_id: eventId,
    recorded_at: recordedAt,
  }));
  const moved = await log`
    with mine as (
      select id, subscription, side_effects, per_minute, queued, coalesce(paced_from, now()) as paced_from
      from replays
      where id = ${id} and state = 'running' and queued_at is null
        and (cursor_tx, cursor_seq) = (${replay.cursorTx}::text::xid8, ${replay.cursorSeq}::text::bigint)
      for update
    ),
    put as (
      insert into deliveries (id, subscription, event_id, event_recorded_at, replay_id, side_effects, state, due_at)
      select p.id, m.subscription, p.event_id, p.recorded_at, m.id, m.side_effects, 'pending',
             m.paced_from + make_interval(secs => (m.queued + p.place) * 60.0 / m.per_minute)
      from mine m, jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as p(
        place int, id text, event_id text, recorded_at timestamptz)
      order by p.place
      on conflict do nothing
      returning id
    ),
    moved as (
      update replays r
      set cursor_tx = ${page.to.tx}::text::xid8, cursor_seq = ${page.to.seq}::text::bigint, paced_from = m.paced_from,
          matched = r.matched + ${rows.length + page.skipped}::int, skipped = r.skipped + ${page.skipped}::int,
          queued = r.queued + (select count(*)::int from put),
          queued_at = case when ${page.isLast}::boolean then now() end, because = ${page.because}::text
      from mine m where r.id = m.id
      returning r.id
    )
    select id from moved`;
  return moved.length === 1;
}

const deliveryCounts = sql`(
  select jsonb_build_object(
    'pending', count(*) filter (where d.state = 'pending'),
    'processing', count(*) filter (where d.state = 'processing'),
    'completed', count(*) filter (where d.state = 'completed'),
    'failed', count(*) filter (where d.state = 'failed'))
  from deliveries d where d.replay_id = ${replays}.id)`;

const noneOpen = sql`not exists (
  select from deliveries d where d.replay_id = ${replays}.id and d.state in ('pending', 'processing'))`;

/** How many deliveries are still to come or under way. */
export async function countOpen(log: Sql, replayId: string): Promise<number> {
  const [row] = await log<{ n: number }[]>`
    select count(*)::int as n from deliveries
    where replay_id = ${replayId} and state in ('pending', 'processing')`;
  return row?.n ?? 0;
}

export type ReplayEnd = {
  replayId: string;
  state: Exclude<ReplayState, 'running'>;
  because: string | null;
  actor: string;
  requestId: string | null;
  opKey: string;
};

const severities = { done: 'info', cancelled: 'warning', failed: 'error' } as const;

/** Ends a running replay, `done` only once every delivery has ended; answers the state it has then. */
export async function endReplay(db: Db, input: ReplayEnd): Promise<{ state: ReplayState }> {
  const { replayId, state, because, requestId } = input;
  const before = await getReplay(db, replayId);
  const isDone = state === 'done';
  const outcome = await change<{ state: ReplayState }>(db, {
    opKey: input.opKey,
    write: db
      .update(replays)
      .set({
        state,
        endedAt: sql`now()`,
        ...(because === null ? {} : { because }),
        ...(isDone ? { outcome: deliveryCounts } : {}),
      })
      .where(and(eq(replays.id, replayId), eq(replays.state, 'running'), isDone ? noneOpen : undefined))
      .returning()
      .getSQL(),
    ...(requestId === null ? {} : { also: [settleRequest(requestId)] }),
    events: [
      {
        type: eventTypes.replayEnded,
        severity: severities[state],
        source: { type: 'system', id: 'bus' },
        payload: {
          ...{ replayId, subscription: before?.subscription ?? null, state },
          ...{ matched: before?.matched ?? 0, queued: before?.queued ?? 0, because },
        },
        correlationId: replayId,
      },
    ],
    audit: {
      actor: input.actor,
      action: state === 'cancelled' ? 'replay.cancel' : `replay.${state}`,
      subjectKind: 'replay',
      subjectId: replayId,
      detail: { state, because },
    },
    result: sql`jsonb_build_object('state', changed.state)`,
  });
  if (outcome.status !== 'unchanged') return outcome.result;
  const now = await getReplay(db, replayId);
  return { state: now?.state ?? 'failed' };
}

/**
 * Takes back what of an ended replay nobody has begun, and notes how the rest ended once all has. Answers how many are
 * still under way. A page that was on its way when the replay ended is there by now: ending it waited for the page.
 */
export async function withdrawReplay(log: Sql, replayId: string, atOnce = 5_000): Promise<number> {
  for (let gone = atOnce; gone === atOnce;) gone = await withdrawSome(log, replayId, atOnce);
  await log`
    update replays set outcome = (
      select jsonb_build_object(
        'pending', 0, 'processing', 0,
        'completed', count(*) filter (where d.state = 'completed'),
        'failed', count(*) filter (where d.state = 'failed'))
      from deliveries d where d.replay_id = replays.id)
    where id = ${replayId} and state in ('cancelled', 'failed') and outcome is null
      and not exists (
        select from deliveries d where d.replay_id = replays.id and d.state in ('pending', 'processing'))`;
  return countOpen(log, replayId);
}

async function withdrawSome(log: Sql, replayId: string, atOnce: number): Promise<number> {
  // A consumer that died holds what it claimed until then; one that only was slow finds its claim gone.
  const isFree = log`(state = 'pending' or (state = 'processing' and claimed_until < now()))`;
  const [row] = await log<{ gone: number }[]>`
    with ended as (select id from replays where id = ${replayId} and state in ('cancelled', 'failed')),
    gone as (
      delete from deliveries
      where id in (select id from deliveries where replay_id in (select id from ended) and ${isFree} limit ${atOnce})
        and ${isFree}
      returning id
    ),
    counted as (
      update replays set withdrawn = withdrawn + (select count(*)::int from gone)
      where id in (select id from ended) and exists (select from gone)
    )
    select count(*)::int as gone from gone`;
  return row?.gone ?? 0;
}
