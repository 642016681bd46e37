import { and, asc, isNotNull, isNull, lte, sql, type SQL } from 'drizzle-orm';
import type { Db } from './client.ts';
import { type DeadLetterFilter, isoText, matchesFilter } from './dead-letter-list.ts';
import { deadLetters } from './schema/index.ts';

export type HandledAs = 'redrive' | 'discard';
export type SelectedLetter = {
  id: string;
  subscription: string;
  eventType: string;
  cause: string;
  error: string;
  createdAt: Date;
};
export type LeftOutLetter = { id: string; why: string };
export type LetterSelection = {
  /** Oldest first. */
  items: SelectedLetter[];
  leftOut: LeftOutLetter[];
  /** There are further ones that fit. */
  more: boolean;
};

export type LetterWish = {
  /** Named ones, or those that fit a filter. */
  which: { ids: string[] } | { filter: DeadLetterFilter };
  maximum: number;
  /** Of a filter: only those up to this time, so that a later call is about what a preview showed. */
  until: Date | null;
};

const mostLeftOut = 50;

/** Why a dead letter cannot be handled now; null where it can. */
function whyNot(as: HandledAs): SQL<string | null> {
  const { state, handledBy, handledAt, reason, redriveId } = deadLetters;
  const at = isoText(sql`${handledAt}`);
  const settled = sql`
    when ${state} = 'discarded' then 'It was discarded by ' || ${handledBy} || ' at ' || ${at}
      || ' (' || coalesce(${reason}, '') || '), and what is discarded stays so.'
    when ${state} = 'requeued' then 'It was handed over again by ' || ${handledBy} || ' at ' || ${at}
      || coalesce(' in the redrive ' || ${redriveId}, '') || '.'`;
  if (as === 'discard') return sql`case ${settled} end`;
  return sql`case ${settled}
    when ${redriveId} is not null then 'The redrive ' || ${redriveId} || ' has taken it up already.'
    when ${deliveryState} is null then 'Its delivery is gone, so there is nothing to hand over again.'
    when ${deliveryState} <> 'failed' then 'Its delivery is ' || ${deliveryState} || '.'
    when not ${isSubscribed} then 'Its subscription ' || ${deadLetters.subscription}
      || ' is switched off; enable it first.'
  end`;
}

const deliveryState = sql`(select d.state from deliveries d where d.id = ${deadLetters.deliveryId})`;
const isSubscribed = sql`exists (
  select from subscriptions s where s.key = ${deadLetters.subscription} and s.enabled)`;

/** The dead letters that a redrive or a discard is about, and why others are not. */
export async function selectLetters(db: Db, wish: LetterWish, as: HandledAs): Promise<LetterSelection> {
  const { id, subscription, eventType, cause, error, createdAt } = deadLetters;
  const why = whyNot(as);
  const oldestFirst = [asc(createdAt), asc(id)];
  const wanted =
    'ids' in wish.which
      ? isOneOf(wish.which.ids)
      : and(
          matchesFilter({ ...wish.which.filter, state: 'open' }),
          wish.until === null ? undefined : lte(createdAt, wish.until),
        );
  const items = await db
    .select({ id, subscription, eventType, cause, error, createdAt })
    .from(deadLetters)
    .where(and(wanted, isNull(why)))
    .orderBy(...oldestFirst)
    .limit(wish.maximum + 1);
  const others = await db
    .select({ id, why })
    .from(deadLetters)
    .where(and(wanted, isNotNull(why)))
    .orderBy(...oldestFirst)
    .limit(mostLeftOut);
  const leftOut = others.map((row) => ({ id: row.id, why: row.why ?? '' }));
  if ('ids' in wish.which) leftOut.push(...(await unknownOf(db, wish.which.ids)));
  return { items: items.slice(0, wish.maximum), leftOut, more: items.length > wish.maximum };
}

/** True for the dead letters with these ids, as one parameter however many they are. */
function isOneOf(ids: string[]): SQL {
  return sql`${deadLetters.id} in (select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))`;
}

async function unknownOf(db: Db, ids: string[]): Promise<LeftOutLetter[]> {
  const known = await db.select({ id: deadLetters.id }).from(deadLetters).where(isOneOf(ids));
  const isKnown = new Set(known.map((row) => row.id));
  return ids.filter((id) => !isKnown.has(id)).map((id) => ({ id, why: `There is no dead letter ${id}.` }));
}
