import type { MiddlewareHandler } from 'hono';
import type { BlockRow } from '../../db/shield.ts';
import { parseKey } from '../../domain/key.ts';
import { unknownAddress } from '../addresses.ts';
import { type Chain, settingsFor } from '../chain.ts';
import type { ApiContext, ApiDeps, ApiEnv } from '../context.ts';
import { ProblemError } from '../problems.ts';
import { minuteMs, overLimit } from '../quota.ts';
import { blockKey } from '../settings.ts';

const maxHeld = 10_000;

/** The id of the key that a request shows, whether or not the key is good. */
export function shownKeyId(c: ApiContext): string | null {
  const text = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1];
  return text === undefined ? null : (parseKey(text)?.id ?? null);
}

function isHealthCheck(c: ApiContext): boolean {
  return c.req.path === '/healthz' || c.req.path === '/readyz';
}

/**
 * The coarse limit before anybody is known: so many requests without a good credential a minute for each address, and
 * the blocks of addresses and of keys at an address. Refused here, no key is looked up.
 */
export function limitAddress(deps: ApiDeps, chain: Chain): MiddlewareHandler<ApiEnv> {
  const limit = deps.http.addressLimitPerMinute;
  /** Addresses over the limit, until when; another process learns of one with the first request it counts itself. */
  const held = new Map<string, number>();

  async function count(address: string): Promise<void> {
    const { count, resetMs } = await chain.quota.add(`address:${address}`, 1, { mayFail: true });
    if (count < limit) return;
    if (held.size >= maxHeld) held.clear();
    held.set(address, deps.now() + resetMs);
  }

  return async (c, next) => {
    if (isHealthCheck(c)) return next();
    const address = chain.addressOf(c);
    c.set('address', address);
    const heldMs = (held.get(address) ?? 0) - deps.now();
    if (heldMs > 0 && heldMs <= minuteMs)
      throw overLimit(c, `Too many requests without a valid key from ${address}.`, heldMs, {
        limitPerMinute: limit,
      });
    held.delete(address);
    await refuseBlocked(c, address);
    await next();
    const isKnown = (c.get('principal') as unknown) !== undefined || c.get('hookId') !== undefined;
    if (!isKnown) await count(address);
  };

  async function refuseBlocked(c: ApiContext, address: string): Promise<void> {
    // A credential is checked by the same database, so nobody gets in while it cannot say who is blocked.
    const { blocks } = await settingsFor(c, chain, deps, true);
    const isOver = (block: BlockRow) => block.until.getTime() <= deps.now();
    const byAddress = address === unknownAddress ? undefined : blocks.get(blockKey('address', address, null));
    if (byAddress !== undefined && !isOver(byAddress)) {
      c.set('denial', { because: 'blocked' });
      throw overLimit(
        c,
        `Requests from ${address} are refused until ${byAddress.until.toISOString()} (${byAddress.reason}).`,
        byAddress.until.getTime() - deps.now(),
      );
    }
    const keyId = shownKeyId(c);
    if (keyId === null) return;
    const byKey = blocks.get(blockKey('key', keyId, address)) ?? blocks.get(blockKey('key', keyId, null));
    if (byKey !== undefined && !isOver(byKey)) throw blockedUntil(c, `Key ${keyId}`, byKey);
  }
}

/** The refusal of a key or a principal that is blocked, with until when and who can help. */
export function blockedUntil(c: ApiContext, who: string, block: BlockRow): ProblemError {
  c.set('denial', { because: 'blocked' });
  const where = block.address === null ? '' : ` from ${block.address}`;
  const until = block.until.toISOString();
  return new ProblemError(
    'FORBIDDEN',
    `${who} is blocked${where} until ${until} (${block.reason}). An admin can lift it: \`dreamnet security lift ${block.id}\`.`,
    { details: { blockId: block.id, until } },
  );
}
