import type { MiddlewareHandler } from 'hono';
import { resolveTier } from '../../domain/tier.ts';
import { type Chain, settingsFor } from '../chain.ts';
import type { ApiContext, ApiDeps, ApiEnv } from '../context.ts';
import { overLimit, showLimit } from '../quota.ts';

/** Finds the tier of the principal and counts the request against it; a tier without a limit is not counted at all. */
export function resolveTiers(deps: ApiDeps, chain: Chain): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { tiers } = await settingsFor(c, chain, deps);
    const principal = c.get('principal');
    const tier = resolveTier(tiers, principal.tier);
    c.set('tier', tier);
    const limit = tier.perMinute;
    chain.quota.remember(c, principal.id, limit !== null);
    if (limit !== null) {
      const counted = await (c.get('counted') ??
        chain.quota.countRequest(c, chain.operationOf(c), principal.id));
      showLimit(c, limit, counted);
      if (counted.count > limit)
        throw overLimit(
          c,
          `${principal.name} has used the ${limit} requests a minute of the tier ${tier.name}.`,
          counted.resetMs,
          { tier: tier.name, limitPerMinute: limit },
        );
    }
    await next();
  };
}

/** Counts what a request costs beside itself; over the limit nothing of it is kept. */
export async function spend(
  c: ApiContext,
  { quota, metrics }: Chain,
  costs: { events: number; bytes: number },
): Promise<void> {
  const { name, eventsPerMinute, bytesPerMinute } = c.get('tier');
  const { id } = c.get('principal');
  const limited = [
    { unit: 'events', used: costs.events, limit: eventsPerMinute },
    { unit: 'bytes', used: costs.bytes, limit: bytesPerMinute },
  ].flatMap(({ unit, used, limit }) => (limit === null ? [] : [{ unit, used, limit, key: `${unit}:${id}` }]));
  const counts = await Promise.all(
    limited.map(async (one) => ({ ...one, ...(await quota.add(one.key, one.used, { mayFail: false })) })),
  );
  const over = counts.find(({ count, limit }) => count > limit);
  if (over === undefined) return metrics.countEvents(costs);
  await Promise.all(counts.map(({ key, used }) => quota.giveBack(key, used)));
  throw overLimit(
    c,
    `The tier ${name} takes ${over.limit} ${over.unit} of events a minute; this request has ${over.used}.`,
    over.resetMs,
    { tier: name, limitPerMinute: over.limit, unit: over.unit },
  );
}
