import { ActivityCancellationDetails } from '@temporalio/common';
import type { MockActivityEnvironment } from '@temporalio/testing';
import { createSubscriptionActivities, type TurnEnd } from '../../activities/subscriptions.ts';
import type { Wakeups } from '../../db/wakeups.ts';
import { newId } from '../../db/ids.ts';
import { type Delivery, type EventHandler, nothingFailed } from '../../domain/delivery.ts';
import type { EventInput } from '../../domain/events.ts';
import type { CompiledFilter } from '../../domain/routing.ts';
import { type EventMatch, lanesOf } from '../../domain/subscription.ts';
import { anEnvironment } from '../activities/calls.ts';
import type { TestDatabase } from './database.ts';

export const everything: EventMatch = { types: [], minSeverity: 'info', excludeSourceTypes: [] };

export type SubscriptionGiven = {
  strategy?: 'broadcast' | 'direct' | 'filtered' | 'priority' | 'balanced';
  match?: Partial<EventMatch>;
  consumers?: number;
  maxAttempts?: number;
  backoffMs?: number;
  deadlineMs?: number;
};

/** A subscription of events of one type, which begins at the beginning of the log. */
export async function aSubscription(database: TestDatabase, given: SubscriptionGiven = {}) {
  const key = newId('sub');
  const type = `test.${key.replaceAll('_', '-')}`;
  const { strategy = 'broadcast', consumers = 1, maxAttempts = 3, backoffMs = 20, deadlineMs = null } = given;
  const match = { ...everything, types: [type], ...given.match };
  await database.root`
    insert into subscriptions (key, handler, match, strategy, consumers, max_attempts, backoff_ms, max_backoff_ms, deadline_ms)
    values (${key}, 'note', ${JSON.stringify(match)}::text::jsonb, ${strategy}, ${consumers}, ${maxAttempts}, ${backoffMs},
            ${backoffMs}, ${deadlineMs})`;
  await database.root`
    insert into subscription_lanes (subscription, lane, cursor_tx, cursor_seq)
    select ${key}, lane, pg_snapshot_xmin(pg_current_snapshot()), 0
    from jsonb_array_elements_text(${JSON.stringify(lanesOf({ strategy, consumers }))}::text::jsonb) as lane`;
  const anEvent = (more: Partial<EventInput> = {}): EventInput => ({
    id: newId('evt'),
    type,
    source: { type: 'api', id: 'shop' },
    severity: 'info',
    payload: {},
    metadata: {},
    ...more,
  });
  return { key, type, anEvent };
}

export type Consumer = {
  turn: Promise<TurnEnd>;
  environment: MockActivityEnvironment;
  stop: () => Promise<TurnEnd>;
};

/** Consumers of one subscription with one handler; each `start` is a turn of its own. */
export function consumersOf(
  database: TestDatabase,
  wakeups: Wakeups,
  key: string,
  given: Partial<EventHandler> & {
    compileFilter?: (text: string) => CompiledFilter;
    turnMs?: number;
  } = {},
) {
  const delivered: Delivery[] = [];
  const note = async (deliveries: Delivery[]) => {
    delivered.push(...deliveries);
    return Promise.resolve(nothingFailed);
  };
  const handler: EventHandler = {
    deliver: given.deliver ?? note,
    preview: given.preview ?? (() => Promise.resolve([])),
  };
  const { consumeEvents, readSubscription } = createSubscriptionActivities({
    database,
    handlers: { note: handler, webhook: handler },
    compileFilter: given.compileFilter ?? (() => ({ matches: () => true })),
    wakeups,
    turnMs: given.turnMs ?? 60_000,
  });
  return {
    delivered,
    ids: () => delivered.map(({ event }) => event.id),
    look: () => readSubscription({ key }),
    start(consumer = 0): Consumer {
      const environment = anEnvironment();
      const turn: Promise<TurnEnd> = environment.run(consumeEvents, { key, consumer });
      // Looked at when the test stops it.
      turn.catch(() => undefined);
      return {
        turn,
        environment,
        stop() {
          environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
          return turn;
        },
      };
    },
  };
}
