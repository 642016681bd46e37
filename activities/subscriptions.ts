import { Context } from '@temporalio/activity';
import type { Database } from '../db/client.ts';
import { newId } from '../db/ids.ts';
import { prepareLanes } from '../db/lanes.ts';
import {
  getSubscription,
  statusOf,
  type SubscriptionRow,
  type SubscriptionStatus,
} from '../db/subscriptions.ts';
import type { Wakeups } from '../db/wakeups.ts';
import { DomainError, isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import type { CompiledFilter, Routable } from '../domain/routing.ts';
import { followCursor } from './cursor-loop.ts';
import { deliverDue } from './due-loop.ts';
import type { EventHandlers } from './event-handlers.ts';
import { openLanes } from './lanes.ts';
import { answered, type Ended, type Turn } from './turn.ts';

export type SubscriptionActivities = ReturnType<typeof createSubscriptionActivities>;

type Deps = {
  database: Database;
  handlers: EventHandlers;
  /** Makes a filter expression ready, or says what is wrong with it. */
  compileFilter: (text: string) => CompiledFilter | Refusal;
  wakeups: Wakeups;
  turnMs: number;
};

/** Both loops are woken; this is for what could not wake them. */
const slowPollMs = 5_000;
const heartbeatMs = 1_000;

export type TurnEnd = { ended: Ended; delivered: number; failed: number };

export type SubscriptionLook = { status: SubscriptionStatus; consumers: number };

/** The consumers of a subscription: each follows its lanes of the log and makes the deliveries that are due. */
export function createSubscriptionActivities(deps: Deps) {
  const { database, handlers, compileFilter, wakeups, turnMs } = deps;

  function routableOf({ key, strategy, match, enabled }: SubscriptionRow): Routable {
    const filter = strategy === 'filtered' ? compileFilter(match.filter ?? '') : null;
    if (isRefusal(filter)) throw new DomainError(filter);
    return { key, strategy, match, filter, enabled };
  }

  return {
    /** What its run has to know before it starts consumers. */
    async readSubscription({ key }: { key: string }): Promise<SubscriptionLook> {
      const row = await getSubscription(database.db, key);
      const isShared = row?.strategy === 'balanced';
      return { status: statusOf(row), consumers: isShared ? row.consumers : 1 };
    },

    /** One turn of a consumer; it ends after a while so that the owning workflow can continue as new. */
    async consumeEvents(input: { key: string; consumer?: number }): Promise<TurnEnd> {
      const context = Context.current();
      const signal = context.cancellationSignal;
      const row = await answered(prepareLanes(database, input.key));
      const status = statusOf(row);
      if (row === null || status !== 'running') return { ...nothing, ended: stoppedBy(status) };
      const handler = handlers[row.handler];
      if (handler === undefined)
        throw new DomainError(refuse('NOT_FOUND', `This worker has no handler ${row.handler}.`));

      const over = new AbortController();
      const turn: Turn = {
        ...{ database, row, handler, wakeups, signal },
        consumer: input.consumer ?? 0,
        holder: newId('cns'),
        routable: routableOf(row),
        until: Date.now() + turnMs,
        stop: AbortSignal.any([signal, over.signal]),
        count: { delivered: 0, failed: 0 },
        warn(message, error) {
          const text = error instanceof Error ? error.message : String(error);
          context.log.warn(message, { subscription: row.key, error: text });
        },
      };
      const lanes = await openLanes(turn, slowPollMs);
      if (lanes === null) return { ...nothing, ended: 'changed' };

      const beat = setInterval(() => context.heartbeat(turn.count), heartbeatMs);
      const due = deliverDue(turn, slowPollMs).finally(() => over.abort());
      // Looked at below; until then a rejection nobody handles would end the process.
      due.catch(() => undefined);
      try {
        const ended = await followCursor(turn, lanes).finally(() => over.abort());
        await due;
        // A worker that shuts down ends its turn; the next worker takes the lanes.
        if (signal.aborted && context.cancellationDetails?.workerShutdown !== true) signal.throwIfAborted();
        return { ended, ...turn.count };
      } finally {
        clearInterval(beat);
        await Promise.allSettled([due, lanes.leave()]);
      }
    },
  };
}

const nothing = { delivered: 0, failed: 0 };

function stoppedBy(status: SubscriptionStatus): Ended {
  return status === 'running' ? 'changed' : status;
}
