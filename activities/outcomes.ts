import type { NewDelivery } from '../db/batches.ts';
import type { FailureNote } from '../db/dead-letters.ts';
import { deliveryId } from '../db/deliveries.ts';
import { type Delivery, type DeliveryFailure, isGivenUp, nextDueMs } from '../domain/delivery.ts';
import type { LoggedEvent } from '../domain/events.ts';
import { storableText } from '../domain/json.ts';
import { retryOf, type Turn } from './turn.ts';

const longestError = 2_000;

/** What is left of handed-over deliveries: rows of their own, and what the log is told. */
export type Records = { deliveries: NewDelivery[]; notes: FailureNote[] };

export function noRecords(): Records {
  return { deliveries: [], notes: [] };
}

/** When a subscription wants an event handled at the latest; null when it gives no limit. */
export function deadlineOf({ row }: Turn, event: LoggedEvent): string | null {
  if (row.deadlineMs === null) return null;
  return new Date(Date.parse(event.recordedAt) + row.deadlineMs).toISOString();
}

/** A failed attempt: what comes of it, and whether it is news. */
export type Verdict = {
  attempts: number;
  state: 'pending' | 'failed';
  dueInMs: number;
  attempt: { at: string; cause: string; error: string };
  note: FailureNote | null;
};

/** Judges the failure of a delivery that was tried `before` times; `counts` is false when it was not even tried. */
export function judge(
  turn: Turn,
  of: { id: string; event: LoggedEvent; part: string; before: number; deadlineAt: string | null },
  failure: Pick<DeliveryFailure, 'cause' | 'error' | 'isFinal'>,
): Verdict {
  const attempts = of.before + 1;
  const deadLettered = isGivenUp(retryOf(turn), attempts, failure.isFinal === true);
  const error = storableText(failure.error).slice(0, longestError).toWellFormed();
  const cause = storableText(failure.cause).slice(0, 100).toWellFormed();
  const untilDeadline = of.deadlineAt === null ? Infinity : Date.parse(of.deadlineAt) - Date.now();
  const { id: deliveryId, event, part } = of;
  const isNews = attempts === 1 || deadLettered;
  return {
    attempts,
    state: deadLettered ? 'failed' : 'pending',
    // Not later than its deadline, where it is given up.
    dueInMs: Math.max(0, Math.min(nextDueMs(retryOf(turn), attempts, Math.random()), untilDeadline)),
    attempt: { at: new Date().toISOString(), cause, error },
    note: isNews ? { deliveryId, event, part, attempts, cause, error, deadLettered } : null,
  };
}

function rowOf(turn: Turn, { event, replay }: Pick<Delivery, 'event' | 'replay'>, part: string): NewDelivery {
  const replayId = replay?.id ?? null;
  return {
    id: deliveryId({ subscription: turn.row.key, eventId: event.id, part, replayId }),
    eventId: event.id,
    eventRecordedAt: event.recordedAt,
    part,
    replayId,
    sideEffects: replay?.sideEffects ?? true,
    state: 'pending',
    attempts: 0,
    dueAt: null,
    dueInMs: 0,
    deadlineAt: replay === null ? deadlineOf(turn, event) : null,
    history: [],
    lastError: null,
  };
}

/** A delivery of its own: from a moment on, or as soon as somebody is free for it. */
export function addLater(
  records: Records,
  turn: Turn,
  delivery: Pick<Delivery, 'event' | 'replay'>,
  more: { part: string; dueAt?: string },
): void {
  add(records, { ...rowOf(turn, delivery, more.part), dueAt: more.dueAt ?? null });
}

/** A delivery that failed in its first attempt. */
export function addFailed(
  records: Records,
  turn: Turn,
  delivery: Pick<Delivery, 'event' | 'replay'>,
  failure: Omit<DeliveryFailure, 'eventId'>,
): void {
  const row = rowOf(turn, delivery, failure.part);
  const { id, part, deadlineAt } = row;
  const verdict = judge(turn, { id, event: delivery.event, part, before: 0, deadlineAt }, failure);
  const { attempts, state, dueInMs, attempt, note } = verdict;
  const added = add(records, {
    ...row,
    ...{ attempts, state, dueInMs, history: [attempt], lastError: attempt.error },
  });
  if (added && note !== null) records.notes.push(note);
  if (added) turn.count.failed += 1;
}

/** A handler that names a delivery twice means one. */
function add(records: Records, row: NewDelivery): boolean {
  if (records.deliveries.some(({ id }) => id === row.id)) return false;
  records.deliveries.push(row);
  return true;
}

export const deadlinePassed = {
  cause: 'DEADLINE_PASSED',
  error: 'It was not handled before the deadline of its subscription.',
  isFinal: true,
} as const;
