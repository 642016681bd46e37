import { Webhook } from 'standardwebhooks';
import { derivedId } from '../db/ids.ts';
import { holdOn } from '../db/kill-switch.ts';
import { wormholeSecret } from '../db/signing-secret.ts';
import { recordResults } from '../db/wormhole-results.ts';
import type { WormholeRow } from '../db/wormholes.ts';
import type { DeliveryContext, DeliveryFailure } from '../domain/delivery.ts';
import { plainLine } from '../domain/notification.ts';
import { withoutSecrets } from '../domain/redact.ts';
import { isRefusal, refuse, type Refusal } from '../domain/refusal.ts';
import { forwardSealContext, templateFacts } from '../domain/wormhole.ts';
import { post } from './channel-http.ts';
import type { SendEnd } from './channel-send.ts';
import { Unavailable } from './event-handlers.ts';
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
  const address = addressOf(deps, first.row);
  if (isRefusal(address)) return { ...end, failures: failed(own, address.refused, address.message, true) };
  for (let from = 0; from < own.length && !context.signal.aborted; from += atOnce) {
    const part = own.slice(from, from + atOnce);
    const ends = await Promise.all(part.map((item) => forwardOne(deps, item, address, context.signal)));
    end.failures.push(...ends.flat());
  }
  return end;
}

function addressOf({ secretBox }: WormholeDeps, row: WormholeRow): string | Refusal {
  if (row.sealed === null)
    return refuse('INVALID', `The wormhole ${row.name} has no address; change it and give one.`);
  return secretBox.open(row.sealed, forwardSealContext(row.id));
}

async function forwardOne(
  deps: WormholeDeps,
  item: Item,
  url: string,
  signal: AbortSignal,
): Promise<DeliveryFailure[]> {
  const { row } = item;
  const secret = wormholeSecret(deps.agentRoot, row.id, row.secretVersion);
  const end = await send(item, url, secret, signal);
  if (end.sent) {
    const detail = { action: 'forward', did: 'forwarded', status: end.status };
    await recordResults(deps.database.log, [
      { ...keyOf(item), version: row.version, outcome: 'acted', detail },
    ]);
    return [];
  }
  const parsed = new URL(url);
  const secrets = [url, parsed.pathname + parsed.search, secret].filter((text) => text.length >= 8);
  const reason = plainLine(withoutSecrets(end.reason, secrets), 500);
  return failed([item], end.mayPass ? 'UNREACHABLE' : 'REFUSED', reason, !end.mayPass);
}

async function send(item: Item, url: string, secret: string, signal: AbortSignal): Promise<SendEnd> {
  const { delivery, row } = item;
  const { action } = row;
  const isPrivate =
    action.kind === 'forward' && action.to.kind === 'webhook' && action.to.allowPrivateNetwork;
  const { wormhole, eventId, replay } = keyOf(item);
  // The same over all tries, so that a receiver can tell a repetition.
  const id = derivedId('fwd', [wormhole, eventId, replay].join('|'));
  const at = new Date();
  const data = {
    ...templateFacts(delivery.event),
    wormhole: { id: row.id, name: row.name },
    replay: replay || null,
  };
  const body = JSON.stringify({ type: delivery.event.type, timestamp: delivery.event.occurredAt, data });
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  };
  const config = { origin: new URL(url).origin, allowPrivateNetwork: isPrivate };
  return post({ config, url }, url, headers, body, signal, () => null);
}
