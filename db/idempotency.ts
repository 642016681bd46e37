import { and, eq, gt, sql } from 'drizzle-orm';
import { fromNow } from './change.ts';
import type { Db } from './client.ts';
import { idempotencyKeys } from './schema/index.ts';
import type { StoredAnswer } from './schema/chain.ts';

export type IdempotentRequest = { principalId: string; route: string; key: string; hash: string };
export type Earlier = {
  hash: string;
  state: 'running' | 'done';
  answer: StoredAnswer | null;
  lockedMs: number;
};

function isRow({ principalId, route, key }: IdempotentRequest) {
  return and(
    eq(idempotencyKeys.principalId, principalId),
    eq(idempotencyKeys.route, route),
    eq(idempotencyKeys.key, key),
  );
}

/**
 * Claims a key for one execution. The row itself decides between requests that come at once; a claim whose process died
 * can be taken over, by the same request, once its lock is over. False when somebody else holds it or has answered.
 */
export async function claimKey(
  db: Db,
  request: IdempotentRequest,
  options: { claim: string; lockMs: number; keepMs: number },
): Promise<boolean> {
  const { principalId, route, key, hash } = request;
  const { claim } = options;
  const row = {
    requestHash: hash,
    state: 'running' as const,
    claim,
    answer: null,
    lockedUntil: fromNow(options.lockMs),
    expiresAt: fromNow(options.keepMs),
  };
  const rows = await db
    .insert(idempotencyKeys)
    .values({ principalId, route, key, ...row })
    .onConflictDoUpdate({
      target: [idempotencyKeys.principalId, idempotencyKeys.route, idempotencyKeys.key],
      set: row,
      setWhere: sql`${idempotencyKeys.expiresAt} <= now() or (${idempotencyKeys.state} = 'running'
        and ${idempotencyKeys.lockedUntil} <= now() and ${idempotencyKeys.requestHash} = ${hash})`,
    })
    .returning({ claim: idempotencyKeys.claim });
  return rows.length > 0;
}

/** What is known of a key now. */
export async function findKeyUse(db: Db, request: IdempotentRequest): Promise<Earlier | null> {
  const [row] = await db
    .select({
      hash: idempotencyKeys.requestHash,
      state: idempotencyKeys.state,
      answer: idempotencyKeys.answer,
      lockedMs: sql<number>`(greatest(0, extract(epoch from ${idempotencyKeys.lockedUntil} - now())) * 1000)::float8`,
    })
    .from(idempotencyKeys)
    .where(and(isRow(request), gt(idempotencyKeys.expiresAt, sql`now()`)));
  return row ?? null;
}

/** Keeps the answer for everyone who sends the request again; a claim that was taken over keeps nothing. */
export async function storeAnswer(
  db: Db,
  request: IdempotentRequest,
  claim: string,
  answer: StoredAnswer,
): Promise<void> {
  await db
    .update(idempotencyKeys)
    .set({ state: 'done', answer })
    .where(and(isRow(request), eq(idempotencyKeys.claim, claim)));
}

/** Forgets a claim whose request was not carried out, so that it can be sent again. */
export async function dropClaim(db: Db, request: IdempotentRequest, claim: string): Promise<void> {
  await db.delete(idempotencyKeys).where(and(isRow(request), eq(idempotencyKeys.claim, claim)));
}
