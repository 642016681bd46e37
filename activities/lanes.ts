import { commitBatch } from '../db/batches.ts';
import { type LaneBatch, readLane } from '../db/lane-reader.ts';
import { claimShares, joinShares, leaveShares, renewShares, shareLeaseMs } from '../db/lane-shares.ts';
import { checkLanes, type HeldLane, type LaneMove, takeLanes } from '../db/lanes.ts';
import type { Position } from '../db/events.ts';
import { statusOf } from '../db/subscriptions.ts';
import { lanesOf } from '../domain/subscription.ts';
import type { Records } from './outcomes.ts';
import { answered, type Ended, type Turn } from './turn.ts';

const batchSize = 500;
const renewEveryMs = shareLeaseMs / 3;

/** `cursor` is where the consumer stands, `stored` what the record knows of it. */
type Lane = HeldLane & { stored: Position };

export type FoundBatch = HeldLane & NonNullable<LaneBatch>;

/** The lanes in the hands of this turn, read in the order its strategy asks for. */
export type Lanes = {
  next(): Promise<FoundBatch | null>;
  /** Passes the batch. False when the consumer has to look at its subscription again before it goes on. */
  pass(batch: FoundBatch, delivered: number, records: Records): Promise<boolean>;
  /** Whether the batch is still this turn's to pass. */
  holds(batch: FoundBatch): boolean;
  /** Looks what is left to this turn; tells why it has to end. */
  check(): Promise<Ended | null>;
  /** The place in the log up to which everything was looked at. */
  front(): Position | null;
  /** Longest time to wait for news. */
  patienceMs: number;
  /** Keeps the lanes while something slow is done. */
  whileHeld<T>(work: () => Promise<T>): Promise<T>;
  leave(): Promise<void>;
};

/** Takes the lanes of a turn; null while the subscription delivers nothing. */
export async function openLanes(turn: Turn, slowPollMs: number): Promise<Lanes | null> {
  const { row, database, consumer, holder } = turn;
  const { log } = database;
  const { key } = row;
  const isShared = row.strategy === 'balanced';
  const me = { key, consumer, holder };
  const order = lanesOf(row);
  let held: Lane[] = [];
  let claimedAt = 0;

  const hold = (lanes: HeldLane[]): void => {
    held = lanes.map((lane) => ({ ...lane, stored: lane.cursor }));
    held.sort((one, other) => order.indexOf(one.lane) - order.indexOf(other.lane));
  };

  /** False when another consumer has taken the place of this one. */
  async function claim(): Promise<boolean> {
    if (Date.now() - claimedAt < renewEveryMs) return true;
    const claimed = await answered(claimShares(log, me));
    claimedAt = Date.now();
    // The share that was read last comes last, so that each gets its turn.
    const last = held.at(-1)?.lane;
    hold(claimed ?? []);
    const place = held.findIndex(({ lane }) => lane === last);
    held.push(...held.splice(0, place + 1));
    return claimed !== null;
  }

  if (isShared) {
    if (!(await answered(joinShares(log, me)))) return null;
    await claim();
  } else {
    hold(await answered(takeLanes(log, { key, holder })));
    if (held.length === 0) return null;
  }

  const front = (): Position | null =>
    held.reduce<Position | null>((best, { cursor }) => (best === null ? cursor : later(best, cursor)), null);

  return {
    front,
    patienceMs: isShared ? renewEveryMs : slowPollMs,

    async next() {
      if (isShared && !(await claim())) return null;
      for (const lane of [...held]) {
        // Known before the lane is read: what it does not show up to there it will never have.
        const seen = front();
        const batch = await answered(
          readLane(log, {
            lane: lane.lane,
            lanes: order.length,
            after: lane.cursor,
            limit: batchSize,
          }),
        );
        if (batch !== null) {
          if (isShared) held.push(...held.splice(held.indexOf(lane), 1));
          return { lane: lane.lane, epoch: lane.epoch, cursor: lane.cursor, ...batch };
        }
        if (seen !== null) lane.cursor = later(lane.cursor, seen);
      }
      return null;
    },

    holds: ({ lane, epoch, cursor }) =>
      held.some((one) => one.lane === lane && one.epoch === epoch && isSame(one.cursor, cursor)),

    async pass(batch, delivered, records) {
      const moves: LaneMove[] = [];
      for (const lane of held) {
        const isOfBatch = lane.lane === batch.lane;
        const to = isOfBatch ? batch.end : lane.cursor;
        if (!isOfBatch && isSame(to, lane.stored)) continue;
        const { epoch, stored } = lane;
        moves.push({ lane: lane.lane, epoch, from: stored, to, delivered: isOfBatch ? delivered : 0 });
      }
      const committed = await answered(commitBatch(log, { key, lane: batch.lane, moves, ...records }));
      if (committed === null) return false;
      for (const lane of held) {
        if (lane.lane === batch.lane) lane.cursor = batch.end;
        lane.stored = lane.cursor;
      }
      return !committed.isPaused && committed.version === row.version;
    },

    async check() {
      const seen = await answered(checkLanes(database, key, held));
      const status = statusOf(seen.row);
      if (status !== 'running') return status;
      if (seen.row?.version !== row.version) return 'changed';
      if (!isShared && seen.held.length < held.length) return 'taken-over';
      if (isShared) claimedAt = 0;
      else hold(seen.held);
      return isShared && !(await claim()) ? 'taken-over' : null;
    },

    async whileHeld(work) {
      if (!isShared) return work();
      const renewal = setInterval(() => {
        // A renewal that is lost is noticed when the batch is to be passed.
        renewShares(log, me).catch((error: unknown) => turn.warn('A share was not renewed', error));
      }, renewEveryMs);
      try {
        return await work();
      } finally {
        clearInterval(renewal);
      }
    },

    async leave() {
      if (isShared) await answered(leaveShares(log, me));
    },
  };
}

function isSame(one: Position, other: Position): boolean {
  return one.tx === other.tx && one.seq === other.seq;
}

function later(one: Position, other: Position): Position {
  const [tx, otherTx] = [BigInt(one.tx), BigInt(other.tx)];
  if (tx === otherTx) return BigInt(one.seq) >= BigInt(other.seq) ? one : other;
  return tx > otherTx ? one : other;
}
