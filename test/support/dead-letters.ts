import { deliveryStates, type DeliveryState } from '../../domain/delivery.ts';
import type { LoggedEvent } from '../../domain/events.ts';
import { derivedId, newId } from '../../db/ids.ts';
import type postgres from 'postgres';
import { aLoggedEvent } from './events.ts';

/** A connection that may write every table. */
type Records = { root: postgres.Sql };

/** A subscription of its own for a test, with nobody consuming it. */
export async function aSubscription(database: Records, given: { deadlineMs?: number } = {}): Promise<string> {
  const key = newId('sub');
  await database.root`
    insert into subscriptions (key, handler, match, deadline_ms)
    values (${key}, 'test', '{"types":[],"minSeverity":"info","excludeSourceTypes":[]}', ${given.deadlineMs ?? null})`;
  return key;
}

export type GivenLetter = {
  event?: Partial<LoggedEvent>;
  cause?: string;
  error?: string;
  /** Milliseconds ago at which it was given up. */
  ageMs?: number;
  replayId?: string;
};
export type Letter = { id: string; deliveryId: string; eventId: string };

/** Dead letters with their failed deliveries, as the consumer leaves them behind; the first is the oldest. */
export async function someLetters(
  database: Records,
  subscription: string,
  count: number,
  given: GivenLetter = {},
): Promise<Letter[]> {
  const { cause = 'HANDLER_FAILED', error = 'it broke', ageMs = 60_000, replayId = null } = given;
  const rows = Array.from({ length: count }, (_none, place) => {
    const event = aLoggedEvent({ ...given.event, ...(count === 1 ? {} : { id: newId('evt') }) });
    const deliveryId = derivedId('dlv', [subscription, event.id, '', replayId ?? ''].join('|'));
    return { place, id: newId('ddl'), deliveryId, event, eventId: event.id, type: event.type };
  });
  await database.root`
    with given as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r(
        place int, id text, "deliveryId" text, event jsonb, "eventId" text, type text)
    ),
    failed as (
      insert into deliveries (id, subscription, event_id, event_recorded_at, state, attempts, due_at, history, ended_at,
                              claim_epoch, last_error, replay_id, deadline_at)
      select g."deliveryId", ${subscription}, g."eventId", '2026-01-01', 'failed', 5, now(),
             ${JSON.stringify([{ at: '2026-01-01T00:00:00.000Z', cause, error }])}::text::jsonb, now(), 5, ${error},
             ${replayId}, '2026-01-02'
      from given g
    )
    insert into dead_letters (id, delivery_id, subscription, event_id, event_type, event, cause, error, history, attempts,
                              created_at)
    select g.id, g."deliveryId", ${subscription}, g."eventId", g.type, g.event, ${cause}, ${error},
           ${JSON.stringify([{ at: '2026-01-01T00:00:00.000Z', cause, error }])}::text::jsonb, 5,
           now() - make_interval(secs => ${ageMs / 1000}::float8) + g.place * interval '1 millisecond'
    from given g`;
  return rows.map(({ id, deliveryId, eventId }) => ({ id, deliveryId, eventId }));
}

/** Plays the consumer: the delivery is completed. */
export async function completeDelivery(database: Records, deliveryId: string): Promise<void> {
  await database.root`
    update deliveries set state = 'completed', attempts = attempts + 1, ended_at = now()
    where id = ${deliveryId} and state = 'pending'`;
}

/** Plays the consumer: the delivery is given up anew, and leaves another dead letter behind. */
export async function failDelivery(database: Records, deliveryId: string, cause: string): Promise<void> {
  await database.root`
    with failed as (
      update deliveries set state = 'failed', attempts = 5, ended_at = now()
      where id = ${deliveryId} and state = 'pending' returning id
    )
    insert into dead_letters (id, delivery_id, subscription, event_id, event_type, event, cause, error, history, attempts)
    select ${newId('ddl')}, l.delivery_id, l.subscription, l.event_id, l.event_type, l.event, ${cause}, 'again', '[]', 5
    from failed join lateral (
      select * from dead_letters l where l.delivery_id = failed.id order by created_at desc limit 1) l on true`;
}

export type StoredDelivery = {
  state: DeliveryState;
  attempts: number;
  claimEpoch: number;
  dueMs: number;
  history: { cause: string; error: string }[];
  deadlineInMs: number | null;
};

/** Deliveries of a subscription by when they are due; `dueMs` counts from now. */
export async function deliveriesOf(
  database: Records,
  subscription: string,
  state: DeliveryState | 'any' = 'any',
): Promise<(StoredDelivery & { id: string })[]> {
  const states = state === 'any' ? [...deliveryStates] : [state];
  const rows = await database.root<(StoredDelivery & { id: string })[]>`
    select id, state, attempts, claim_epoch as "claimEpoch", history,
           (extract(epoch from due_at - now()) * 1000)::float8 as "dueMs",
           (extract(epoch from deadline_at - due_at) * 1000)::float8 as "deadlineInMs"
    from deliveries where subscription = ${subscription} and state = any(${states})
    order by due_at, id`;
  return [...rows];
}

export async function letterStates(database: Records, ids: string[]): Promise<string[]> {
  const rows = await database.root<{ id: string; state: string }[]>`
    select id, state from dead_letters where id = any(${ids})`;
  const states = new Map(rows.map(({ id, state }) => [id, state]));
  return ids.map((id) => states.get(id) ?? 'gone');
}
