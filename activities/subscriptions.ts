import { Context } from '@temporalio/activity';
import type { Database } from '../db/client.ts';
import { hasHiddenAfter, type Position, readAfter } from '../db/events.ts';
import { moveCursor, takeLease } from '../db/subscriptions.ts';
import type { Wakeups } from '../db/wakeups.ts';
import type { LoggedEvent } from '../domain/events.ts';
import { DomainError, refuse } from '../domain/refusal.ts';
import { matchesEvent } from '../domain/subscription.ts';

export type SubscriptionActivities = ReturnType<typeof createSubscriptionActivities>;

/** Called with events in log order, at least once each: a handler is idempotent by event id. */
export type EventHandler = (events: LoggedEvent[]) => Promise<void>;

type Deps = { database: Database; handlers: Record<string, EventHandler>; wakeups: Wakeups; turnMs: number };

const batchSize = 500;
const slowPollMs = 1_000;
const horizonPollMs = 4;

export type TurnEnd = { ended: 'turn-over' | 'switched-off' | 'taken-over'; delivered: number };

/** The consumer of one subscription: reads the log behind the horizon and hands matching events on. */
export function createSubscriptionActivities({ database, handlers, wakeups, turnMs }: Deps) {
  const { log } = database;

  async function waitForMore(after: Position, mark: number, signal: AbortSignal): Promise<void> {
    const woken = await wakeups.after(mark, slowPollMs, signal);
    if (woken === 'timeout') return;
    // The announced rows may still be above the horizon; it moves as soon as older transactions end.
    for (let poll = 0; poll < 25 && !signal.aborted; poll += 1) {
      const [ready] = await readAfter(log, after, 1);
      if (ready !== undefined || !(await hasHiddenAfter(log, after))) return;
      await wakeups.after(wakeups.mark(), horizonPollMs, signal);
    }
  }

  return {
    /** One turn of a consumer; it ends after a while so that the owning workflow can continue as new. */
    async consumeEvents(input: { key: string }): Promise<TurnEnd> {
      const context = Context.current();
      const signal = context.cancellationSignal;
      const lease = await takeLease(log, input.key);
      if (lease === null) return { ended: 'switched-off', delivered: 0 };
      const handle = handlers[lease.handler];
      if (handle === undefined)
        throw new DomainError(refuse('NOT_FOUND', `This worker has no handler ${lease.handler}.`));
      const until = Date.now() + turnMs;
      let { cursor } = lease;
      let delivered = 0;
      while (Date.now() < until && !signal.aborted) {
        context.heartbeat(cursor);
        const mark = wakeups.mark();
        const batch = await readAfter(log, cursor, batchSize);
        const last = batch.at(-1);
        if (last === undefined) {
          await waitForMore(cursor, mark, signal);
          continue;
        }
        const matching = batch.filter((event) => matchesEvent(lease.match, event));
        if (matching.length > 0) await handle(matching);
        const to = { tx: last.tx, seq: last.seq };
        const kept = await moveCursor(log, {
          key: input.key,
          epoch: lease.epoch,
          to,
          delivered: matching.length,
        });
        if (!kept) return { ended: 'taken-over', delivered };
        cursor = to;
        delivered += matching.length;
      }
      // A worker that shuts down ends its turn; the next worker takes the lease.
      if (signal.aborted && context.cancellationDetails?.workerShutdown !== true) signal.throwIfAborted();
      return { ended: 'turn-over', delivered };
    },
  };
}
