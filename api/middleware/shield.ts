import type { MiddlewareHandler } from 'hono';
import type { Principal } from '../../domain/access.ts';
import { storableText } from '../../domain/json.ts';
import { unknownAddress } from '../addresses.ts';
import { type Chain, settingsFor } from '../chain.ts';
import type { ApiDeps, ApiEnv } from '../context.ts';
import { blockKey } from '../settings.ts';
import type { Seen } from '../shield.ts';
import { blockedUntil, shownKeyId } from './address.ts';

/** Shield's eyes: what the steps below refuse is counted, and told. */
export function watch(chain: Chain): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await next();
    const { status } = c.res;
    const denial = c.get('denial');
    const signal = signalOf(status, denial?.because);
    if (signal === null) return;
    const principal = c.get('principal') as Principal | undefined;
    // Without a principal only a failed login says something about anybody.
    if (principal === undefined && signal !== 'login-failed') return;
    await chain.shield.see({
      signal,
      address: c.get('address') ?? unknownAddress,
      keyId: principal === undefined ? shownKeyId(c) : null,
      principalId: principal?.id ?? null,
      evidence: {
        method: c.req.method,
        path: storableText(c.req.path.slice(0, 200)),
        status,
        because: denial?.because ?? null,
        traceId: c.get('trace').traceId,
        requestId: c.get('requestId'),
      },
    });
  };
}

function signalOf(status: number, because: string | undefined): Seen['signal'] | null {
  // Who is blocked already does not make the threat greater.
  if (because === 'blocked') return 'refused';
  if (because === 'switched-off' || because === 'missing-feature') return 'refused';
  if (status === 401) return 'login-failed';
  if (status === 403) return 'access-denied';
  return status === 429 ? 'limit-hit' : null;
}

/** Refuses a principal that is blocked; addresses and keys were asked about before anybody was known. */
export function refuseBlocked(deps: ApiDeps, chain: Chain): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { blocks } = await settingsFor(c, chain, deps);
    const { id, name } = c.get('principal');
    const block = blocks.get(blockKey('principal', id, null));
    if (block !== undefined && block.until.getTime() > deps.now()) throw blockedUntil(c, name, block);
    await next();
  };
}
