import type { Database } from '../db/client.ts';
import { deliveryId } from '../db/deliveries.ts';
import type { SecretBox } from '../db/sealed.ts';
import { getSubscription } from '../db/subscriptions.ts';
import type {
  Delivery,
  DeliveryContext,
  DeliveryFailure,
  DeliveryReport,
  EventHandler,
} from '../domain/delivery.ts';
import { publicEvent } from '../domain/event-view.ts';
import type { Refusal } from '../domain/refusal.ts';
import { asUnavailable, holdOnDeliveries } from './delivery-hold.ts';
import { Unavailable } from './event-handlers.ts';
import { postWebhook, type WebhookReceipt, webhookTarget, type WebhookTarget } from './webhook-post.ts';

type Deps = { database: Database; agentRoot: string; secretBox: SecretBox };

const concurrency = 8;
/** After so many requests in a row that nobody answered, one at a time is tried, and after some more none. */
const carefulAfter = 5;
const stopAfter = 8;
const holdCheckMs = 1_000;

/** Posts each event to the subscription's address, signed; a receiver knows a repetition by its `webhook-id`. */
export function createWebhookHandler({ database, ...keys }: Deps): EventHandler {
  const { db } = database;

  async function targetOf(key: string): Promise<WebhookTarget | null> {
    const row = await asUnavailable(() => getSubscription(db, key));
    return row === null ? null : webhookTarget(row, keys);
  }

  return {
    async deliver(deliveries, context) {
      const { subscription: key, signal } = context;
      const hold = await holdOnDeliveries(db, key);
      if (hold !== null) throw new Unavailable(hold.message);
      const target = await targetOf(key);
      if (target === null)
        return failed(deliveries, 'REFUSED', 'The subscription has no address; give it one.', true);
      const report: DeliveryReport = { failures: [], later: [] };
      const waiting = [...deliveries];
      let inARow = 0;
      let checkedAt = Date.now();
      let fallen: Refusal | null = null;

      async function next(lane: number): Promise<void> {
        while (
          fallen === null &&
          waiting.length > 0 &&
          inARow < stopAfter &&
          (lane === 0 || inARow < carefulAfter)
        ) {
          signal.throwIfAborted();
          if (Date.now() - checkedAt > holdCheckMs) {
            checkedAt = Date.now();
            fallen = await holdOnDeliveries(db, key);
            if (fallen !== null) return;
          }
          const delivery = waiting.shift();
          if (delivery === undefined) return;
          const receipt = await send(target as WebhookTarget, delivery, context);
          inARow = receipt.status === null && !receipt.ok && !receipt.isFinal ? inARow + 1 : 0;
          if (!receipt.ok) report.failures.push(failure(delivery, receipt));
        }
      }

      while (waiting.length > 0 && inARow < stopAfter) {
        const lanes = inARow < carefulAfter ? concurrency : 1;
        await Promise.all(Array.from({ length: lanes }, (_, lane) => next(lane)));
        // Nothing is lost and nothing counts as tried; what was sent already comes again under the same webhook-id.
        if (fallen !== null) throw new Unavailable((fallen as Refusal).message);
      }
      const untried = `${target.origin} did not answer the ${stopAfter} deliveries before this one, which was not tried.`;
      return {
        ...report,
        failures: [...report.failures, ...failed(waiting, 'UNREACHABLE', untried).failures],
      };
    },

    async preview(deliveries, { subscription: key }) {
      const target = await targetOf(key);
      return deliveries.map((delivery) => ({
        eventId: delivery.event.id,
        part: delivery.part,
        would: target === null ? 'fail: the subscription has no address' : `POST to ${target.origin}, signed`,
        detail: {
          origin: target?.origin ?? null,
          webhookId: idOf(key, delivery),
          bytes: Buffer.byteLength(bodyOf(key, delivery)),
        },
      }));
    },
  };
}

function idOf(subscription: string, { event, part, replay }: Delivery): string {
  return deliveryId({ subscription, eventId: event.id, part, replayId: replay?.id ?? null });
}

function bodyOf(subscription: string, { event, attempt, replay }: Delivery): string {
  return JSON.stringify({
    ...publicEvent(event),
    subscription,
    attempt,
    ...(replay === null ? {} : { replayOf: replay.id }),
  });
}

function send(target: WebhookTarget, delivery: Delivery, context: DeliveryContext): Promise<WebhookReceipt> {
  const { event, attempt } = delivery;
  const { subscription, signal } = context;
  return postWebhook(target, {
    id: idOf(subscription, delivery),
    body: bodyOf(subscription, delivery),
    headers: envelopeHeaders(subscription, event, attempt),
    signal,
  });
}

/** The envelope of an event (BUS-040): the way it came and how often it was tried. */
function envelopeHeaders(
  key: string,
  event: Pick<Delivery['event'], 'type' | 'path'>,
  attempt: number,
): Record<string, string> {
  return {
    'x-dreamnet-subscription': key,
    'x-dreamnet-event-type': event.type,
    'x-dreamnet-attempt': String(attempt),
    'x-dreamnet-hops': String(event.path.length),
    'x-dreamnet-path': event.path.map(encodeURIComponent).join(','),
  };
}

function failure(
  { event, part }: Delivery,
  receipt: Extract<WebhookReceipt, { ok: false }>,
): DeliveryFailure {
  const cause = receipt.isFinal ? 'REFUSED' : receipt.status === null ? 'UNREACHABLE' : 'HANDLER_FAILED';
  return { eventId: event.id, part, cause, error: receipt.error, isFinal: receipt.isFinal };
}

function failed(deliveries: Delivery[], cause: string, error: string, isFinal = false): DeliveryReport {
  return {
    failures: deliveries.map(({ event, part }) => ({ eventId: event.id, part, cause, error, isFinal })),
    later: [],
  };
}
