import { hasHiddenAfter, readAfter } from '../db/events.ts';
import { newEvents } from '../db/wakeups.ts';
import type { Delivery } from '../domain/delivery.ts';
import type { LoggedEvent } from '../domain/events.ts';
import { reasonAgainst } from '../domain/routing.ts';
import { isUnavailable } from './event-handlers.ts';
import { deliver, noProgress, type Progress } from './hand-over.ts';
import type { FoundBatch, Lanes } from './lanes.ts';
import { addFailed, addLater, deadlineOf, deadlinePassed, noRecords, type Records } from './outcomes.ts';
import { answered, contextOf, type Ended, pause, type Turn, unavailableForMs } from './turn.ts';

const horizonPollMs = 4;
const longestHorizonPollMs = 250;

/** A batch in the hands of its handler; kept over an outage, so that what was done is not done again. */
type Work = { batch: FoundBatch; now: Delivery[]; records: Records; progress: Progress };

/** Follows the log: batch after batch is matched, handed over and passed. */
export async function followCursor(turn: Turn, lanes: Lanes): Promise<Ended> {
  const { wakeups, stop, row } = turn;
  let isToCheck = false;
  let failures = 0;
  let isHidden = false;
  let work: Work | null = null;
  while (Date.now() < turn.until && !stop.aborted) {
    // What is known to be hidden is announced no more.
    const mark = isHidden ? -1 : wakeups.mark([newEvents, row.key]);
    isHidden = false;
    const ownMark = wakeups.mark([row.key]);
    try {
      const ended = isToCheck ? await lanes.check() : null;
      if (ended !== null) return ended;
      if (work === null || !lanes.holds(work.batch)) work = begin(turn, await lanes.next());
      if (work === null) {
        const woken = await waitForMore(turn, lanes, mark);
        isHidden = woken === 'hidden';
        isToCheck = woken === 'timeout' || wakeups.mark([row.key]) !== ownMark;
      } else {
        const goesOn = await finish(turn, lanes, work);
        work = null;
        isToCheck = !goesOn || wakeups.mark([row.key]) !== ownMark;
      }
      failures = 0;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      turn.warn('Nothing can be delivered now; the consumer tries again', error);
      await lanes.whileHeld(() => pause(unavailableForMs(error, failures), stop));
      failures += 1;
      isToCheck = true;
    }
  }
  return 'turn-over';
}

function begin(turn: Turn, batch: FoundBatch | null): Work | null {
  if (batch === null) return null;
  const records = noRecords();
  const now = batch.events
    .filter((event) => isWanted(turn, records, event))
    .map((event): Delivery => ({ event, part: '', attempt: 1, replay: null }));
  return { batch, now, records, progress: noProgress() };
}

/** Hands over what is left of the batch and passes it. False when the consumer has to look at its subscription again. */
async function finish(turn: Turn, lanes: Lanes, { batch, now, records, progress }: Work): Promise<boolean> {
  await lanes.whileHeld(() => deliver(turn.handler, now, contextOf(turn), progress));
  const byId = new Map(now.map((delivery) => [delivery.event.id, delivery]));
  for (const failure of progress.failures) {
    const delivery = byId.get(failure.eventId);
    if (delivery !== undefined) addFailed(records, turn, delivery, failure);
  }
  for (const { eventId, part } of progress.later) {
    const delivery = byId.get(eventId);
    if (delivery !== undefined) addLater(records, turn, delivery, { part });
  }
  const goesOn = await lanes.pass(batch, now.length, records);
  turn.count.delivered += now.length;
  return goesOn;
}

/** True for what is handed over now; what is too early, too late or cannot be judged gets a record instead. */
function isWanted(turn: Turn, records: Records, event: LoggedEvent): boolean {
  const delivery = { event, replay: null };
  try {
    if (reasonAgainst(turn.routable, event) !== null) return false;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    addFailed(records, turn, delivery, { part: '', cause: 'FILTER_FAILED', error: text, isFinal: true });
    return false;
  }
  const deadline = deadlineOf(turn, event);
  if (deadline !== null && Date.parse(deadline) <= Date.now()) {
    addFailed(records, turn, delivery, { part: '', ...deadlinePassed });
    return false;
  }
  if (event.deliverAt === null || Date.parse(event.deliverAt) <= Date.now()) return true;
  addLater(records, turn, delivery, { part: '', dueAt: event.deliverAt });
  return false;
}

/**
 * Waits for an announcement, and then until what was announced is below the horizon; `hidden` when it still is not and the
 * subscription has news of its own, such as a pause.
 */
async function waitForMore(
  turn: Turn,
  lanes: Lanes,
  mark: number,
): Promise<'announced' | 'hidden' | 'timeout'> {
  const { wakeups, stop, row } = turn;
  const { log } = turn.database;
  const topics = [newEvents, row.key];
  const began = Date.now();
  const patienceMs = Math.min(lanes.patienceMs, Math.max(1, turn.until - began));
  const woken = await wakeups.after(topics, mark, patienceMs, stop);
  const front = lanes.front();
  if (woken === 'timeout' || front === null) return woken;
  const ownMark = wakeups.mark([row.key]);
  // The horizon moves as soon as older transactions end.
  for (let poll = 0; !stop.aborted && Date.now() - began < lanes.patienceMs; poll += 1) {
    const [ready] = await answered(readAfter(log, front, 1));
    if (ready !== undefined || !(await answered(hasHiddenAfter(log, front)))) break;
    const ms = poll < 25 ? horizonPollMs : Math.min(longestHorizonPollMs, horizonPollMs * (poll - 24));
    await wakeups.after([row.key], ownMark, ms, stop);
    if (wakeups.mark([row.key]) !== ownMark) return 'hidden';
  }
  return woken;
}
