import { sql } from 'drizzle-orm';
import { eventTypes } from '../domain/events.ts';
import { gapMs } from '../domain/redrive.ts';
import { change } from './change.ts';
import type { Db } from './client.ts';
import { handledEvents } from './dead-letter-events.ts';
import { isoText } from './dead-letter-list.ts';
import { getRedrive } from './redrives.ts';

export type Release = {
  id: string;
  count: number;
  canary: boolean;
  /** How many items had their turn before: the same release asked for twice is one. */
  handled: number;
};

/**
 * Hands the next dead letters of a redrive over again, in the name of who asked for it: they are requeued, and their
 * deliveries, under the same ids, are due one after the other. What is no longer open at its turn is left out.
 */
export async function releaseItems(db: Db, input: Release): Promise<number> {
  const { id, count, canary, handled } = input;
  const redrive = await getRedrive(db, id);
  if (redrive === null) return 0;
  const { keys, events } = handledEvents(eventTypes.deadLetterRedriven, {
    rows: sql`extra_1`,
    keyed: sql`extra_4`,
  });
  const due = sql`now() + make_interval(secs => q.turn * ${gapMs(redrive.perMinute) / 1000}::double precision)`;
  const outcome = await change<{ released: number }>(db, {
    opKey: `redrive.release:${id}:${handled}`,
    write: sql`
      update redrives set state = ${canary ? sql`state` : 'releasing'}
      where id = ${id} and state in ('canary', 'releasing')
      returning *`,
    also: [
      sql`
        select i.dead_letter_id, row_number() over (order by i.place) - 1 as turn
        from changed join redrive_items i on i.redrive_id = changed.id
        where i.state = 'waiting' order by i.place limit ${count}::int`,
      sql`
        update dead_letters l set state = 'requeued', handled_by = changed.requested_by, reason = changed.reason,
                                  handled_at = now()
        from changed, extra_0 p
        where l.id = p.dead_letter_id and l.state = 'open' and l.redrive_id = changed.id
          and exists (select from deliveries d where d.id = l.delivery_id and d.state = 'failed')
        returning l.id, l.delivery_id, l.subscription, l.event_id, l.event_type, l.event, l.redrive_id, p.turn,
                  changed.requested_by as by, changed.reason as why`,
      sql`
        update deliveries d set state = 'pending', attempts = 0, due_at = ${due}, claimed_until = null,
               claim_epoch = d.claim_epoch + 1, ended_at = null, previews = null,
               deadline_at = ${due} + s.deadline_ms * interval '1 millisecond',
               history = d.history || jsonb_build_array(jsonb_build_object(
                 'at', ${isoText(sql`now()`)}, 'cause', 'REDRIVEN', 'error', q.by || ' handed it over again: ' || ${id}))
        from extra_1 q join subscriptions s on s.key = q.subscription
        where d.id = q.delivery_id and d.state = 'failed'
        returning d.id`,
      sql`
        update redrive_items i
        set state = case when q.id is null then 'left-out' else 'released' end,
            is_canary = ${canary}::boolean and q.id is not null,
            because = case when q.id is null then 'It was handled by somebody else before its turn.' end,
            released_at = case when q.id is null then null else now() end,
            ended_at = case when q.id is null then now() end
        from extra_0 p left join extra_1 q on q.id = p.dead_letter_id
        where i.redrive_id = ${id} and i.dead_letter_id = p.dead_letter_id and i.state = 'waiting'
        returning i.state`,
      keys,
      events,
    ],
    audit: {
      ...{ actor: redrive.requestedBy, action: 'redrive.release', subjectKind: 'redrive', subjectId: id },
      detail: { canary, count, handled },
    },
    // Everything is counted, so that all of it is written before the chain's lock is taken.
    result: sql`jsonb_build_object(
      'released', (select count(*) from extra_2),
      'items', (select count(*) from extra_3),
      'events', (select count(*) from extra_5))`,
  });
  return outcome.status === 'unchanged' ? 0 : outcome.result.released;
}
