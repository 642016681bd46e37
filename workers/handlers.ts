import type { Client } from '@temporalio/client';
import type { Logger } from '@temporalio/worker';
import { type EventHandlers, Unavailable } from '../activities/event-handlers.ts';
import { createMemoryHandler } from '../activities/memory.ts';
import { createSignalHandler } from '../activities/signal-handler.ts';
import { createWormholesHandler } from '../activities/wormholes.ts';
import { createWebhookHandler } from '../activities/webhook-handler.ts';
import type { Database } from '../db/client.ts';
import type { SecretBox } from '../db/sealed.ts';
import { triggersOf } from '../domain/bus-triggers.ts';
import { type EventHandler, nothingFailed } from '../domain/delivery.ts';
import { memorySubscription } from '../domain/memory.ts';
import { haloSubscription, notifySubscription, wormholesSubscription } from '../domain/subscription.ts';
import { createNotifyHandler } from './notify.ts';
import type { Runs } from './runs.ts';

export type HandlerDeps = {
  database: Database;
  client: Client;
  runs: Pick<Runs, 'triggerHalo' | 'startNotification' | 'startTask'>;
  agentRoot: string;
  secretBox: SecretBox;
  /** Where people reach the API: links begin with it. */
  baseUrl: string;
  log: Logger;
};

/** Every handler a subscription can name; one that is not here is refused when its consumer starts. */
export function createHandlers(deps: HandlerDeps): EventHandlers {
  return {
    [haloSubscription.handler]: createHaloHandler(deps),
    [notifySubscription.handler]: createNotifyHandler(deps),
    [wormholesSubscription.handler]: createWormholesHandler(deps),
    [memorySubscription.handler]: createMemoryHandler(deps),
    webhook: createWebhookHandler(deps),
    signal: createSignalHandler(deps),
  };
}

/** Hands a batch to HALO as one trigger. HALO is woken or it is not: no event is to blame for a Temporal that is away. */
function createHaloHandler({ runs }: { runs: Pick<Runs, 'triggerHalo'> }): EventHandler {
  return {
    async deliver(deliveries) {
      try {
        await runs.triggerHalo(deliveries.map(({ event }) => event));
      } catch (error) {
        throw new Unavailable('HALO was not reached', { cause: error });
      }
      return nothingFailed;
    },

    preview(deliveries) {
      return Promise.resolve(
        deliveries.map(({ event, part }) => {
          const [trigger] = triggersOf([event]);
          const urgent = trigger?.urgent === true;
          const when = urgent ? 'at once' : 'within the error window';
          const would =
            trigger === undefined ? 'do nothing: HALO never wakes itself' : `trigger a HALO cycle ${when}`;
          return { eventId: event.id, part, would, detail: { urgent, mode: trigger?.mode ?? null } };
        }),
      );
    },
  };
}
