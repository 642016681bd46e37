import { createAddressOf } from './addresses.ts';
import { createCache } from './cache.ts';
import type { Api, ApiContext, ApiDeps } from './context.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createOperationOf, type OperationOf } from './operations.ts';
import { describeError } from './problems.ts';
import { createQuota, isRead, type Quota } from './quota.ts';
import { readSettings, type Settings, type SettingsCache } from './settings.ts';
import { createShield, type Shield } from './shield.ts';

/** What the steps that every request goes through have in common. */
export type Chain = {
  operationOf: OperationOf;
  addressOf: (c: ApiContext) => string;
  settings: SettingsCache;
  quota: Quota;
  shield: Shield;
  metrics: Metrics;
};

export function createChain(app: Api, deps: ApiDeps): Chain {
  const settings = createCache(() => readSettings(deps.database.db));
  const quota = createQuota(deps.database.db, (facts, message) => deps.log.warn(facts, message));
  return {
    operationOf: createOperationOf(app),
    addressOf: createAddressOf(deps.http.trustedProxies),
    settings,
    quota,
    shield: createShield(deps, quota, settings),
    metrics: createMetrics(),
  };
}

const nothingKnown: Settings = { tiers: [], clusters: new Map(), blocks: new Map() };

/** The settings a request is checked against; a read goes on with what was known when the database does not answer. */
export async function settingsFor(
  c: ApiContext,
  { settings }: Chain,
  deps: ApiDeps,
  mayFail = isRead(c),
): Promise<Settings> {
  try {
    return await settings.current();
  } catch (error) {
    if (!mayFail) throw error;
    deps.log.debug({ err: describeError(error) }, 'settings could not be read');
    return settings.lastKnown() ?? nothingKnown;
  }
}
