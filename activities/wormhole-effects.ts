import { getSubscription } from '../db/subscriptions.ts';
import { type NewResult, recordResults } from '../db/wormhole-results.ts';
import type { DeliveryContext } from '../domain/delivery.ts';
import type { EmittedEvent } from '../domain/wormhole-effect.ts';
import { Unavailable } from './event-handlers.ts';
import { countItems } from './wormhole-counts.ts';
import { forwardItems } from './wormhole-forward.ts';
import { allDone, failed, type Item, type ItemsEnd, keyOf, type WormholeDeps } from './wormhole-item.ts';
import { proposeItems } from './wormhole-proposals.ts';

/** Does what one wormhole makes of some events. Each effect happens with its result or not at all, where it can be. */
export async function runItems(
  deps: WormholeDeps,
  items: Item[],
  context: DeliveryContext,
): Promise<ItemsEnd> {
  const acting = items.filter(({ plan }) => plan.outcome === 'acts');
  await recordResults(
    deps.database.log,
    items.filter(({ plan }) => plan.outcome === 'folded').map((item) => resultOf(item)),
  );
  const broken = items.flatMap((item) =>
    item.plan.outcome === 'failed' ? failed([item], 'NO_CONTENT', item.plan.why, true) : [],
  );
  const end = acting.length === 0 ? allDone : await act(deps, acting, context);
  return { ...end, failures: [...broken, ...end.failures] };
}

async function act(deps: WormholeDeps, items: Item[], context: DeliveryContext): Promise<ItemsEnd> {
  const [{ row: { action } } = {} as Item] = items;
  switch (action.kind) {
    case 'log':
    case 'notify':
    case 'transform':
      await recordResults(
        deps.database.log,
        items.map((item) => resultOf(item)),
      );
      return allDone;
    case 'create-task':
      return proposeItems(deps, items);
    case 'trigger-halo':
      return triggerHalo(deps, items);
    case 'aggregate':
      return countItems(deps, items);
    case 'forward':
      return action.to.kind === 'webhook'
        ? forwardItems(deps, items, context)
        : handOver(deps, items, action.to.subscription);
  }
}

/** What is kept of an item: with an action, what it did; folded, why nothing was done. */
function resultOf(item: Item): NewResult {
  const { row, plan } = item;
  const base = { ...keyOf(item), version: row.version };
  const detail = { action: row.action.kind };
  if (plan.outcome !== 'acts') return { ...base, outcome: 'folded', detail: { ...detail, why: plan.why } };
  const emit = emitOf(item);
  const did = { ...detail, did: plan.would, eventType: item.delivery.event.type };
  return { ...base, outcome: 'acted', detail: did, ...(emit !== null && { emit }) };
}

function emitOf({ plan }: Item): EmittedEvent | null {
  return plan.outcome === 'acts' && plan.effect.kind === 'emit' ? plan.effect.event : null;
}

/** HALO gathers triggers, so one that arrives twice after a crash begins no second cycle. */
async function triggerHalo(deps: WormholeDeps, items: Item[]): Promise<ItemsEnd> {
  try {
    await deps.runs.triggerHalo(items.map(({ delivery }) => delivery.event));
  } catch (error) {
    return { ...allDone, unavailable: new Unavailable('HALO was not reached', { cause: error }) };
  }
  await recordResults(
    deps.database.log,
    items.map((item) => resultOf(item)),
  );
  return allDone;
}

async function handOver(deps: WormholeDeps, items: Item[], key: string): Promise<ItemsEnd> {
  const target = await getSubscription(deps.database.db, key);
  if (target === null || !target.enabled || target.owner === null)
    return {
      ...allDone,
      failures: failed(
        items,
        'REFUSED',
        `There is no subscription ${key} that takes events; change the wormhole.`,
      ),
    };
  await recordResults(
    deps.database.log,
    items.map((item) => ({
      ...resultOf(item),
      handTo: { subscription: key, recordedAt: item.delivery.event.recordedAt },
    })),
  );
  return allDone;
}
