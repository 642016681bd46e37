import type { Sql } from './client.ts';
import type { HeldLane } from './lanes.ts';

/** A consumer that does not renew its shares loses them this much later, by the clock of the database. */
export const shareLeaseMs = 4_000;

type Consumer = { key: string; consumer: number; holder: string };

/**
 * Signs on as one of the consumers of a balanced subscription, in place of whoever was this one before. False while the
 * subscription delivers nothing.
 */
export async function joinShares(log: Sql, { key, consumer, holder }: Consumer): Promise<boolean> {
  const rows = await log`
    with joined as (
      insert into subscription_consumers (subscription, consumer, holder, alive_until)
      select key, ${consumer}::int, ${holder}, clock_timestamp() + ${lease(log)}
      from subscriptions where key = ${key} and enabled and paused_at is null
      on conflict (subscription, consumer) do update
      set holder = excluded.holder, alive_until = excluded.alive_until
      returning subscription
    ),
    forgotten as (
      delete from subscription_consumers c using joined
      where c.subscription = joined.subscription and c.alive_until < clock_timestamp() - interval '1 minute'
        and c.consumer <> ${consumer}::int
    )
    select subscription from joined`;
  return rows.length === 1;
}

/**
 * Renews this consumer's shares, takes free and expired ones up to its fair part of them, and gives back what is over.
 * Parts differ by one at most: the consumers with the lowest numbers take the rest. Null for a consumer that another one
 * has taken the place of. Only called between two batches, so that a share given back has nothing under way.
 */
export async function claimShares(log: Sql, { key, consumer, holder }: Consumer): Promise<HeldLane[] | null> {
  const rows = await log<{ lane: string | null; epoch: string; tx: string; seq: string }[]>`
    with me as (
      update subscription_consumers set alive_until = clock_timestamp() + ${lease(log)}
      where subscription = ${key} and consumer = ${consumer}::int and holder = ${holder}
      returning subscription
    ),
    others as (
      select count(*) as all_of_them, count(*) filter (where consumer < ${consumer}::int) as before_me
      from subscription_consumers
      where subscription = ${key} and consumer <> ${consumer}::int and alive_until > clock_timestamp()
    ),
    shares as (
      select l.lane, l.leased_by, l.leased_until from subscription_lanes l join me on me.subscription = l.subscription
      order by l.lane for update of l
    ),
    judged as (
      select lane, coalesce(leased_by = ${holder}, false) as is_mine,
             coalesce(leased_by = ${holder} or leased_until is null or leased_until < clock_timestamp(), true) as is_open
      from shares
    ),
    fair as (
      select count(*) / (others.all_of_them + 1)
             + case when others.before_me < count(*) % (others.all_of_them + 1) then 1 else 0 end as part
      from judged, others group by others.all_of_them, others.before_me
    ),
    ranked as (
      select lane, is_mine, row_number() over (order by is_mine desc, lane) <= fair.part as is_kept
      from judged, fair where is_open
    ),
    written as (
      update subscription_lanes l
      set leased_by = case when r.is_kept then ${holder} end,
          leased_until = case when r.is_kept then clock_timestamp() + ${lease(log)} end,
          lease_epoch = l.lease_epoch + case when r.is_kept and not r.is_mine then 1 else 0 end
      from ranked r
      where l.subscription = ${key} and l.lane = r.lane and (r.is_kept or r.is_mine)
      returning l.lane, l.lease_epoch, l.cursor_tx, l.cursor_seq, l.leased_by
    )
    select w.lane, w.lease_epoch::text as epoch, w.cursor_tx::text as tx, w.cursor_seq::text as seq
    from me left join written w on w.leased_by = ${holder}
    order by w.lane`;
  if (rows.length === 0) return null;
  return rows.flatMap(({ lane, epoch, tx, seq }) =>
    lane === null ? [] : [{ lane, epoch: Number(epoch), cursor: { tx, seq } }],
  );
}

/** Keeps what this consumer holds while it is busy with a batch. */
export async function renewShares(log: Sql, { key, consumer, holder }: Consumer): Promise<void> {
  await log`
    with me as (
      update subscription_consumers set alive_until = clock_timestamp() + ${lease(log)}
      where subscription = ${key} and consumer = ${consumer}::int and holder = ${holder}
    )
    update subscription_lanes set leased_until = clock_timestamp() + ${lease(log)}
    where subscription = ${key} and leased_by = ${holder}`;
}

/** Leaves at once, so that the others need not wait for the lease to run out. */
export async function leaveShares(log: Sql, { key, consumer, holder }: Consumer): Promise<void> {
  await log`
    with gone as (
      delete from subscription_consumers
      where subscription = ${key} and consumer = ${consumer}::int and holder = ${holder}
    )
    update subscription_lanes set leased_by = null, leased_until = null
    where subscription = ${key} and leased_by = ${holder}`;
}

function lease(log: Sql) {
  return log`make_interval(secs => ${shareLeaseMs / 1000}::float8)`;
}
