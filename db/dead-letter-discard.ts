import { sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { handledEvents } from './dead-letter-events.ts';

/** So many in one statement: its audit entry names each of them. */
const perStatement = 200;

export type Discarding = { ids: string[]; reason: string; actor: string; requestId: string; opKey: string };

/**
 * Gives dead letters up for good; answers which of them it was. Others were handled by somebody else meanwhile. One
 * that waits in a redrive may be discarded: the redrive then leaves it out.
 */
export async function discardDeadLetters(db: Db, input: Discarding): Promise<string[]> {
  const discarded: string[] = [];
  for (let at = 0; at < input.ids.length; at += perStatement) {
    const ids = input.ids.slice(at, at + perStatement);
    discarded.push(...(await discardSome(db, { ...input, ids, opKey: `${input.opKey}:${at}` })));
  }
  return discarded;
}

async function discardSome(db: Db, input: Discarding): Promise<string[]> {
  const { ids, reason, actor, requestId } = input;
  const [first = ''] = ids;
  const { keys, events } = handledEvents(eventTypes.deadLetterDiscarded, {
    rows: sql`extra_0`,
    keyed: sql`extra_1`,
  });
  const outcome = await change<{ discarded: string[] }>(db, {
    opKey: input.opKey,
    // The locks come first and in one order, so that of several statements over the same rows each row has one.
    write: sql`
      select l.ids from (
        select jsonb_agg(id) as ids from (
          select id from dead_letters
          where id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb)) and state = 'open'
          order by id for update) locked
      ) l where l.ids is not null`,
    also: [
      sql`
        update dead_letters d set state = 'discarded', handled_by = ${actor}, reason = ${reason}, handled_at = now()
        from changed
        where d.id in (select jsonb_array_elements_text(changed.ids)) and d.state = 'open'
        returning d.id, d.delivery_id, d.subscription, d.event_id, d.event_type, d.event, d.redrive_id,
                  ${actor}::text as by, ${reason}::text as why`,
      keys,
      events,
    ],
    audit: {
      ...{ actor, action: 'dead-letter.discard', subjectKind: 'dead-letter' },
      subjectId: ids.length === 1 ? first : `${first} and ${ids.length - 1} more`,
      detail: { requestId, reason, ids },
    },
    // The events are counted so that they are written before the chain's lock is taken.
    result: sql`jsonb_build_object(
      'discarded', (select coalesce(jsonb_agg(id order by id), '[]') from extra_0),
      'events', (select count(*) from extra_2))`,
  });
  return outcome.status === 'unchanged' ? [] : outcome.result.discarded;
}
