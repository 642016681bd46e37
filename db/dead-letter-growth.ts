import { sql } from 'drizzle-orm';
import {
  describeGrowth,
  type Growth,
  type GrowthLimits,
  growthWindowMinutes,
  judgeGrowth,
} from '../domain/dead-letter.ts';
import { eventTypes } from '../domain/events.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { isoText } from './dead-letter-list.ts';

export type Heap = {
  subscription: string;
  cause: string;
  open: number;
  lastHour: number;
  lastDay: number;
  oldestOpenAt: string | null;
  newestAt: string;
};

/** What lies there and what grew, by subscription and cause; what grew most in the last hour first. */
export async function countDeadLetters(db: Db, limit: number): Promise<Heap[]> {
  const rows = await db.execute(sql`
    select subscription, cause,
           (count(*) filter (where state = 'open'))::int as open,
           (count(*) filter (where created_at > now() - interval '1 hour'))::int as "lastHour",
           (count(*) filter (where created_at > now() - interval '1 day'))::int as "lastDay",
           ${isoText(sql`min(created_at) filter (where state = 'open')`)} as "oldestOpenAt",
           ${isoText(sql`max(created_at)`)} as "newestAt"
    from dead_letters
    where state = 'open' or created_at > now() - interval '1 day'
    group by subscription, cause
    order by "lastHour" desc, "lastDay" desc, open desc, subscription, cause
    limit ${limit}`);
  return rows as unknown as Heap[];
}

export type GrowthAlert = { subscription: string; because: string; raisedAt: string };

/** The alerts that stand now. */
export async function listGrowthAlerts(db: Db): Promise<GrowthAlert[]> {
  const rows = await db.execute(sql`
    select subscription, because, ${isoText(sql`raised_at`)} as "raisedAt"
    from dead_letter_alerts where cleared_at is null order by raised_at desc, subscription limit 1000`);
  return rows as unknown as GrowthAlert[];
}

type Counted = Growth & { subscription: string; raised: number };

async function countGrowth(db: Db): Promise<Counted[]> {
  const rows = await db.execute(sql`
    with heaps as (
      select subscription, count(*)::int as open,
             (count(*) filter (
               where created_at > now() - make_interval(mins => ${growthWindowMinutes}::int)))::int as grown
      from dead_letters where state = 'open' group by subscription
    )
    select subscription, coalesce(h.open, 0) as open, coalesce(h.grown, 0) as grown, coalesce(a.raised, 0) as raised,
           a.raised_at is not null and a.cleared_at is null as "isRaised",
           (extract(epoch from now() - a.raised_at) * 1000)::float8 as "sinceRaisedMs"
    from heaps h full join dead_letter_alerts a using (subscription)`);
  return rows as unknown as Counted[];
}

/** Looks at every subscription once, and raises and clears alerts. Any number of workers may do it at once. */
export async function checkGrowth(
  db: Db,
  limits: GrowthLimits,
): Promise<{ raised: string[]; cleared: string[] }> {
  const done = { raised: [] as string[], cleared: [] as string[] };
  for (const counted of await countGrowth(db)) {
    const verdict = judgeGrowth(counted, limits);
    const { subscription } = counted;
    if (verdict === 'raise' && (await raise(db, counted, limits))) done.raised.push(subscription);
    if (verdict === 'clear' && (await clear(db, counted))) done.cleared.push(subscription);
  }
  return done;
}

/** The count of its alerts so far names this one: of several workers that find it, one raises it. */
async function raise(db: Db, counted: Counted, limits: GrowthLimits): Promise<boolean> {
  const { subscription, open, grown, raised } = counted;
  const because = describeGrowth(counted, limits);
  const outcome = await change(db, {
    opKey: `dead-letters.growing:${subscription}:${raised + 1}`,
    write: sql`
      insert into dead_letter_alerts (subscription, raised, because, raised_at)
      values (${subscription}, 1, ${because}, now())
      on conflict (subscription) do update
      set raised = dead_letter_alerts.raised + 1, because = excluded.because, raised_at = now(), cleared_at = null
      where dead_letter_alerts.raised = ${raised}::int
      returning *`,
    events: [
      {
        type: eventTypes.deadLettersGrowing,
        severity: 'error',
        priority: 'high',
        source: { type: 'system', id: subscription },
        payload: { title: subscription, subscription, open, grown, reason: because },
      },
    ],
    audit: {
      ...{ actor: 'system', action: 'dead-letters.alert', subjectKind: 'subscription' },
      ...{ subjectId: subscription, detail: { open, grown } },
    },
  });
  return outcome.status === 'changed';
}

async function clear(db: Db, counted: Counted): Promise<boolean> {
  const { subscription, open, grown, raised } = counted;
  const outcome = await change(db, {
    opKey: `dead-letters.settled:${subscription}:${raised}`,
    write: sql`
      update dead_letter_alerts set cleared_at = now()
      where subscription = ${subscription} and raised = ${raised}::int and cleared_at is null
      returning *`,
    events: [
      {
        type: eventTypes.deadLettersSettled,
        source: { type: 'system', id: subscription },
        payload: { title: subscription, subscription, open, grown },
      },
    ],
    audit: {
      ...{ actor: 'system', action: 'dead-letters.settle', subjectKind: 'subscription' },
      ...{ subjectId: subscription, detail: { open, grown } },
    },
  });
  return outcome.status === 'changed';
}
