import {
  type Delivery,
  type DeliveryContext,
  type DeliveryReport,
  type EventHandler,
  nothingFailed,
  type Preview,
} from '../domain/delivery.ts';
import { isUnavailable, Unavailable } from './event-handlers.ts';
import { handled } from './turn.ts';

/** What a handler made of its deliveries. */
export type HandedOver = DeliveryReport & { previews: Preview[] };

type Call = (deliveries: Delivery[]) => Promise<HandedOver>;

/** Hands deliveries over for good. It throws only when nothing could be tried. */
export function deliver(
  handler: EventHandler,
  deliveries: Delivery[],
  context: DeliveryContext,
): Promise<HandedOver> {
  return isolated(deliveries, context, async (some) => ({
    ...(await handled(handler.deliver(some, context))),
    previews: [],
  }));
}

/** Asks what the handler would do with them. */
export function preview(
  handler: EventHandler,
  deliveries: Delivery[],
  context: DeliveryContext,
): Promise<HandedOver> {
  return isolated(deliveries, context, async (some) => ({
    ...nothingFailed,
    previews: await handled(handler.preview(some, context)),
  }));
}

/**
 * Halves what fails as a whole until the event that is to blame stands alone: it harms only itself, and finding it takes
 * few calls however long the batch is.
 */
async function isolated(deliveries: Delivery[], context: DeliveryContext, call: Call): Promise<HandedOver> {
  if (deliveries.length === 0) return { ...nothingFailed, previews: [] };
  try {
    return await call(deliveries);
  } catch (error) {
    if (isUnavailable(error)) throw error;
    // What a handler throws when it is told to stop is nobody's fault.
    if (context.signal.aborted) throw new Unavailable('The turn of the consumer is over', { cause: error });
    const [only] = deliveries;
    if (only !== undefined && deliveries.length === 1) {
      const text = error instanceof Error ? error.message : String(error);
      const failure = { eventId: only.event.id, part: only.part, cause: 'HANDLER_FAILED', error: text };
      return { failures: [failure], later: [], previews: [] };
    }
    const middle = Math.ceil(deliveries.length / 2);
    const first = await isolated(deliveries.slice(0, middle), context, call);
    const second = await isolated(deliveries.slice(middle), context, call);
    return {
      failures: [...first.failures, ...second.failures],
      later: [...first.later, ...second.later],
      previews: [...first.previews, ...second.previews],
    };
  }
}
