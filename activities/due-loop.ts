import {
  type ClaimedDelivery,
  claimDue,
  type ClaimEnd,
  claimMs,
  endDeliveries,
  nextDueInMs,
  renewClaims,
} from '../db/due-deliveries.ts';
import type { Delivery, DeliveryFailure } from '../domain/delivery.ts';
import type { LoggedEvent } from '../domain/events.ts';
import { isUnavailable } from './event-handlers.ts';
import { deliver, noProgress, preview, type Progress } from './hand-over.ts';
import { addFailed, addLater, deadlinePassed, judge, noRecords, type Records } from './outcomes.ts';
import { answered, contextOf, pause, type Turn, unavailableForMs } from './turn.ts';

/** Groups of deliveries that are in their handler at the same time. */
const concurrency = 8;
const groupSize = 25;
const contendedMs = 250;

/** Makes the deliveries that have a row of their own when they are due, apart from the cursor and from each other. */
export async function deliverDue(turn: Turn, slowPollMs: number): Promise<void> {
  const { wakeups, stop, row, database } = turn;
  const running = new Set<Promise<void>>();
  let failures = 0;

  while (!stop.aborted) {
    const mark = wakeups.mark([row.key]);
    try {
      const free = concurrency - running.size;
      const claimed = free <= 0 ? [] : await answered(claimDue(database.log, row.key, free * groupSize));
      for (const group of groupsOf(claimed, free)) {
        const work = handOverGroup(turn, group).catch((error: unknown) => {
          // The claims run out and somebody takes them up again.
          turn.warn('Due deliveries were not ended', error);
        });
        running.add(work);
        void work.finally(() => running.delete(work));
      }
      if (claimed.length === 0) await waitForDue(mark);
      failures = 0;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      turn.warn('Due deliveries cannot be read now; the consumer tries again', error);
      await pause(unavailableForMs(error, failures), stop);
      failures += 1;
    }
  }
  await Promise.all(running);

  async function waitForDue(mark: number): Promise<void> {
    const waiting = new AbortController();
    const signal = AbortSignal.any([stop, waiting.signal]);
    const inMs = running.size < concurrency ? await answered(nextDueInMs(database.log, row.key)) : null;
    // Due and yet not to be had: another consumer is at it, or the subscription was just paused.
    const ms = inMs !== null && inMs <= 0 ? contendedMs : Math.min(slowPollMs, Math.ceil(inMs ?? slowPollMs));
    await Promise.race([wakeups.after([row.key], mark, ms, signal), ...running]);
    waiting.abort();
  }
}

/** As many groups as are free; those of one replay stay together, so that no group has the same event and part twice. */
function groupsOf(claimed: ClaimedDelivery[], free: number): ClaimedDelivery[][] {
  const size = Math.max(1, Math.ceil(claimed.length / Math.max(1, free)));
  const kinds = Map.groupBy(claimed, ({ replayId }) => replayId);
  return [...kinds.values()].flatMap((same) =>
    Array.from({ length: Math.ceil(same.length / size) }, (_, nth) =>
      same.slice(nth * size, (nth + 1) * size),
    ),
  );
}

async function handOverGroup(turn: Turn, group: ClaimedDelivery[]): Promise<void> {
  const { log } = turn.database;
  const claims = group.map(({ id, epoch }) => ({ id, epoch }));
  const renewal = setInterval(() => {
    renewClaims(log, claims).catch((error: unknown) => turn.warn('Claims were not renewed', error));
  }, claimMs / 3);
  try {
    const records = noRecords();
    const ends: ClaimEnd[] = [];
    const open = group.filter((claim) => !isLost(turn, claim, ends, records));
    const progress = noProgress();
    try {
      await handOver(turn, open, progress);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      const dueInMs = turn.signal.aborted ? 0 : unavailableForMs(error, 2);
      const text = error instanceof Error ? error.message : String(error);
      for (const { id, epoch } of open.slice(progress.done))
        ends.push({ id, epoch, state: 'released', dueInMs, error: text });
    }
    settle(turn, group, open.slice(0, progress.done), progress, ends, records);
    await answered(endDeliveries(log, { key: turn.row.key, ends, ...records }));
  } finally {
    clearInterval(renewal);
  }
}

/** What is too late, or has no event any more, is given up without being tried. */
function isLost(turn: Turn, claim: ClaimedDelivery, ends: ClaimEnd[], records: Records): boolean {
  if (claim.event === null) {
    const error = 'The log no longer has this event: its retention is over.';
    fail(turn, claim, forgotten(claim), { cause: 'EVENT_GONE', error, isFinal: true }, ends, records);
  } else if (claim.isOverdue) fail(turn, claim, claim.event, deadlinePassed, ends, records);
  else return false;
  return true;
}

function fail(
  turn: Turn,
  claim: ClaimedDelivery,
  event: LoggedEvent,
  failure: Pick<DeliveryFailure, 'cause' | 'error' | 'isFinal'>,
  ends: ClaimEnd[],
  records: Records,
): void {
  const { id, epoch, part, attempts: before, deadlineAt } = claim;
  const { state, dueInMs, attempt, note } = judge(turn, { id, event, part, before, deadlineAt }, failure);
  ends.push({ id, epoch, state, dueInMs, attempt });
  if (note !== null) records.notes.push(note);
  turn.count.failed += 1;
}

async function handOver(turn: Turn, open: ClaimedDelivery[], progress: Progress): Promise<void> {
  const deliveries = open.flatMap((claim) => {
    const { event } = claim;
    return event === null ? [] : [deliveryOf(claim, event)];
  });
  const isPreview = open.some(({ sideEffects }) => !sideEffects);
  await (isPreview ? preview : deliver)(turn.handler, deliveries, contextOf(turn), progress);
}

function deliveryOf(claim: ClaimedDelivery, event: LoggedEvent): Delivery {
  const { replayId, sideEffects, part, attempts } = claim;
  const replay = replayId === null ? null : { id: replayId, sideEffects };
  return { event, part, attempt: attempts + 1, replay };
}

/**
 * Each delivery ends as its handler said; what failed or is later for another part gets a delivery of its own, where that
 * is not in the same group and ends for itself.
 */
function settle(
  turn: Turn,
  group: ClaimedDelivery[],
  open: ClaimedDelivery[],
  handed: Progress,
  ends: ClaimEnd[],
  records: Records,
): void {
  for (const claim of open) {
    const { id, epoch, event, part } = claim;
    if (event === null) continue;
    const delivery = deliveryOf(claim, event);
    const failures = handed.failures.filter(({ eventId }) => eventId === event.id);
    const inGroup = new Set(group.filter(({ eventId }) => eventId === event.id).map((one) => one.part));
    const own = failures.find((failure) => failure.part === part);
    if (own !== undefined) fail(turn, claim, event, own, ends, records);
    else {
      const previews = handed.previews.filter((one) => one.eventId === event.id);
      ends.push({ id, epoch, state: 'completed', previews: claim.sideEffects ? null : previews });
      turn.count.delivered += 1;
    }
    for (const failure of failures)
      if (!inGroup.has(failure.part)) addFailed(records, turn, delivery, failure);
    for (const later of handed.later)
      if (later.eventId === event.id && !inGroup.has(later.part))
        addLater(records, turn, delivery, { part: later.part });
  }
}

function forgotten({ eventId, eventRecordedAt }: ClaimedDelivery): LoggedEvent {
  return {
    ...{ id: eventId, tx: '0', seq: '0', type: 'unknown', sourceType: 'system', sourceId: 'unknown' },
    ...{ destination: null, severity: 'info', priority: 'normal', payload: {}, metadata: {} },
    ...{ correlationId: null, causationId: null, path: [], deliverAt: null },
    ...{ occurredAt: eventRecordedAt, recordedAt: eventRecordedAt },
  };
}
