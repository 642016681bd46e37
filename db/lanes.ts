import { lanesOf } from '../domain/subscription.ts';
import type { Database, Sql } from './client.ts';
import type { Position } from './events.ts';
import { getSubscription, listLanes, statusOf, type SubscriptionRow } from './subscriptions.ts';

/** A lane in the hands of one consumer: while the epoch stands, it alone moves the cursor. */
export type HeldLane = { lane: string; epoch: number; cursor: Position };

type LeaseRow = { lane: string; epoch: string; tx: string; seq: string };

const heldOf = ({ lane, epoch, tx, seq }: LeaseRow): HeldLane => ({
  lane,
  epoch: Number(epoch),
  cursor: { tx, seq },
});

/** The subscription as its consumer needs it, with the lanes its strategy asks for laid. */
export async function prepareLanes({ db, log }: Database, key: string): Promise<SubscriptionRow | null> {
  const row = await getSubscription(db, key);
  if (row === null || statusOf(row) !== 'running') return row;
  const wanted = lanesOf(row).sort();
  const laid = (await listLanes(db, key)).map(({ lane }) => lane).sort();
  if (wanted.join() !== laid.join()) await layLanes(log, row, wanted);
  return row;
}

/**
 * Lays other lanes in place of those there are, after a change of strategy or of the number of consumers. They all begin
 * where the slowest stood, so that nothing is missed; what others had passed is delivered again.
 */
async function layLanes(log: Sql, { key, version }: SubscriptionRow, wanted: string[]): Promise<void> {
  await log`
    with sub as (select key from subscriptions where key = ${key} and version = ${version}::int),
    wanted as (select value as lane from jsonb_array_elements_text(${JSON.stringify(wanted)}::text::jsonb)),
    laid as (
      select lane, cursor_tx, cursor_seq from subscription_lanes where subscription = ${key} order by lane for update
    ),
    differ as (
      select key from sub
      where exists (select lane from laid except select lane from wanted)
         or exists (select lane from wanted except select lane from laid)
    ),
    slowest as (select cursor_tx, cursor_seq from laid order by cursor_tx, cursor_seq limit 1),
    gone as (
      delete from subscription_lanes l using differ
      where l.subscription = differ.key and l.lane not in (select lane from wanted)
    ),
    moved as (
      update subscription_lanes l
      set cursor_tx = slowest.cursor_tx, cursor_seq = slowest.cursor_seq, lease_epoch = lease_epoch + 1,
          leased_by = null, leased_until = null
      from differ, slowest
      where l.subscription = differ.key and l.lane in (select lane from wanted)
    )
    insert into subscription_lanes (subscription, lane, cursor_tx, cursor_seq)
    select differ.key, wanted.lane, coalesce(slowest.cursor_tx, pg_snapshot_xmin(pg_current_snapshot())),
           coalesce(slowest.cursor_seq, 0)
    from differ cross join wanted left join slowest on true
    where wanted.lane not in (select lane from laid)
    on conflict do nothing`;
}

/** Takes all lanes of a subscription over: whoever held them before can no longer move a cursor. */
export async function takeLanes(log: Sql, input: { key: string; holder: string }): Promise<HeldLane[]> {
  const rows = await log<LeaseRow[]>`
    update subscription_lanes l
    set lease_epoch = lease_epoch + 1, leased_by = ${input.holder}, leased_until = null
    from subscriptions s
    where s.key = ${input.key} and s.enabled and s.paused_at is null and l.subscription = s.key
    returning l.lane, l.lease_epoch::text as epoch, l.cursor_tx::text as tx, l.cursor_seq::text as seq`;
  return rows.map(heldOf);
}

export type LaneCheck = { row: SubscriptionRow | null; held: HeldLane[] };

/** Which of these lanes are still this consumer's, and where their cursors stand. */
export async function checkLanes({ db }: Database, key: string, lanes: HeldLane[]): Promise<LaneCheck> {
  const [row, laid] = await Promise.all([getSubscription(db, key), listLanes(db, key)]);
  const mine = laid.filter((one) =>
    lanes.some(({ lane, epoch }) => lane === one.lane && epoch === one.leaseEpoch),
  );
  return {
    row,
    held: mine.map(({ lane, leaseEpoch, cursorTx, cursorSeq }) => ({
      lane,
      epoch: leaseEpoch,
      cursor: { tx: cursorTx, seq: cursorSeq },
    })),
  };
}

/** A cursor on its way, from where the consumer knows it to be. */
export type LaneMove = { lane: string; epoch: number; from: Position; to: Position; delivered: number };

/**
 * The beginning of a statement that moves cursors: `held` has a row for each that moved. None moves for a consumer whose
 * lease was taken over, nor twice when an answer was lost.
 */
export function heldLanes(log: Sql, key: string, moves: LaneMove[]) {
  const rows = moves.map(({ lane, epoch, from, to, delivered }) => ({
    ...{ lane, epoch, delivered },
    ...{ from_tx: from.tx, from_seq: from.seq, to_tx: to.tx, to_seq: to.seq },
  }));
  return log`
    held as (
      update subscription_lanes l
      set cursor_tx = m.to_tx::xid8, cursor_seq = m.to_seq, delivered = l.delivered + m.delivered,
          last_delivered_at = case when m.delivered > 0 then now() else l.last_delivered_at end
      from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as m(
             lane text, epoch bigint, from_tx text, from_seq bigint, to_tx text, to_seq bigint, delivered int),
           subscriptions s
      where s.key = ${key} and s.enabled and l.subscription = s.key and l.lane = m.lane and l.lease_epoch = m.epoch
        and l.cursor_tx = m.from_tx::xid8 and l.cursor_seq = m.from_seq
      returning l.lane, s.key, s.version, s.paused_at is not null as is_paused
    )`;
}
