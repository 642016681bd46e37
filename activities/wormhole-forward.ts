import { derivedId } from '../db/ids.ts';
import { holdOn } from '../db/kill-switch.ts';
import { wormholeSecret } from '../db/signing-secret.ts';
import { recordResults } from '../db/wormhole-results.ts';
import type { WormholeRow } from '../db/wormholes.ts';
import type { DeliveryContext, DeliveryFailure } from '../domain/delivery.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { forwardSealContext, templateFacts } from '../domain/wormhole.ts';
import { sendTimeoutMs } from './channel-send.ts';
import { Unavailable } from './event-handlers.ts';
import { postWebhook, type WebhookTarget } from './webhook-post.ts';
import { failed, type Item, type ItemsEnd, keyOf, putOff, type WormholeDeps } from './wormhole-item.ts';

const askAgainMs = 5_000;
const atOnce = 8;

/**
 * Posts events to the address of a wormhole, signed as Standard Webhooks have it. The network is slow, so an event is
 * put off first and posted when it is handed over as a delivery of its own.
 */
export async function forwardItems(
  deps: WormholeDeps,
  items: Item[],
  context: DeliveryContext,
): Promise<ItemsEnd> {
  const own = items.filter(({ delivery }) => delivery.part !== '');
  const end: ItemsEnd = {
    failures: [],
    later: putOff(items.filter((item) => !own.includes(item))),
    unavailable: null,
  };
  const [first] = own;
  if (first === undefined) return end;
  const work = { kind: 'delivery', target: `subscription:${context.subscription}` } as const;
  const held = await holdOn(deps.database.db, work, 'dispatch');
  if (held !== null) return { ...end, unavailable: new Unavailable(held.message, { retryInMs: askAgainMs }) };
  const target = targetOf(deps, first.row);
  if (isRefusal(target)) return { ...end, failures: failed(own, target.refused, target.message, true) };
  for (let from = 0; from < own.length; from += atOnce) {
    // What is not posted must not end as done.
    context.signal.throwIfAborted();
    const part = own.slice(from, from + atOnce);
    const ends = await Promise.all(part.map((item) => forwardOne(deps, item, target, context.signal)));
    end.failures.push(...ends.flat());
  }
  return end;
}

function targetOf({ agentRoot, secretBox }: WormholeDeps, row: WormholeRow): WebhookTarget | Refusal {
  const { action, id, name, sealed, secretVersion } = row;
  if (sealed === null)
    return refuse('INVALID', `The wormhole ${name} has no address; change it and give one.`);
  const url = secretBox.open(sealed, forwardSealContext(id));
  return {
    url,
    origin: new URL(url).origin,
    allowPrivateNetwork:
      action.kind === 'forward' && action.to.kind === 'webhook' && action.to.allowPrivateNetwork,
    timeoutMs: sendTimeoutMs,
    secrets: [wormholeSecret(agentRoot, id, secretVersion)],
  };
}

async function forwardOne(
  deps: WormholeDeps,
  item: Item,
  target: WebhookTarget,
  signal: AbortSignal,
): Promise<DeliveryFailure[]> {
  const { wormhole, eventId, replay } = keyOf(item);
  // The same over all tries, so that a receiver can tell a repetition.
  const id = derivedId('fwd', [wormhole, eventId, replay].join('|'));
  const receipt = await postWebhook(target, { id, body: bodyOf(item), headers: {}, signal });
  if (!receipt.ok)
    return failed([item], receipt.isFinal ? 'REFUSED' : 'UNREACHABLE', receipt.error, receipt.isFinal);
  const detail = { action: 'forward', did: 'forwarded', status: String(receipt.status) };
  await recordResults(deps.database.log, [
    { ...keyOf(item), version: item.row.version, outcome: 'acted', detail },
  ]);
  return [];
}

function bodyOf({ delivery: { event, replay }, row }: Item): string {
  const wormhole = { id: row.id, name: row.name };
  const data = { ...templateFacts(event), wormhole, replay: replay?.id ?? null };
  return JSON.stringify({ type: event.type, timestamp: event.occurredAt, data });
}
