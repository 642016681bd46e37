import type { Delivery, DeliveryContext, DeliveryReport, EventHandler, Preview } from '../domain/delivery.ts';
import { isUnavailable, Unavailable } from './event-handlers.ts';
import { handled } from './turn.ts';

/**
 * What a handler has made of its deliveries so far. It goes through them from the first to the last, so that one that was
 * interrupted by an outage goes on where it was.
 */
export type Progress = DeliveryReport & { previews: Preview[]; done: number };

export function noProgress(): Progress {
  return { failures: [], later: [], previews: [], done: 0 };
}

type Call = (deliveries: Delivery[]) => Promise<Partial<Omit<Progress, 'done'>>>;

/** Hands deliveries over for good. It throws only when nothing more could be tried. */
export async function deliver(
  handler: EventHandler,
  deliveries: Delivery[],
  context: DeliveryContext,
  progress: Progress,
): Promise<void> {
  const rest = deliveries.slice(progress.done);
  await isolated(rest, context, progress, (some) => handled(handler.deliver(some, context)));
}

/** Asks what the handler would do with them. */
export async function preview(
  handler: EventHandler,
  deliveries: Delivery[],
  context: DeliveryContext,
  progress: Progress,
): Promise<void> {
  const rest = deliveries.slice(progress.done);
  await isolated(rest, context, progress, async (some) => ({
    previews: await handled(handler.preview(some, context)),
  }));
}

/**
 * Halves what fails as a whole until the event that is to blame stands alone: it harms only itself, and finding it takes
 * few calls however long the batch is.
 */
async function isolated(
  deliveries: Delivery[],
  context: DeliveryContext,
  progress: Progress,
  call: Call,
): Promise<void> {
  if (deliveries.length === 0) return;
  try {
    add(progress, deliveries.length, await call(deliveries));
  } catch (error) {
    if (isUnavailable(error)) throw error;
    // What a handler throws when it is told to stop is nobody's fault.
    if (context.signal.aborted) throw new Unavailable('The turn of the consumer is over', { cause: error });
    const [only] = deliveries;
    if (only !== undefined && deliveries.length === 1) {
      const text = error instanceof Error ? error.message : String(error);
      const failure = { eventId: only.event.id, part: only.part, cause: 'HANDLER_FAILED', error: text };
      add(progress, 1, { failures: [failure] });
      return;
    }
    const middle = Math.ceil(deliveries.length / 2);
    await isolated(deliveries.slice(0, middle), context, progress, call);
    await isolated(deliveries.slice(middle), context, progress, call);
  }
}

function add(progress: Progress, count: number, more: Partial<Omit<Progress, 'done'>>): void {
  progress.failures.push(...(more.failures ?? []));
  progress.later.push(...(more.later ?? []));
  progress.previews.push(...(more.previews ?? []));
  progress.done += count;
}
